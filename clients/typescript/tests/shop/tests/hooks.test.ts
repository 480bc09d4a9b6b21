import { afterEach, beforeEach, describe, expect, it, onTestFinished } from 'vitest';
import { prisma } from '../src/database';

const seen: string[] = [];

beforeEach(async () => {
  await prisma.customer.create({ data: { email: 'given@example.org' } });
});

afterEach(async () => {
  seen.push(`afterEach ${await prisma.customer.count()}`);
});

describe('the reset comes after everything of the test', () => {
  it('which may still look at its rows', async () => {
    onTestFinished(async () => {
      seen.push(`onTestFinished ${await prisma.customer.count()}`);
    });
    await prisma.customer.create({ data: { email: 'ada@example.org' } });
  });

  it('and the next one starts from the baseline', async () => {
    expect(seen).toEqual(['afterEach 2', 'onTestFinished 2']);
    expect(await prisma.customer.count()).toBe(1);
  });
});

describe('a test that is tried again', () => {
  let attempts = 0;
  it('starts from the baseline each time', { retry: 2 }, async () => {
    attempts += 1;
    expect((await prisma.customer.create({ data: { email: 'ada@example.org' } })).id).toBe(2);
    expect(attempts).toBe(3);
  });
});
