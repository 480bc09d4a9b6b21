import { Session, serve } from '@seatrial/vitest/core';

const serving = await serve();
const session = await Session.open(serving.where, 'mocha', { keep: Boolean(process.env.SEATRIAL_KEEP) });

export const mochaHooks = {
  async beforeEach() {
    await session.begin(this.currentTest.fullTitle());
  },
  async afterEach() {
    await session.end({ failed: this.currentTest.state === 'failed' });
  },
  async afterAll() {
    await session.release();
    await serving.stop();
  },
};
