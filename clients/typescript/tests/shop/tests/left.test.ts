import pg from 'pg';
import { afterAll, describe, expect, it } from 'vitest';
import { prisma, url } from '../src/database';

const pool = new pg.Pool({ connectionString: url });
pool.on('error', () => undefined); // its connection is ended
afterAll(() => pool.end());

describe('what a test leaves at work', () => {
  it('is a transaction', async () => {
    const client = await pool.connect();
    client.on('error', () => client.release(true));
    await client.query('BEGIN');
    await client.query(`INSERT INTO "Customer" (email) VALUES ('held')`);
  });

  it('is not seen by the next', async () => {
    expect(await prisma.customer.count()).toBe(0);
  });
});

describe('what is written between two tests', () => {
  it('is undone before the second', () => undefined);

  afterAll(async () => {
    await prisma.customer.create({ data: { email: 'late' } });
  });
});

it('is undone before this', async () => {
  expect(await prisma.customer.count()).toBe(0);
});
