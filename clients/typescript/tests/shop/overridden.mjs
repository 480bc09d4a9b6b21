import { Session, serve } from '@seatrial/vitest/core';

const serving = await serve();
const session = await Session.open(serving.where, 'worker-1');

process.env.DATABASE_URL += '?connection_limit=1'; // leads to the same database
await session.begin('one');
await session.end({ failed: false });
console.log('that was one');

process.env.DATABASE_URL = 'postgresql://me@localhost/mine'; // as dotenv does with `override`
for (const test of ['two', 'three']) {
  await session.begin(test);
  await session.end({ failed: false });
}

await session.release();
await serving.stop();
