const { Client } = require('pg');

it.each([1, 2])('has what the other environment gives, and the baseline, time %i', async () => {
  expect(theirs).toContain('test_start');
  const client = new Client({ connectionString: process.env.DATABASE_URL });
  await client.connect();
  expect((await client.query(`INSERT INTO fruit (name) VALUES ('fig') RETURNING id`)).rows).toEqual([{ id: 1 }]);
  await client.end();
});
