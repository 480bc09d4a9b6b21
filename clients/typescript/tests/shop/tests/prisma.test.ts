import { describe, expect, it } from 'vitest';
import { prisma } from '../src/database';

const ada = { email: 'ada@example.org' };

describe('prisma', () => {
  it('a unique constraint refuses the second row, and the first one stays', async () => {
    await prisma.customer.create({ data: ada });
    await expect(prisma.customer.create({ data: ada })).rejects.toMatchObject({ code: 'P2002' });
    expect(await prisma.customer.count()).toBe(1);
  });

  it('an interactive transaction commits', async () => {
    await prisma.$transaction(async (tx) => {
      const { id } = await tx.customer.create({ data: ada });
      await tx.order.create({ data: { customerId: id, total: 5 } });
    });
    expect(await prisma.order.count()).toBe(1);
  });

  it('an interactive transaction rolls back', async () => {
    const failing = prisma.$transaction(async (tx) => {
      await tx.customer.create({ data: ada });
      throw new Error('changed my mind');
    });
    await expect(failing).rejects.toThrow('changed my mind');
    expect(await prisma.customer.count()).toBe(0);
  });

  it('an isolation level of the app’s own is that', async () => {
    const level = await prisma.$transaction((tx) => tx.$queryRaw`SHOW transaction_isolation`, {
      isolationLevel: 'Serializable',
    });
    expect(level).toEqual([{ transaction_isolation: 'serializable' }]);
  });

  it('a batch commits or fails as one', async () => {
    await prisma.$transaction([prisma.customer.create({ data: ada }), prisma.customer.create({ data: { email: 'b' } })]);
    const failing = prisma.$transaction([
      prisma.customer.create({ data: { email: 'c' } }),
      prisma.customer.create({ data: ada }),
    ]);
    await expect(failing).rejects.toMatchObject({ code: 'P2002' });
    expect(await prisma.customer.count()).toBe(2);
  });

  it('nested writes and cascades', async () => {
    const { id } = await prisma.customer.create({
      data: { ...ada, orders: { create: [{ total: 1 }, { total: 2 }] } },
    });
    expect(await prisma.order.count()).toBe(2);
    await prisma.customer.delete({ where: { id } });
    expect(await prisma.order.count()).toBe(0);
  });

  it('queries side by side', async () => {
    const emails = Array.from({ length: 20 }, (_, n) => `${n}@example.org`);
    await Promise.all(emails.map((email) => prisma.customer.create({ data: { email } })));
    expect(await prisma.customer.count()).toBe(20);
  });

  it('$disconnect in a test', async () => {
    await prisma.customer.create({ data: ada });
    await prisma.$disconnect();
  });

  it('is followed by a test that connects anew', async () => {
    expect(await prisma.customer.count()).toBe(0);
  });
});
