// What the shop sells: `prisma db seed` in development, and the baseline of every test.
import pg from 'pg';

const client = new pg.Client({ connectionString: process.env.DATABASE_URL });
await client.connect();
await client.query(`
  INSERT INTO "Product" ("name", "price", "stock") VALUES
    ('Lamp', 4900, 1),
    ('Chair', 12900, 20)
`);
await client.end();
