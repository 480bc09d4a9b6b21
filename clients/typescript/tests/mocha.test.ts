/** Mocha, by root hooks and the core alone. */

import { join } from 'node:path';
import { expect, it } from 'vitest';
import { Place } from './project.js';

it('root hooks enclose each test with all of its own hooks, and know which has failed', async () => {
  const place = new Place(join(import.meta.dirname, 'mocha'));
  place.environ['SEATRIAL_KEEP'] = '1';
  try {
    const done = await place.run('mocha');
    expect(done.text).toContain('4 passing');
    expect(done.text).toContain('1 failing');
    expect(done.text.match(/kept db of .*: postgresql:/g)).toEqual(['kept db of with hooks may fail: postgresql:']);
    expect(place.servers()).toEqual([]);
  } finally {
    await place.close();
  }
});
