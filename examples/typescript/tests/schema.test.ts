import { isolation } from '@seatrial/vitest/test';
import { describe, expect, it } from 'vitest';
import { prisma } from '../src/database';

isolation('clone'); // these tests change the schema

describe('a migration that is about to be written', () => {
  it('finds the rows that stand in its way', async () => {
    await prisma.customer.create({ data: { email: 'ada@example.org', name: 'Ada' } });
    await prisma.customer.create({ data: { email: 'countess@example.org', name: 'Ada' } });

    await expect(prisma.$executeRaw`CREATE UNIQUE INDEX "Customer_name_key" ON "Customer"("name")`).rejects.toThrow();
  });

  it('holds on the data of today', async () => {
    await prisma.$executeRaw`CREATE UNIQUE INDEX "Customer_name_key" ON "Customer"("name")`;
    await prisma.customer.create({ data: { email: 'ada@example.org', name: 'Ada' } });

    const again = prisma.customer.create({ data: { email: 'countess@example.org', name: 'Ada' } });
    await expect(again).rejects.toMatchObject({ code: 'P2002' });
  });

  it('is not there in the next test', async () => {
    for (const email of ['ada@example.org', 'countess@example.org']) {
      await prisma.customer.create({ data: { email, name: 'Ada' } });
    }
    expect(await prisma.customer.count()).toBe(2);
  });
});
