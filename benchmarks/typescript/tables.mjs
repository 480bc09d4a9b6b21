// Twenty tables, as a service of some size has them: the two that tests write to, and eighteen others.
//
//     node tables.mjs      writes schema.sql and generated/schema.prisma

import { mkdirSync, writeFileSync } from 'node:fs';

export const OTHERS = Array.from({ length: 18 }, (_, n) => `Other${n + 1}`);

const MODELS = `
generator client {
  provider = "prisma-client-js"
  output   = "client"
}

datasource db {
  provider = "postgresql"
}

model Customer {
  id     Int     @id @default(autoincrement())
  email  String  @unique
  orders Order[]
${OTHERS.map((name) => `  ${name.toLowerCase()} ${name}[]\n`).join('')}}

model Order {
  id         Int      @id @default(autoincrement())
  total      Int
  customerId Int
  customer   Customer @relation(fields: [customerId], references: [id])
}
${OTHERS.map(
  (name) => `
model ${name} {
  id         Int      @id @default(autoincrement())
  customerId Int
  customer   Customer @relation(fields: [customerId], references: [id])
}
`,
).join('')}`;

const table = (name, more) => `CREATE TABLE "${name}" (id SERIAL PRIMARY KEY, ${more});\n`;
const customer = '"customerId" INTEGER NOT NULL REFERENCES "Customer"(id)';
const SQL = [
  table('Customer', 'email TEXT NOT NULL UNIQUE'),
  table('Order', `total INTEGER NOT NULL, ${customer}`),
  ...OTHERS.map((name) => table(name, customer)),
].join('');

mkdirSync('generated', { recursive: true });
writeFileSync('generated/schema.prisma', MODELS);
writeFileSync('schema.sql', SQL);
