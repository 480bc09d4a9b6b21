import { prisma } from './database';

export class OutOfStock extends Error {}

interface Line {
  productId: number;
  quantity: number;
}

/** All lines or none: what one of them takes from the stock comes back when another one can't be had. */
export function placeOrder(customerId: number, lines: Line[]) {
  return prisma.$transaction(async (tx) => {
    for (const { productId, quantity } of lines) {
      const { count } = await tx.product.updateMany({
        where: { id: productId, stock: { gte: quantity } },
        data: { stock: { decrement: quantity } },
      });
      if (count === 0) throw new OutOfStock(`product ${productId} is out of stock`);
    }
    return tx.order.create({
      data: { customerId, items: { create: lines } },
      include: { items: true },
    });
  });
}
