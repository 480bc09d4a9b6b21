import { Session, serve } from '@seatrial/vitest/core';

const serving = await serve();
const session = await Session.open(serving.where, 'one');
const told = [];
const next = session.worker.checkout.bind(session.worker);
session.worker.checkout = async (...asked) => {
  const done = await next(...asked);
  told.push([done.resources.db.isolation, done.resources.lite.isolation]);
  return done;
};
for (const isolation of [undefined, 'rollback', 'clone']) {
  await session.begin('a test', isolation);
  await session.end({ failed: false });
}
process.stdout.write(JSON.stringify(told));
await session.worker.end();
await session.begin('after the end').catch((error) => process.stdout.write(error.what));
await session.end({ failed: true }); // its beginning has told
await session.release();
await serving.stop();
