import { appendFileSync } from 'node:fs';
import { it } from 'vitest';
import { prisma } from '../src/database';

it('waits for somebody to end it', async () => {
  await prisma.customer.create({ data: { email: 'ada@example.org' } });
  appendFileSync(process.env['SHOP_NOTES'] as string, 'waiting\n');
  await new Promise((resolve) => setTimeout(resolve, 60_000));
});
