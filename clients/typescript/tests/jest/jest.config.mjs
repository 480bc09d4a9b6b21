export default {
  globalSetup: './global-setup.mjs',
  globalTeardown: './global-teardown.mjs',
  setupFilesAfterEnv: ['./setup.mjs'],
  testMatch: ['**/tests/*.test.mjs'],
  testTimeout: 60_000,
  transform: {},
};
