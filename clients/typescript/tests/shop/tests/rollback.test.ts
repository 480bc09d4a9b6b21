import { isolation } from '@seatrial/vitest/test';
import pg from 'pg';
import { afterAll, describe, expect, it } from 'vitest';
import { prisma, url } from '../src/database';

isolation('rollback');

const pool = new pg.Pool({ connectionString: url });
afterAll(() => pool.end());

/** What another connection sees: only what was committed. */
async function committed(): Promise<number> {
  const outside = new pg.Client({ connectionString: url });
  await outside.connect();
  try {
    return Number((await outside.query('SELECT count(*) FROM "Customer"')).rows[0].count);
  } finally {
    await outside.end();
  }
}

describe('rollback', () => {
  it.each([1, 2])('nothing is ever committed, and both pools see it, time %i', async () => {
    expect((await prisma.customer.create({ data: { email: 'ada@example.org' } })).id).toBe(1);
    expect((await pool.query('SELECT email FROM "Customer"')).rows).toEqual([{ email: 'ada@example.org' }]);
    expect(await committed()).toBe(0);
  });

  it('transactions of the app are savepoints: what it rolls back is gone, the rest stays', async () => {
    await prisma.customer.create({ data: { email: 'a' } });
    const failing = prisma.$transaction(async (tx) => {
      await tx.customer.create({ data: { email: 'b' } });
      await tx.customer.create({ data: { email: 'a' } });
    });
    await expect(failing).rejects.toMatchObject({ code: 'P2002' });
    await prisma.$transaction([prisma.customer.create({ data: { email: 'c' } })]);
    expect((await prisma.customer.findMany({ orderBy: { email: 'asc' } })).map((row) => row.email)).toEqual(['a', 'c']);
    expect(await committed()).toBe(0);
  });

  it('COMMIT after a failed statement is a ROLLBACK, as without us', async () => {
    const client = await pool.connect();
    await client.query('BEGIN');
    await client.query(`INSERT INTO "Customer" (email) VALUES ('a')`);
    await expect(client.query('SELECT 1 / 0')).rejects.toMatchObject({ code: '22012' });
    await expect(client.query('SELECT 1')).rejects.toMatchObject({ code: '25P02' });
    expect((await client.query('COMMIT')).command).toBe('ROLLBACK');
    client.release();
    expect(await prisma.customer.count()).toBe(0);
  });

  it('queries side by side', async () => {
    const emails = Array.from({ length: 20 }, (_, n) => `${n}@example.org`);
    await Promise.all(emails.map((email) => prisma.customer.create({ data: { email } })));
    expect(await prisma.customer.count()).toBe(20);
  });

  it('a query with a callback, and a transaction that was left open', async () => {
    const rows = await new Promise((resolve, reject) => {
      pool.query('SELECT 1 AS one', (error, result) => (error ? reject(error) : resolve(result.rows)));
    });
    expect(rows).toEqual([{ one: 1 }]);
    const client = await pool.connect();
    await client.query('BEGIN');
    await client.query(`INSERT INTO "Customer" (email) VALUES ('left')`);
    client.release();
    expect(await prisma.customer.count()).toBe(0);
  });

  it('says what it can’t do: another isolation level', async () => {
    const serializable = prisma.$transaction((tx) => tx.customer.count(), { isolationLevel: 'Serializable' });
    await expect(serializable).rejects.toThrow();
    await expect(pool.query('BEGIN ISOLATION LEVEL SERIALIZABLE')).rejects.toThrow('run this test under reset');
  });

  it('says what it can’t do: two transactions that wait for each other', async () => {
    const waits = prisma.$transaction(async (tx) => {
      await tx.customer.create({ data: { email: 'a' } });
      await pool.query('SELECT 1');
    }, { timeout: 30_000 });
    await expect(waits).rejects.toThrow('run this test under reset');
  });
});
