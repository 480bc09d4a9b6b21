export default {
  globalSetup: './global-setup.mjs',
  globalTeardown: './global-teardown.mjs',
  setupFilesAfterEnv: ['./setup.mjs'],
  testMatch: ['**/tests/*.test.[cm]js'],
  testTimeout: 60_000,
  transform: {},
};
