import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { prisma } from '../src/database';

const emails = async (): Promise<string[]> =>
  (await prisma.customer.findMany({ orderBy: { id: 'asc' } })).map((customer) => customer.email);

beforeAll(async () => {
  await prisma.customer.create({ data: { email: 'file' } });
});

afterAll(async () => {
  expect(await emails()).toEqual(['file']); // its rows are there as long as it is
});

it.each([1, 2])('the rows of a file are there in each of its tests, time %i', async () => {
  expect(await emails()).toEqual(['file']);
  await prisma.customer.create({ data: { email: 'test' } });
  await prisma.customer.delete({ where: { email: 'file' } });
});

describe.each([1, 2])('a describe adds its own, time %i', () => {
  beforeAll(async () => {
    await prisma.customer.create({ data: { email: 'describe' } });
  });

  it.each([1, 2])('on top of those, time %i', async () => {
    expect(await emails()).toEqual(['file', 'describe']);
    expect((await prisma.customer.create({ data: { email: 'test' } })).id).toBe(3);
  });
});

it('and they go with it', async () => {
  expect(await emails()).toEqual(['file']);
});
