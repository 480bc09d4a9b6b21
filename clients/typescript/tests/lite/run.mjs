import { Session, serve } from '@seatrial/vitest/core';

const serving = await serve();
const session = await Session.open(serving.where, 'one');
const told = [];
const joined = [];
function watch({ worker }) {
  const next = worker.checkout.bind(worker);
  worker.checkout = async (test, isolation, joins) => {
    const done = await next(test, isolation, joins);
    told.push([done.resources.db.isolation, done.resources.lite.isolation]);
    joined.push(joins);
    return done;
  };
}
watch(session);
for (const isolation of [undefined, 'rollback', 'clone']) {
  await session.begin('a test', isolation);
  await session.end({ failed: false });
}
process.stdout.write(`${JSON.stringify(told)}\n`);
const without = await Session.open(serving.where, 'two', { root: '/' }); // where there is no `pg`
watch(without);
await without.begin('a test');
await without.end({ failed: false });
await without.begin('a test', 'rollback').catch((error) => process.stdout.write(`${error.what}\n`));
await without.worker.checkin({ failed: false }).catch((error) => process.stdout.write(`${error.what}\n`));
await without.end({ failed: true });
await without.worker.end();
process.stdout.write(`${JSON.stringify([joined[0], joined.at(-1)])}\n`);
await session.worker.end();
await session.begin('after the end').catch((error) => process.stdout.write(error.what));
await session.end({ failed: true }); // its beginning has told
await session.release();
await serving.stop();
