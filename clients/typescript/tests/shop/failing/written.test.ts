import { beforeAll, beforeEach, expect, it } from 'vitest';
import { prisma } from '../src/database';

beforeAll(async () => {
  await prisma.customer.create({ data: { email: 'all' } });
});

beforeEach(async () => {
  await prisma.customer.create({ data: { email: 'each' } });
});

it.each([1, 2, 3])('time %i', async () => {
  expect((await prisma.customer.findMany({ orderBy: { id: 'asc' } })).map((row) => row.email)).toEqual(['all', 'each']);
});
