import { describe, expect, it } from 'vitest';
import { buildApp } from '../src/app';
import { prisma } from '../src/database';

const app = buildApp();
const ada = { email: 'ada@example.org', name: 'Ada' };

describe('customers', () => {
  it('are created and read back', async () => {
    const created = await app.inject({ method: 'POST', url: '/customers', payload: ada });

    expect(created.statusCode).toBe(201);
    expect(await prisma.customer.findMany()).toEqual([{ id: 1, ...ada }]);
    expect((await app.inject('/customers/1')).json()).toMatchObject(ada);
  });

  it('have one email each', async () => {
    await app.inject({ method: 'POST', url: '/customers', payload: ada });
    const again = await app.inject({ method: 'POST', url: '/customers', payload: { ...ada, name: 'Another' } });

    expect(again.statusCode).toBe(409);
    expect(await prisma.customer.findMany()).toEqual([{ id: 1, ...ada }]);
  });

  it('that nobody knows are not found', async () => {
    expect((await app.inject('/customers/1')).statusCode).toBe(404);
  });
});
