import { once } from 'node:events';
import { isolation } from '@seatrial/vitest/test';
import pg from 'pg';
import { afterAll, describe, expect, it, vi } from 'vitest';
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

  it('a query that still runs when the test ends', async () => {
    const client = await pool.connect();
    await client.query('BEGIN');
    await client.query(`INSERT INTO "Customer" (email) VALUES ('a')`);
    void client.query('SELECT pg_sleep(0.2)');
    void client.query(`INSERT INTO "Customer" (email) VALUES ('b')`).catch(() => undefined);
    client.release();
  });

  it('is not taken for one that wrote past its transaction', async () => {
    expect(await prisma.customer.count()).toBe(0);
  });

  it('a pool may have the address in parts, and say localhost', async () => {
    const { port, username: user, password, pathname } = new URL(url as string);
    const other = new pg.Pool({ host: 'localhost', port: Number(port), user, password, database: pathname.slice(1) });
    await other.query(`INSERT INTO "Customer" (email) VALUES ('a')`);
    expect(await committed()).toBe(0);
    await other.end();
  });

  it('JSON may be faked by a test, which is still in rollback', async () => {
    vi.spyOn(JSON, 'stringify').mockReturnValue('{}');
    const other = new pg.Pool({ connectionString: url });
    await other.query(`INSERT INTO "Customer" (email) VALUES ('a')`);
    expect(await committed()).toBe(0);
    await other.end();
  });

  it('and does not keep the next one from its baseline', async () => {
    vi.restoreAllMocks();
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

  it('says what it can’t do: several statements in one text, of which one begins or ends a transaction', async () => {
    const insert = `INSERT INTO "Customer" (email) VALUES ('a')`;
    for (const text of [`BEGIN; ${insert}; COMMIT`, `${insert}; COMMIT`]) {
      await expect(pool.query(text)).rejects.toThrow(/rollback can't hold "[^]*send them one by one/);
    }
    await pool.query(`${insert}; ${insert.replace("'a'", "'b;commit'")}; `);
    expect(await prisma.customer.count()).toBe(2);
  });

  it('what only a transaction block takes is an error outside of one, and nothing of its text is done', async () => {
    const insert = `INSERT INTO "Customer" (email) VALUES ('a')`;
    for (const [text, name] of [
      ['SAVEPOINT a', 'SAVEPOINT'],
      ['release a', 'RELEASE SAVEPOINT'],
      [`${insert}; rollback to a`, 'ROLLBACK TO SAVEPOINT'],
      ['lock table "Customer"', 'LOCK TABLE'],
      ['declare c cursor for select 1', 'DECLARE CURSOR'],
    ]) {
      const message = `${name} can only be used in transaction blocks`;
      await expect(pool.query(text as string)).rejects.toMatchObject({ code: '25P01', message });
    }
    await expect(pool.query('savepoint a b')).rejects.toMatchObject({ code: '42601' });
    expect((await pool.query(`${insert} RETURNING id`)).rows).toEqual([{ id: 1 }]);
  });

  it('BEGIN and COMMIT that are not quite right get the server’s answer, and BEGIN in a failed transaction too', async () => {
    const client = await pool.connect();
    await expect(client.query('BEGIN nonsense')).rejects.toMatchObject({ code: '42601' });
    expect((await client.query('START TRANSACTION')).command).toBe('START');
    await expect(client.query('COMMIT 1')).rejects.toMatchObject({ code: '42601' });
    await expect(client.query('BEGIN')).rejects.toMatchObject({ code: '25P02' });
    await client.query('ROLLBACK');
    client.release();
    expect(() => client.release()).toThrow('already been released');
  });

  it('query objects of pg tell once what became of them, whatever that is, and the next query comes', async () => {
    const client = await pool.connect();
    const told: unknown[] = [];
    const ask = (text: string, late = false): Promise<void> =>
      new Promise((resolve) => {
        const tell = (error: any, result: any): void => {
          told.push(error ? (error.code ?? error.name) : result.rows.length > 0 ? result.rows : result.command);
          resolve();
        };
        const query = new (pg.Query as any)(text, undefined, late ? undefined : tell);
        expect(client.query(query, ...((late ? [tell] : []) as []))).toBe(query);
      });
    for (const text of ['SELECT 1 AS one', 'SELECT 1 / 0', 'LISTEN a', 'BEGIN']) await ask(text);
    await ask(`INSERT INTO "Customer" (email) VALUES ('a')`, true);
    await ask('SELECT 1 / 0', true);
    await ask('COMMIT');
    expect((await client.query('SELECT 2 AS two')).rows).toEqual([{ two: 2 }]);
    expect(told).toEqual([[{ one: 1 }], '22012', 'SeatrialError', 'BEGIN', 'INSERT', '22012', 'ROLLBACK']);
    client.release();
    expect(await prisma.customer.count()).toBe(0);
  });

  it('and so they do by events', async () => {
    const client = await pool.connect();
    const rows: unknown[] = [];
    const query = (text: string): pg.Query => client.query(new pg.Query(text).on('row', (row) => rows.push(row)));
    await once(query('SELECT 1 AS one'), 'end');
    await expect(once(query('SELECT 1 / 0'), 'end')).rejects.toMatchObject({ code: '22012' });
    await expect(once(query('PREPARE TRANSACTION \'a\''), 'end')).rejects.toThrow('run this test under reset');
    expect((await once(query('BEGIN'), 'end'))[0]).toMatchObject({ command: 'BEGIN', rows: [] });
    await once(query('ROLLBACK'), 'end');
    expect(rows).toEqual([{ one: 1 }]);
    client.release();
  });

  it('a transaction that only reads', async () => {
    const client = await pool.connect();
    const insert = `INSERT INTO "Customer" (email) VALUES ('a')`;
    await client.query('BEGIN READ ONLY');
    await expect(client.query(insert)).rejects.toMatchObject({ code: '25006' });
    await client.query('ROLLBACK');
    await client.query('START TRANSACTION READ ONLY');
    await client.query('COMMIT');
    expect((await client.query(insert)).rowCount).toBe(1);
    client.release();
  });

  it('prepared statements of two clients may have the same name', async () => {
    const [one, two] = [await pool.connect(), await pool.connect()];
    for (const _ of [1, 2]) {
      expect((await one.query({ name: 'p', text: 'SELECT 1 AS found' })).rows).toEqual([{ found: 1 }]);
      expect((await two.query({ name: 'p', text: 'SELECT 2 AS found' })).rows).toEqual([{ found: 2 }]);
    }
    for (const each of [one, two]) {
      const other = each.query({ name: 'p', text: 'SELECT 3' });
      await expect(other).rejects.toThrow(`unique - 'p' was used for a different statement`);
    }
    one.release();
    two.release();
  });

  it('a client tells how its own transaction is', async () => {
    const [one, two] = [await pool.connect(), await pool.connect()];
    type Tells = pg.PoolClient & { getTransactionStatus(): string };
    const all = (): unknown[] => [one, two].map((each) => (each as Tells).getTransactionStatus());
    expect(all()).toEqual(['I', 'I']);
    await one.query('BEGIN');
    expect(all()).toEqual(['T', 'I']);
    one.release();
    two.release();
  });

  it('says what it can’t do: what runs outside of transactions only, and LISTEN', async () => {
    await expect(pool.query('VACUUM "Customer"')).rejects.toThrow('rollback can\'t hold "VACUUM "Customer""');
    await expect(pool.query('LISTEN news')).rejects.toThrow('rollback can\'t hold "LISTEN news"');
    const session = 'SET SESSION CHARACTERISTICS AS TRANSACTION READ ONLY';
    await expect(pool.query(session)).rejects.toThrow(`rollback can't hold "${session}"`);
  });

  it('says what it can’t do: end the one transaction of the test', async () => {
    const client = await pool.connect();
    await client.query('BEGIN');
    for (const text of ['COMMIT AND CHAIN', "PREPARE TRANSACTION 'a'"]) {
      await expect(client.query(text)).rejects.toThrow(`rollback can't hold "${text}"`);
    }
    client.release();
  });

  it('a pool with settings of its own is refused; what its connect listener sets, and onConnect, is there', async () => {
    const other = new pg.Pool({ connectionString: url, options: '-c search_path=pg_catalog' });
    await expect(other.query('SELECT 1')).rejects.toThrow('a pool with options of its own: "-c search_path=pg_catalog"');
    await expect(new Promise((_, reject) => other.connect((error) => reject(error)))).rejects.toThrow('options of its own');
    await other.end();
    const asked: string[] = [];
    const set = new pg.Pool({
      connectionString: url,
      onConnect: async (client: pg.ClientBase) => void (await client.query(`SET my.first = '1'`)),
    } as pg.PoolConfig);
    set.on('connect', (client) => {
      asked.push(client.constructor.name);
      void client.query(`SET my.second = '2'`);
    });
    const settings = `SELECT current_setting('my.first') || current_setting('my.second') AS found`;
    for (const _ of [1, 2]) expect((await set.query(settings)).rows).toEqual([{ found: '12' }]);
    expect(asked).toHaveLength(1);
    await set.end();
  });

  it('what a client tells of itself, and how it quotes, is as without us', async () => {
    const client = await pool.connect();
    expect(client.escapeLiteral("it's")).toBe("'it''s'");
    expect(client.escapeIdentifier('a"b')).toBe('"a""b"');
    expect((await client.query('SELECT pg_backend_pid() AS pid')).rows).toEqual([
      { pid: (client as unknown as { processID: number }).processID },
    ]);
    client.release();
  });
});
