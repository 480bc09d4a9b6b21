import { PrismaPg } from '@prisma/adapter-pg';
import { PrismaClient } from './generated/prisma/client';

export const url = process.env['DATABASE_URL'] as string; // read once, while this is imported, as most apps do
export const prisma = new PrismaClient({ adapter: new PrismaPg({ connectionString: url }) });
