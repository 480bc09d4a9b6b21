import { beforeEach } from 'vitest';
import { prisma } from './src/database';

beforeEach(async () => {
  await prisma.order.deleteMany();
  await prisma.customer.deleteMany();
});
