import { use } from '@seatrial/vitest/node-test';
import assert from 'node:assert/strict';
import { test } from 'node:test';
import pg from 'pg';

const pool = new pg.Pool({ connectionString: process.env.DATABASE_URL, allowExitOnIdle: true });
pool.on('error', () => {}); // a clone ends each connection to the database before it
const add = () => pool.query(`INSERT INTO "Customer" (email) VALUES ('a') RETURNING id, now()`);

for (const isolation of ['rollback', 'clone', 'reset']) {
  test(`one test in ${isolation}`, async () => {
    await use(isolation);
    const [first, second] = [await add(), await add().catch((error) => error)];
    assert.equal(first.rows[0].id, 1);
    assert.match(second.message, /unique/);
    const { rows } = await pool.query('SELECT pg_current_xact_id_if_assigned() IS NOT NULL AS open');
    assert.equal(rows[0].open, isolation === 'rollback');
  });
}
