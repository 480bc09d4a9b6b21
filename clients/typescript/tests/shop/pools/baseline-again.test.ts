import { expect, it } from 'vitest';
import { prisma } from '../src/database';

it.each([1, 2])('another file beside it, the same row, time %i', async () => {
  expect((await prisma.customer.create({ data: { email: 'ada@example.org' } })).id).toBe(1);
});

it('a transaction that fails leaves nothing, and the next statement goes on', async () => {
  const failing = prisma.$transaction(async (tx) => {
    await tx.customer.create({ data: { email: 'ada@example.org' } });
    await tx.customer.create({ data: { email: 'ada@example.org' } });
  });
  await expect(failing).rejects.toMatchObject({ code: 'P2002' });
  expect(await prisma.customer.count()).toBe(0);
  await prisma.customer.create({ data: { email: 'bob@example.org' } });
  expect(await prisma.customer.count()).toBe(1);
});
