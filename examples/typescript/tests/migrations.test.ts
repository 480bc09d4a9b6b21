import { describe, expect, it } from 'vitest';
import { prisma } from '../src/database';

describe('the database', () => {
  it('refuses a negative stock, whoever writes it', async () => {
    const write = prisma.product.update({ where: { name: 'Lamp' }, data: { stock: -1 } });
    await expect(write).rejects.toThrow('Product_stock_check');
    expect((await prisma.product.findUniqueOrThrow({ where: { name: 'Lamp' } })).stock).toBe(1);
  });

  it('has what the seed script wrote', async () => {
    expect((await prisma.product.findMany()).map((product) => product.name).sort()).toEqual(['Chair', 'Lamp']);
  });
});
