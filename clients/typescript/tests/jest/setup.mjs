import { afterAll, afterEach, beforeEach, expect } from '@jest/globals';
import { Session } from '@seatrial/vitest/core';

const session = await Session.open(JSON.parse(process.env.SEATRIAL_WHERE), `jest-${process.env.JEST_WORKER_ID}`);
const layer = await session.layer('the file');
let laid = false;

beforeEach(async () => {
  const { currentTestName, testPath } = expect.getState();
  if (!laid) await layer.lay(); // what the file's beforeAll has written
  laid = true;
  await session.begin(`${testPath} ${currentTestName}`);
});

afterEach(() => session.end({ failed: false }));

afterAll(async () => {
  await layer.lift();
  await session.release();
});
