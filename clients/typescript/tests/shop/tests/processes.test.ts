import { execFileSync } from 'node:child_process';
import { describe, expect, it } from 'vitest';
import { prisma } from '../src/database';

const PROGRAM = `
import pg from 'pg';
const client = new pg.Client({ connectionString: process.env.DATABASE_URL });
await client.connect();
await client.query('INSERT INTO "Customer" (email) VALUES ($1)', ['other@example.org']);
await client.end();
`;

describe('an app in another process', () => {
  it.each([1, 2])('writes to the database of this worker, and is undone, time %i', async () => {
    execFileSync(process.execPath, ['--input-type=module', '--eval', PROGRAM], { cwd: import.meta.dirname });
    expect(await prisma.customer.findMany()).toEqual([{ id: 1, email: 'other@example.org' }]);
  });
});

describe('a long test', () => {
  it('goes on for longer than an idle connection lives', async () => {
    await prisma.customer.create({ data: { email: 'a' } });
    await new Promise((resolve) => setTimeout(resolve, 6_000));
    expect(await prisma.customer.count()).toBe(1);
  });

  it('is undone as well', async () => {
    expect(await prisma.customer.count()).toBe(0);
  });
});
