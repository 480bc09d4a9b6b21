const { Pool } = require('pg');
const { use } = require('@seatrial/vitest/jest');

const pool = new Pool({ connectionString: process.env.DATABASE_URL });
afterAll(() => pool.end());

it.each([1, 2])('a file in CommonJS has the same row, time %i', async () => {
  expect((await pool.query(`INSERT INTO fruit (name) VALUES ('fig') RETURNING id`)).rows).toEqual([{ id: 1 }]);
});

describe.each([1, 2])('a describe, time %i', () => {
  beforeAll(() => pool.query(`INSERT INTO fruit (name) VALUES ('kiwi')`));

  it.each([1, 2])('finds the row of its own beforeAll, time %i', async () => {
    expect((await pool.query('SELECT id, name FROM fruit')).rows).toEqual([{ id: 1, name: 'kiwi' }]);
    await pool.query('DELETE FROM fruit');
  });
});

it.each(['rollback', 'clone', 'reset'])('a test may ask for %s, and its pool goes on', async (isolation) => {
  await pool.query(`INSERT INTO fruit (name) VALUES ('plum')`);
  await use(isolation);
  expect((await pool.query('SELECT name FROM fruit')).rows).toEqual([]);
  if (isolation === 'clone') await pool.query('ALTER TABLE fruit ADD COLUMN colour text');
});

it('nothing of them is left', async () => {
  expect((await pool.query('SELECT * FROM fruit')).fields.map(({ name }) => name)).toEqual(['id', 'name']);
});
