import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { prisma } from '../src/database';

const emails = async (): Promise<string[]> =>
  (await prisma.customer.findMany({ orderBy: { id: 'asc' } })).map((customer) => customer.email);
const add = async (email: string): Promise<void> => void (await prisma.customer.create({ data: { email } }));

beforeAll(() => add('file'));

describe('a describe whose afterAll throws', () => {
  beforeAll(() => add('thrown'));
  afterAll(() => {
    throw new Error('on purpose');
  });

  it('has its rows', async () => {
    expect(await emails()).toEqual(['file', 'thrown']);
  });
});

it('what threw has left nothing', async () => {
  expect(await emails()).toEqual(['file']);
});

describe('a describe whose afterAll never ends', () => {
  beforeAll(() => add('endless'));
  afterAll(() => new Promise(() => undefined), 200);

  describe('with another in it', () => {
    beforeAll(() => add('inner'));

    it('has its rows', async () => {
      expect(await emails()).toEqual(['file', 'endless', 'inner']);
    });
  });
});

describe('the describe after it', () => {
  beforeAll(() => add('next'));

  it('begins without its rows', async () => {
    expect(await emails()).toEqual(['file', 'next']);
  });
});
