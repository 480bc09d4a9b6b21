import { beforeAll, it } from 'vitest';
import { prisma } from '../src/database';

beforeAll(async () => {
  await prisma.customer.create({ data: { email: 'file@example.org' } });
});

it('is killed in the middle', async () => {
  await prisma.customer.create({ data: { email: 'ada@example.org' } });
  process.kill(process.pid, 'SIGKILL');
  await new Promise(() => undefined);
});
