/** However a run ends, nothing of it stays. */

import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { Place, until } from './project.js';

const BROKEN = ['--config', 'broken.config.ts'];
let place: Place;

beforeEach(() => {
  place = new Place();
});

afterEach(() => place.close());

describe('a run that goes wrong', () => {
  it('kill -9 of a worker: the next file in its place starts from the baseline; --bail ends the run', async () => {
    const done = await place.run('vitest', 'run', ...BROKEN, '--bail=1', 'killed', 'after');
    expect(done.status).toBe(1);
    expect(done.text).toContain('✓ the next file in its place starts from the baseline');
    expect(done.text).toContain('× a failed test is told');
    expect(done.text).not.toContain('✓ and leaves nothing');
    expect(place.servers()).toEqual([]);
    expect(await place.databases()).toEqual([]);
  });

  it('Ctrl-C in the middle of a test', async () => {
    const run = place.start('vitest', 'run', ...BROKEN, 'endless');
    await until('the test waits', () => place.notes().includes('waiting'));
    run.signal('SIGINT');
    await run.ended;
    await until('the server is gone', () => place.servers().length === 0, 20);
    expect(await place.databases()).toEqual([]);
  });
});
