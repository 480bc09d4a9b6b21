/** Watch mode: a second run gets the same databases at their baseline, and the end leaves nothing. */

import { utimesSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, expect, it } from 'vitest';
import { SHOP } from '../prepare.js';
import { Place, until } from '../project.js';

const FILE = join(SHOP, 'pools', 'baseline-again.test.ts');
const place = new Place();
afterAll(() => place.close());

it('runs again when a file changes', async () => {
  const watching = place.start('vitest', '--watch', '--project', 'forks', 'pools/baseline-again');
  const runs = (): number => watching.text.match(/Waiting for file changes/g)?.length ?? 0;
  await until('the first run', () => runs() === 1);
  // The watcher may not look yet when the first run is over.
  const touching = setInterval(() => {
    if (!watching.text.includes('RERUN')) utimesSync(FILE, new Date(), new Date());
  }, 2_000);
  await until('the second run', () => runs() >= 2).finally(() => clearInterval(touching));
  expect(watching.text.match(/3 passed/g)?.length).toBeGreaterThanOrEqual(2);
  expect(watching.text).not.toContain('failed');
  watching.signal('SIGINT');
  await watching.ended;
  await until('the server is gone', () => place.servers().length === 0, 20);
  expect(new Set(place.notes()).size).toBe(1);
  expect(await place.databases()).toEqual([]);
});
