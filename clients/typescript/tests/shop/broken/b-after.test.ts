import { expect, it } from 'vitest';
import { prisma } from '../src/database';

it('the next file in its place starts from the baseline', async () => {
  expect(await prisma.customer.count()).toBe(0);
});

it('a failed test is told', async () => {
  await prisma.customer.create({ data: { email: 'ada@example.org' } });
  expect(await prisma.customer.count()).toBe(2);
});

it('and leaves nothing', async () => {
  expect(await prisma.customer.count()).toBe(0);
});
