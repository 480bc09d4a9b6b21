import '../cleanup';
import { expect, it } from 'vitest';
import { prisma } from '../src/database';

it.each([1, 2])('a cleanup of the project’s own does no harm, time %i', async () => {
  expect((await prisma.customer.create({ data: { email: 'ada@example.org' } })).id).toBe(1);
});
