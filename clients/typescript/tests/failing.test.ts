/** What goes wrong in a project is told where it went wrong, and the other tests still start from their baseline. */

import { afterAll, expect, it } from 'vitest';
import { Place } from './project.js';

const place = new Place();
afterAll(() => place.close());

it('an afterAll that throws, or never ends, leaves no rows to the rest of its file', async () => {
  const done = await place.run('vitest', 'run', '--config', 'failing.config.ts', '--reporter=verbose', 'after-all');
  expect(done.text).toContain('Error: on purpose');
  expect(done.text).toContain('Hook timed out in 200ms');
  expect(done.text).toContain('4 passed');
});

it('a set-up file of the project finds the address exported, though set-up files were to run side by side', async () => {
  place.environ['DATABASE_URL'] = 'postgresql://developer@127.0.0.1:1/precious';
  const done = await place.run('vitest', 'run', '--config', 'failing.config.ts', '--sequence.setupFiles=parallel', 'written');
  delete place.environ['DATABASE_URL'];
  expect(done.text).toContain('3 passed');
  expect(place.notes().filter((url) => url.includes('precious'))).toEqual([]);
});

it('what a beforeEach writes is there in its test and gone in the next, though hooks were to run side by side', async () => {
  const done = await place.run('vitest', 'run', '--config', 'failing.config.ts', '--sequence.hooks=parallel', 'written');
  expect(done.text).toContain('3 passed');
});

it('the plugin twice in one project is as once, and with other options it is refused', async () => {
  const same = await place.run('vitest', 'run', '--config', 'twice.config.ts', '--project', 'same');
  expect(same.text).toContain('3 passed');
  place.environ['SHOP_OTHER'] = '1';
  const other = await place.run('vitest', 'run', '--config', 'twice.config.ts', '--project', 'same');
  delete place.environ['SHOP_OTHER'];
  expect(other.text).toContain('seatrial() is there twice in the project same, with different options');
});
