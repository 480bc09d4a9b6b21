/** The package as npm installs it, under each version of Vitest that this Node can run. */

import { execFileSync } from 'node:child_process';
import { cpSync, existsSync, mkdtempSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, it } from 'vitest';
import { Place } from '../project.js';

const CLIENT = join(import.meta.dirname, '..', '..');
const WITH_5 = Number(process.versions.node.split('.')[0]) >= 22;

it.each(['3.2.4', '4.1.12', ...(WITH_5 ? ['5.1.1'] : [])])('vitest %s', async (version) => {
  const folder = mkdtempSync(join(tmpdir(), 'plain-'));
  cpSync(join(import.meta.dirname, 'plain'), folder, { recursive: true });
  const quiet = ['--ignore-scripts', '--no-audit', '--no-fund', '--prefer-offline', '--install-links'];
  execFileSync('npm', ['install', ...quiet, `vitest@${version}`, 'pg@8.23.1', CLIENT], { cwd: folder });
  expect(existsSync(join(folder, 'node_modules', '@seatrial', 'vitest', 'LICENSE'))).toBe(true);
  const place = new Place(folder);
  try {
    for (const pool of ['forks', 'vmThreads']) {
      const done = await place.run(join(folder, 'node_modules', '.bin', 'vitest'), 'run', '--pool', pool);
      expect(done.text).toContain('11 passed');
      expect(done.status).toBe(0);
      expect(place.servers()).toEqual([]);
    }
  } finally {
    await place.close();
  }
});
