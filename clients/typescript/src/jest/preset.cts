/** All that Jest needs, as `preset: '@seatrial/vitest/jest'`. */

import path = require('node:path');

const beside = (name: string): string => path.join(__dirname, name);

export = {
  globalSetup: beside('global-setup.js'),
  globalTeardown: beside('global-teardown.js'),
  setupFiles: [beside('setup.cjs')],
  testEnvironment: beside('environment.js'),
};
