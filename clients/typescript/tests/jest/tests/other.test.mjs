import { afterAll, expect, it } from '@jest/globals';
import pg from 'pg';

const pool = new pg.Pool({ connectionString: process.env.DATABASE_URL });
afterAll(() => pool.end());

it('another file finds nothing of the first', async () => {
  expect((await pool.query(`INSERT INTO fruit (name) VALUES ('apple') RETURNING id`)).rows).toEqual([{ id: 1 }]);
});
