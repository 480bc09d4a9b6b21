import '@seatrial/vitest/node-test';
import assert from 'node:assert/strict';
import { after, test } from 'node:test';
import pg from 'pg';

const pool = new pg.Pool({ connectionString: process.env.DATABASE_URL, idleTimeoutMillis: 0 });

test('a query', async () => {
  await pool.query('SELECT 1');
});

after(async () => {
  assert.equal((await pool.query('SELECT 1')).rowCount, 1); // and nobody ends the pool
});
