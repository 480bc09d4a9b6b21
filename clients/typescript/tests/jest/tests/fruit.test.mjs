import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import pg from 'pg';

const pool = new pg.Pool({ connectionString: process.env.DATABASE_URL });
const insert = async () => (await pool.query(`INSERT INTO fruit (name) VALUES ('pear') RETURNING id`)).rows[0].id;

beforeAll(() => pool.query(`INSERT INTO fruit (name) VALUES ('apple')`));
afterAll(() => pool.end());

it.each([1, 2])('the same row, time %i', async () => {
  expect(await insert()).toBe(2);
});

describe('a unique constraint', () => {
  it('refuses the second row', async () => {
    await insert();
    await expect(insert()).rejects.toMatchObject({ code: '23505' });
  });

  it('and the row of the file is still there, alone', async () => {
    expect((await pool.query('SELECT name FROM fruit')).rows).toEqual([{ name: 'apple' }]);
  });
});
