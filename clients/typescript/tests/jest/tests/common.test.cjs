const { Pool } = require('pg');

const pool = new Pool({ connectionString: process.env.DATABASE_URL });
afterAll(() => pool.end());

it.each([1, 2])('a file in CommonJS has the same row, time %i', async () => {
  expect((await pool.query(`INSERT INTO fruit (name) VALUES ('fig') RETURNING id`)).rows).toEqual([{ id: 1 }]);
});
