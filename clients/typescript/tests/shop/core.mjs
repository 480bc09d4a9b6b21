import { Session, serve } from '@seatrial/vitest/core';

const serving = await serve();
const session = await Session.open(serving.where, 'worker-1'); // exports DATABASE_URL: import the app after this

await session.begin('the name of a test');
// ... the test
await session.end({ failed: false });

await session.release();
await serving.stop();
