export default {
  preset: '@seatrial/vitest/jest',
  testMatch: ['**/tests/*.test.[cm]js'],
  testTimeout: 60_000,
  transform: {},
};
