import '@seatrial/vitest/node-test';
import assert from 'node:assert/strict';
import { test } from 'node:test';
import pg from 'pg';

const pool = new pg.Pool({ connectionString: process.env.DATABASE_URL, allowExitOnIdle: true });
const shadow = new pg.Pool({ connectionString: process.env.SHADOW_DATABASE_URL, allowExitOnIdle: true });

for (let attempt = 0; attempt < 4; attempt++) {
  test(`the same row every time, ${attempt}`, async () => {
    const { rows } = await pool.query(`INSERT INTO fruit (name) VALUES ('pear') RETURNING id`);
    assert.equal(rows[0].id, 2);
    assert.deepEqual((await pool.query('SELECT name FROM fruit ORDER BY id')).rows.map((row) => row.name), ['apple', 'pear']);
    assert.deepEqual((await shadow.query(`SELECT tablename FROM pg_tables WHERE schemaname = 'public'`)).rows, []);
    if (attempt === 0) await shadow.query("CREATE TABLE scratch (id int)");
  });
}
