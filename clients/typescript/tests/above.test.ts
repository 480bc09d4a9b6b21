/** A configuration above the project, as a repository of several packages has it. */

import { cpSync, mkdirSync, mkdtempSync, renameSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, expect, it } from 'vitest';
import { Place } from './project.js';

const repository = mkdtempSync(join(tmpdir(), 'above-'));
const project = join(repository, 'packages', 'web');
const place = new Place(project);

afterAll(async () => {
  await place.close();
  rmSync(repository, { recursive: true, force: true });
});

it('`root` is seen from the project, and `pg` is the one that the project has', async () => {
  mkdirSync(join(repository, 'packages'));
  cpSync(join(import.meta.dirname, 'nightly', 'plain'), project, { recursive: true });
  for (const name of ['seatrial.toml', 'schema.sql']) renameSync(join(project, name), join(repository, name));
  symlinkSync(join(import.meta.dirname, '..', 'node_modules'), join(project, 'node_modules'));
  const config = `import { seatrial } from '@seatrial/vitest';\nexport default { plugins: [seatrial({ root: '../..' })] };\n`;
  writeFileSync(join(project, 'vitest.config.mjs'), config);
  const done = await place.run('vitest', 'run');
  expect(done.text).toContain('11 passed');
  expect(done.status).toBe(0);
  expect(place.servers()).toEqual([]);
});
