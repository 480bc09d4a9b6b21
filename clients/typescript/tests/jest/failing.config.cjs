/** All four by name, as a project with a preset of its own writes them. What NAMELESS names is left out. */
const all = {
  globalSetup: '@seatrial/vitest/jest/global-setup',
  globalTeardown: '@seatrial/vitest/jest/global-teardown',
  testEnvironment: '@seatrial/vitest/jest/environment',
  setupFiles: ['@seatrial/vitest/jest/setup'],
};
delete all[process.env.NAMELESS];

module.exports = { ...all, testMatch: ['**/failing/*.test.cjs'], testTimeout: 60_000, transform: {} };
