import { afterAll, describe, expect, it, vi } from 'vitest';
import { prisma } from '../src/database';

afterAll(() => prisma.$disconnect());

describe('every test starts from the same state', () => {
  it.each([1, 2, 3])('the same row, time %i', async () => {
    const made = await prisma.customer.create({ data: { email: 'ada@example.org' } });
    expect(made.id).toBe(1);
    expect(await prisma.customer.count()).toBe(1);
  });
});

describe('fake timers', () => {
  it('are left on by a test', async () => {
    await prisma.customer.create({ data: { email: 'ada@example.org' } });
    vi.useFakeTimers({ now: new Date('1999-12-31'), shouldAdvanceTime: false });
    expect(new Date().getFullYear()).toBe(1999);
  });

  it('do not keep the next one from its baseline', async () => {
    expect(new Date().getFullYear()).toBe(1999);
    vi.useRealTimers();
    expect(await prisma.customer.count()).toBe(0);
  });
});
