import pg from 'pg';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
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

describe('clients that nobody listens to', () => {
  const own = new pg.Client({ connectionString: url });
  let client: pg.PoolClient;

  it('are left in a transaction, or idle where the next test has a fresh clone', async () => {
    client = await pool.connect();
    await client.query('BEGIN');
    await client.query(`INSERT INTO "Customer" (email) VALUES ('held')`);
    await own.connect();
  });

  it('and end no process', async ({ seatrial }) => {
    await seatrial.use('clone');
    await prisma.customer.create({ data: { email: 'a' } });
  });

  it('when they are gone', async () => {
    await expect(own.query('SELECT 1')).rejects.toThrow('connection error');
    await own.end();
    client.release(true);
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

describe('what is written before a beforeAll', () => {
  it('is undone before that', () => undefined);

  afterAll(async () => {
    await prisma.customer.create({ data: { email: 'early' } });
  });
});

describe('with a beforeAll', () => {
  beforeAll(async () => {
    await prisma.customer.create({ data: { email: 'of all' } });
  });

  it('is no part of the layer', async () => {
    expect(await prisma.customer.findMany()).toMatchObject([{ email: 'of all' }]);
  });
});
