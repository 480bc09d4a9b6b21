import { isolation, test } from '@seatrial/vitest/test';
import pg from 'pg';
import { afterEach, describe, expect, it, vi } from 'vitest';

const pool = new pg.Pool({ connectionString: process.env.DATABASE_URL });
const insert = async (by = pool) => (await by.query(`INSERT INTO fruit (name) VALUES ('pear') RETURNING id`)).rows[0].id;
const seen = [];

async function connected(url, work) {
  const client = new pg.Client({ connectionString: url });
  await client.connect();
  try {
    return await work(client);
  } finally {
    await client.end();
  }
}

afterEach(async () => {
  seen.push((await pool.query('SELECT FROM fruit')).rowCount);
});

it.each([1, 2])('the same row, time %i', async () => {
  expect(await insert()).toBe(1);
});

it('was there for the hooks of the project', () => {
  expect(seen).toEqual([1, 1]);
});

it('fake timers are left on', () => {
  vi.useFakeTimers();
});

it('and do not keep the next test from its baseline', async () => {
  vi.useRealTimers();
  expect(await insert()).toBe(1);
});

describe('rollback', () => {
  isolation('rollback');

  it.each([1, 2])('commits nothing, time %i', async () => {
    expect(await insert()).toBe(1);
    const committed = await connected(process.env.DATABASE_URL, (client) => client.query('SELECT FROM fruit'));
    expect(committed.rowCount).toBe(0);
  });
});

for (const time of [1, 2]) {
  it(`clone, time ${time}`, async ({ seatrial }) => {
    await seatrial.use('clone');
    await pool.query('CREATE TABLE scratch (id int)');
  });
}

describe('test.concurrent', () => {
  for (const n of [1, 2]) {
    test.concurrent(`on a clone, ${n}`, async ({ seatrial }) => {
      expect(await connected(await seatrial.url(), insert)).toBe(1);
    });
  }
});
