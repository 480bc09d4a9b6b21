const { Pool } = require('pg');

const pool = new Pool({ connectionString: process.env.DATABASE_URL });
afterAll(() => pool.end());

it('this one passes', () => pool.query(`INSERT INTO fruit (name) VALUES ('fig')`));

it('this one fails', async () => {
  await pool.query(`INSERT INTO fruit (name) VALUES ('fig'), ('fig')`);
});

describe('with a hook', () => {
  afterEach(() => {
    throw new Error('on purpose');
  });

  it('this one fails after its end', () => pool.query(`INSERT INTO fruit (name) VALUES ('fig')`));
});

it('this one finds nothing of them', async () => {
  expect((await pool.query('SELECT name FROM fruit')).rows).toEqual([]);
});
