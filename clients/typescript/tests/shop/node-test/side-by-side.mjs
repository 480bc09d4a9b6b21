import '@seatrial/vitest/node-test';
import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import pg from 'pg';

const pool = new pg.Pool({ connectionString: process.env.DATABASE_URL, allowExitOnIdle: true });
const insert = () => pool.query(`INSERT INTO "Customer" (email) VALUES ('a')`);
const count = async () => Number((await pool.query('SELECT count(*) FROM "Customer"')).rows[0].count);

describe('side by side', { concurrency: true }, () => {
  test('the first', async () => {
    await insert();
    await sleep(100);
    assert.equal(await count(), 1);
  });

  for (const name of ['the second', 'the third']) {
    test(name, () => {
      console.log(`${name} was started`);
    });
  }
});

test('subtests side by side share what their test has', async (t) => {
  await insert();
  const each = async () => assert.equal(await count(), 1);
  await Promise.all(['one', 'two'].map((name) => t.test(name, { concurrency: true }, each)));
});

test('afterwards', async () => {
  assert.equal(await count(), 0);
});
