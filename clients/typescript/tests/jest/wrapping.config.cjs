module.exports = {
  preset: '@seatrial/vitest/jest',
  testEnvironment: './wrapping.mjs',
  testMatch: ['**/wrapping/*.test.cjs'],
  transform: {},
};
