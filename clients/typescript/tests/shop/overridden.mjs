import { Session, serve } from '@seatrial/vitest/core';

const serving = await serve();
const session = await Session.open(serving.where, 'worker-1');
process.env.DATABASE_URL = 'postgresql://me@localhost/mine'; // as dotenv does with `override`

for (const test of ['one', 'two']) {
  await session.begin(test);
  await session.end({ failed: false });
}

await session.release();
await serving.stop();
