import pg from 'pg';
import { afterAll, describe, expect, it } from 'vitest';
import { prisma, url } from '../src/database';

// Without a listener for its errors, as most are written: an idle connection that ends must not end the process.
const pool = new pg.Pool({ connectionString: url });
afterAll(() => pool.end());

const tables = async (): Promise<string[]> =>
  (await pool.query(`SELECT tablename FROM pg_tables WHERE schemaname = 'public' ORDER BY 1`)).rows.map(
    (row) => row.tablename,
  );

describe.each([1, 2])('clone, time %i', () => {
  it('a test in clone may change the schema', async ({ seatrial }) => {
    await seatrial.use('clone');
    await pool.query('CREATE TABLE extra (id int)');
    await prisma.customer.create({ data: { email: 'a' } });
    expect(await tables()).toEqual(['Customer', 'Order', 'extra']);
  });

  it('the pools reach the fresh clone by the same URL', async ({ seatrial }) => {
    expect(await seatrial.url()).toBe(url);
    expect(await tables()).toEqual(['Customer', 'Order']);
    expect(await prisma.customer.count()).toBe(0);
  });

  it('a test in reset may change the schema as well: it is noticed', async () => {
    await pool.query('CREATE TABLE extra (id int)');
  });

  it('and undone', async () => {
    expect(await tables()).toEqual(['Customer', 'Order']);
  });
});
