import { drizzle } from 'drizzle-orm/node-postgres';
import { integer, pgTable, serial, text } from 'drizzle-orm/pg-core';
import { Kysely, PostgresDialect, type Generated } from 'kysely';
import pg from 'pg';
import { afterAll, describe, expect, it } from 'vitest';
import { url } from '../src/database';

const pool = new pg.Pool({ connectionString: url });
const kysely = new Kysely<{ Customer: { id: Generated<number>; email: string } }>({
  dialect: new PostgresDialect({ pool }),
});
const customers = pgTable('Customer', { id: serial().primaryKey(), email: text().notNull() });
const orders = pgTable('Order', { id: serial().primaryKey(), total: integer().notNull(), customerId: integer().notNull() });
const orm = drizzle({ client: pool });

afterAll(() => pool.end());

describe.each([1, 2])('the same database by the same URL, time %i', () => {
  it('plain pg', async () => {
    const { rows } = await pool.query(`INSERT INTO "Customer" (email) VALUES ('a') RETURNING id`);
    expect(rows).toEqual([{ id: 1 }]);
  });

  it('Kysely', async () => {
    const row = await kysely.insertInto('Customer').values({ email: 'a' }).returning('id').executeTakeFirstOrThrow();
    expect(row).toEqual({ id: 1 });
  });

  it('Drizzle', async () => {
    await orm.transaction(async (tx) => {
      const [row] = await tx.insert(customers).values({ email: 'a' }).returning();
      await tx.insert(orders).values({ total: 3, customerId: row!.id });
    });
    expect(await orm.select().from(orders)).toEqual([{ id: 1, total: 3, customerId: 1 }]);
  });
});
