import pg from 'pg';

const client = new pg.Client({ connectionString: process.env.DATABASE_URL });
await client.connect();
await client.query(`INSERT INTO fruit (name) VALUES ('apple')`);
await client.end();
