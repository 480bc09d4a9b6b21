/** Python's and TypeScript's tests on one resource, at once; two resources; a seed script; `package.json`. */

import { join } from 'node:path';
import pg from 'pg';
import { afterAll, describe, expect, it } from 'vitest';
import { serve, Worker } from '../src/core/index.js';
import { Place } from './project.js';

const BOTH = join(import.meta.dirname, 'both');
const place = new Place(BOTH);
afterAll(() => place.close());

describe('one configuration, in package.json', () => {
  it('pytest and node:test run at once on copies of one template', async () => {
    const python = place.start('python', '-m', 'pytest', '-q', '-p', 'no:cacheprovider', '-p', 'no:django', 'tests');
    const node = place.start(process.execPath, '--test', 'fruit.test.mjs');
    const [pytest, nodeTest] = await Promise.all([python.ended, node.ended]);
    expect(pytest.text).toContain('4 passed');
    expect(nodeTest.text).toContain('# pass 4');
    expect(place.servers()).toEqual([]);
  });

  it('both resources are exported, and the template of the first was made once', async () => {
    const command = [join(BOTH, '..', '..', '..', '..', '.venv', 'bin', 'seatrial')] as const;
    const before = { ...process.env };
    Object.assign(process.env, place.environ);
    try {
      const serving = await serve({ root: BOTH, command });
      const worker = await Worker.attach(serving.where, 'one');
      expect(Object.keys(worker.env).sort()).toEqual(['DATABASE_URL', 'SHADOW_DATABASE_URL']);
      expect(worker.url('db')).not.toBe(worker.url('shadow'));
      const client = new pg.Client({ connectionString: worker.url('db') });
      await client.connect();
      const { rows } = await client.query(`SELECT count(*) FROM pg_database WHERE datname LIKE 'seatrial\\_t\\_%'`);
      await client.end();
      expect(Number(rows[0].count)).toBe(2); // one for each resource
      worker.release();
      await serving.stop();
    } finally {
      process.env = before;
    }
  });
});
