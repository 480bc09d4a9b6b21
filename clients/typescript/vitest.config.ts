import { defineConfig } from 'vitest/config';

/** Our own tests start Vitest on the project in `tests/shop`, as a user would. */
export default defineConfig({
  test: {
    include: ['tests/*.test.ts', ...(process.env['SEATRIAL_NIGHTLY'] ? ['tests/nightly/*.test.ts'] : [])],
    // Each of them is a run of Vitest with workers of its own. By night they change what all of them run on.
    maxWorkers: process.env['SEATRIAL_NIGHTLY'] ? 1 : 2,
    globalSetup: ['tests/prepare.ts'],
    testTimeout: 300_000,
    hookTimeout: 300_000,
  },
});
