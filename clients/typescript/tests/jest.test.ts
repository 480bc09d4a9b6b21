/** Jest: all is in its configuration, whatever the tests are written in. */

import { join } from 'node:path';
import { afterAll, expect, it } from 'vitest';
import { Place } from './project.js';

const place = new Place(join(import.meta.dirname, 'jest'));
afterAll(() => place.close());

async function run(environ: NodeJS.ProcessEnv, ...argv: string[]) {
  const before = { ...place.environ };
  Object.assign(place.environ, environ);
  try {
    return await place.run('jest', ...argv);
  } finally {
    for (const name of Object.keys(environ)) delete place.environ[name];
    Object.assign(place.environ, before);
  }
}

it('files in two workers, as ES modules and in CommonJS: every test from the baseline and from what its file has written', async () => {
  const done = await run({ NODE_OPTIONS: '--experimental-vm-modules --no-warnings' }, '--maxWorkers=2');
  expect(done.text).toContain('Tests:       15 passed, 15 total');
  expect(done.text).not.toContain('did not exit');
  expect(done.status).toBe(0);
  expect(place.servers()).toEqual([]);
});

it('CommonJS needs no option of Node; a describe has its rows, and a test its isolation', async () => {
  const done = await run({}, '--testMatch', '**/tests/common.test.cjs');
  expect(done.text).toContain('Tests:       10 passed, 10 total');
  expect(done.status).toBe(0);
});

it('a failed test is known as such: its database is kept and its log shown, and nothing of it is left to the next', async () => {
  const done = await run({ SEATRIAL_KEEP: '1' }, '-c', 'failing.config.cjs', 'failed');
  expect(done.text).toContain('Tests:       2 failed, 2 passed, 4 total');
  const kept = [...done.text.matchAll(/kept db of failing\/failed\.test\.cjs > (.*): postgresql:/g)].map(([, name]) => name);
  expect(kept).toEqual(['this one fails', 'with a hook > this one fails after its end']);
  expect(done.text).toMatch(/log of db in failing\/failed\.test\.cjs > this one fails\n[^]*duplicate key value/);
  expect(place.servers()).toEqual([]);
});

it('tests that would run at once are refused', async () => {
  const done = await run({}, '-c', 'failing.config.cjs', 'concurrent');
  expect(done.text).toContain('test.concurrent was not started');
  expect(done.status).toBe(1);
});

it.each([
  ['globalSetup', /Seatrial was not started before the tests\n.*why: [^]*fix: .*seatrial\/vitest\/jest\/global-setup/],
  ['testEnvironment', /nothing would isolate them\n.*why: [^]*fix: .*seatrial\/vitest\/jest\/environment/],
  ['setupFiles', /lacks our set-up file\n.*why: [^]*fix: .*seatrial\/vitest\/jest\/setup/],
])('a configuration without %s is told what to write, and no test is run', async (name, told) => {
  const done = await run({ NAMELESS: name }, '-c', 'failing.config.cjs', 'failed');
  expect(done.text).toMatch(told);
  expect(done.text).not.toContain('✓');
  expect(done.status).toBe(1);
});

it('another environment can be wrapped, and still hears what it heard', async () => {
  const done = await run({}, '-c', 'wrapping.config.cjs');
  expect(done.text).toContain('Tests:       2 passed, 2 total');
  expect(done.status).toBe(0);
});
