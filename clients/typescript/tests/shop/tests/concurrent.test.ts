import { test } from '@seatrial/vitest/test';
import pg from 'pg';
import { describe, expect, test as plain } from 'vitest';

const urls = new Set<string>();

describe('test.concurrent with a clone for each', () => {
  for (const n of [1, 2, 3]) {
    test.concurrent(`the same row beside the others, ${n}`, async ({ seatrial }) => {
      const url = await seatrial.url();
      expect(await seatrial.url('db')).toBe(url);
      urls.add(url);
      const client = new pg.Client({ connectionString: url });
      await client.connect();
      const { rows } = await client.query(`INSERT INTO "Customer" (email) VALUES ('a') RETURNING id`);
      await client.end();
      expect(rows).toEqual([{ id: 1 }]);
    });
  }

  test('had a database each', () => {
    expect(urls.size).toBe(3);
  });
});

describe('test.concurrent on the one database', () => {
  plain.concurrent('is refused', () => {
    throw new Error('it was started');
  });
});
