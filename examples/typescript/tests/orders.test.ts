import { beforeEach, describe, expect, it } from 'vitest';
import { buildApp } from '../src/app';
import { prisma } from '../src/database';

const app = buildApp();
const LAMP = 1;
const CHAIR = 2;

const order = (customer: number, ...items: { productId: number; quantity: number }[]) =>
  app.inject({ method: 'POST', url: `/customers/${customer}/orders`, payload: { items } });
const stock = async (): Promise<number[]> =>
  (await prisma.product.findMany({ orderBy: { id: 'asc' } })).map((product) => product.stock);

beforeEach(async () => {
  await prisma.customer.create({ data: { email: 'ada@example.org', name: 'Ada' } });
});

describe('orders', () => {
  it('take what they name from the stock', async () => {
    const placed = await order(1, { productId: LAMP, quantity: 1 }, { productId: CHAIR, quantity: 4 });

    expect(placed.statusCode).toBe(201);
    expect(await stock()).toEqual([0, 16]);
  });

  it('find the shelves full again in the next test', async () => {
    expect(await stock()).toEqual([1, 20]);
  });

  it('are all or nothing', async () => {
    const refused = await order(1, { productId: CHAIR, quantity: 4 }, { productId: LAMP, quantity: 2 });

    expect(refused.statusCode).toBe(409);
    expect(await stock()).toEqual([1, 20]);
    expect(await prisma.order.count()).toBe(0);
  });

  it('of eight people who want the last lamp: one gets it', async () => {
    const all = await Promise.all(Array.from({ length: 8 }, () => order(1, { productId: LAMP, quantity: 1 })));

    expect(all.map((answer) => answer.statusCode).sort()).toEqual([201, 409, 409, 409, 409, 409, 409, 409]);
    expect(await stock()).toEqual([0, 20]);
  });

  it('go with their customer, items included', async () => {
    await order(1, { productId: CHAIR, quantity: 1 });
    expect(await prisma.item.count()).toBe(1);

    expect((await app.inject({ method: 'DELETE', url: '/customers/1' })).statusCode).toBe(204);

    expect(await prisma.order.count()).toBe(0);
    expect(await prisma.item.count()).toBe(0);
  });

  it('keep a product that was sold from being deleted', async () => {
    await order(1, { productId: CHAIR, quantity: 1 });

    await expect(prisma.product.delete({ where: { id: CHAIR } })).rejects.toMatchObject({ code: 'P2003' });
  });
});
