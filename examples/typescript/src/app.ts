import Fastify, { type FastifyInstance } from 'fastify';
import { prisma } from './database';
import { OutOfStock, placeOrder } from './orders';

interface NewCustomer {
  email: string;
  name: string;
}

interface NewOrder {
  items: { productId: number; quantity: number }[];
}

const isTaken = (error: unknown): boolean => (error as { code?: string }).code === 'P2002';

export function buildApp(): FastifyInstance {
  const app = Fastify();

  app.post<{ Body: NewCustomer }>('/customers', async ({ body }, reply) => {
    try {
      const customer = await prisma.customer.create({ data: { email: body.email, name: body.name } });
      return reply.code(201).send(customer);
    } catch (error) {
      if (isTaken(error)) return reply.code(409).send({ error: 'the email is taken' });
      throw error;
    }
  });

  app.get<{ Params: { id: string } }>('/customers/:id', async ({ params }, reply) => {
    const customer = await prisma.customer.findUnique({
      where: { id: Number(params.id) },
      include: { orders: { include: { items: true } } },
    });
    return customer ?? reply.code(404).send({ error: 'no such customer' });
  });

  app.delete<{ Params: { id: string } }>('/customers/:id', async ({ params }, reply) => {
    await prisma.customer.delete({ where: { id: Number(params.id) } });
    return reply.code(204).send();
  });

  app.post<{ Params: { id: string }; Body: NewOrder }>('/customers/:id/orders', async ({ params, body }, reply) => {
    try {
      return reply.code(201).send(await placeOrder(Number(params.id), body.items));
    } catch (error) {
      if (error instanceof OutOfStock) return reply.code(409).send({ error: error.message });
      throw error;
    }
  });

  app.get('/products', () => prisma.product.findMany({ orderBy: { id: 'asc' } }));

  return app;
}
