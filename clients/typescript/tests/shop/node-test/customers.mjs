import '@seatrial/vitest/node-test';
import assert from 'node:assert/strict';
import { after, afterEach, describe, test } from 'node:test';
import pg from 'pg';

const pool = new pg.Pool({ connectionString: process.env.DATABASE_URL });
const count = async () => Number((await pool.query('SELECT count(*) FROM "Customer"')).rows[0].count);
const seen = [];

after(async () => {
  assert.equal(await count(), 0); // the databases are there until the last hook is over
  await pool.end();
});

afterEach(async () => {
  seen.push(await count());
});

for (const time of [1, 2]) {
  test(`the same row, time ${time}`, async () => {
    const { rows } = await pool.query(`INSERT INTO "Customer" (email) VALUES ('a') RETURNING id`);
    assert.equal(rows[0].id, 1);
  });
}

describe('in a suite', () => {
  test('the same row', async (t) => {
    const { rows } = await pool.query(`INSERT INTO "Customer" (email) VALUES ('a') RETURNING id`);
    assert.equal(rows[0].id, 1);
    await t.test('a subtest goes on with it', async () => {
      assert.equal(await count(), 1);
    });
    assert.equal(await count(), 1);
  });

  test('an afterEach of the project has seen the rows, and none is left', async () => {
    assert.deepEqual(seen.slice(0, 2), [1, 1]);
    assert.equal(await count(), 0);
  });
});
