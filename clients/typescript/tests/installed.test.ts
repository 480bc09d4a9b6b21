/** The package where npm puts it, and not beside the project as here: Vitest treats what is in `node_modules` otherwise. */

import { cpSync, mkdirSync, mkdtempSync, rmSync, symlinkSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { Place } from './project.js';

const CLIENT = join(import.meta.dirname, '..');
const project = mkdtempSync(join(tmpdir(), 'installed-'));
const place = new Place(project);

beforeAll(() => {
  cpSync(join(import.meta.dirname, 'nightly', 'plain'), project, { recursive: true });
  cpSync(join(project, 'tests', 'fruit.test.mjs'), join(project, 'tests', 'again.test.mjs'));
  const installed = join(project, 'node_modules', '@seatrial', 'vitest');
  mkdirSync(installed, { recursive: true });
  for (const name of ['dist', 'package.json']) cpSync(join(CLIENT, name), join(installed, name), { recursive: true });
  for (const name of ['vitest', 'pg']) symlinkSync(join(CLIENT, 'node_modules', name), join(project, 'node_modules', name));
});

afterAll(async () => {
  await place.close();
  rmSync(project, { recursive: true, force: true });
});

it.each(['forks', 'threads'])('each file after the first is isolated as well, where %s run files in one process', async (pool) => {
  const done = await place.run('vitest', 'run', '--pool', pool, '--no-isolate', '--max-workers=1');
  expect(done.text).toContain('22 passed');
  expect(done.status).toBe(0);
  expect(place.servers()).toEqual([]);
});
