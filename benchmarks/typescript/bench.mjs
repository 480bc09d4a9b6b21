// What a test costs besides itself: Seatrial's checkout and reset beside what projects do today, in one run.
//
//     make bench-ts
//
// A test is a customer with two orders, written by Prisma; it is not in the figures. What encloses it is: the median,
// the 90th percentile and the number of tests, in milliseconds, from rounds that alternate between all ways. There are
// twenty tables, and one server for all. Each way but Seatrial's has a database of its own, which nothing else cleans.
// Beside them stand two round trips of HTTP to the same server without any work (by its own socket: a test goes by its
// worker's), and the undo as the server measured it. The last column is each way as a multiple of Seatrial's median.

import { readFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { Connection, Session, serve } from '@seatrial/vitest/core';
import { PrismaPg } from '@prisma/adapter-pg';
import pg from 'pg';
import { OTHERS } from './tables.mjs';

const ROUNDS = Number(process.argv[2] ?? 12);
const TESTS = 25;
const SLOW_TESTS = 2; // a clone takes so long that two a round are enough

const { PrismaClient } = createRequire(import.meta.url)('./generated/client');
const open = (connectionString) => new PrismaClient({ adapter: new PrismaPg({ connectionString }) });
const write = (client, n) =>
  client.customer.create({ data: { email: `${n}@example.org`, orders: { create: [{ total: 1 }, { total: 2 }] } } });

/** The median and the 90th percentile of measured milliseconds. */
function summary(times) {
  const sorted = [...times].sort((a, b) => a - b);
  return [0.5, 0.9].map((part) => sorted[Math.floor((sorted.length - 1) * part)]);
}

const undone = [];

async function seatrial(session) {
  const client = open(session.worker.url());
  const { checkin } = session.worker;
  session.worker.checkin = async (test) => {
    const told = await checkin.call(session.worker, test);
    undone.push(told.undone.db.milliseconds);
    return told;
  };
  return {
    name: 'Seatrial: checkout and reset, over HTTP',
    before: (n) => session.begin(`test ${n}`),
    test: (n) => write(client, n),
    after: () => session.end({ failed: false }),
    close: () => client.$disconnect(),
  };
}

function bare(where, url) {
  const connection = new Connection(where);
  const client = open(url);
  return {
    name: 'two round trips of HTTP to the same server, no work',
    before: () => connection.call('GET', '/v1/health'),
    test: async (n) => {
      await write(client, n);
      await client.order.deleteMany();
      await client.customer.deleteMany();
    },
    after: () => connection.call('GET', '/v1/health'),
    close: async () => {
      connection.close();
      await client.$disconnect();
    },
  };
}

async function deleteMany(url) {
  const client = open(url);
  const models = [...OTHERS.map((name) => client[name.toLowerCase()]), client.order, client.customer];
  return {
    name: 'deleteMany of 20 models, one after the other',
    before: () => undefined,
    test: (n) => write(client, n),
    after: async () => {
      for (const model of models) await model.deleteMany();
    },
    close: () => client.$disconnect(),
  };
}

async function truncate(url) {
  const client = open(url);
  const tables = ['Customer', 'Order', ...OTHERS].map((name) => `"${name}"`).join(', ');
  return {
    name: 'TRUNCATE of 20 tables, RESTART IDENTITY CASCADE',
    before: () => undefined,
    test: (n) => write(client, n),
    after: () => client.$executeRawUnsafe(`TRUNCATE ${tables} RESTART IDENTITY CASCADE`),
    close: () => client.$disconnect(),
  };
}

async function clone(url) {
  const at = (database) => Object.assign(new URL(url), { pathname: `/${database}` }).href;
  const admin = new pg.Client({ connectionString: at('postgres') });
  await admin.connect();
  await admin.query('DROP DATABASE IF EXISTS bench_template'); // of a run that was broken off
  await admin.query('CREATE DATABASE bench_template');
  const filler = new pg.Client({ connectionString: at('bench_template') });
  await filler.connect();
  await filler.query(readFileSync('schema.sql', 'utf-8'));
  await filler.end();
  let client;
  return {
    name: 'CREATE DATABASE of a template, reconnect, DROP DATABASE',
    tests: SLOW_TESTS,
    before: async () => {
      await admin.query(`CREATE DATABASE bench_copy TEMPLATE bench_template STRATEGY file_copy`);
      client = open(at('bench_copy'));
      await client.$connect();
      await client.$queryRawUnsafe('SELECT 1');
    },
    test: (n) => write(client, n),
    after: async () => {
      await client.$disconnect();
      await admin.query('DROP DATABASE bench_copy');
    },
    close: async () => {
      await admin.query('DROP DATABASE bench_template');
      await admin.end();
    },
  };
}

async function interactive(url) {
  const client = open(url);
  let tx;
  let roll;
  let done;
  return {
    name: 'an interactive transaction of Prisma, rolled back',
    before: () =>
      new Promise((resolve) => {
        done = client
          .$transaction((inner) => {
            tx = inner;
            resolve();
            return new Promise((_, reject) => (roll = reject));
          })
          .catch(() => undefined);
      }),
    test: (n) => write(tx, n),
    after: () => {
      roll(new Error('the test is over'));
      return done;
    },
    close: () => client.$disconnect(),
  };
}

async function environment(url) {
  process.env.DATABASE_URL = url;
  const { default: found } = await import('vitest-environment-prisma-postgres');
  const globals = { console: { ...console } }; // what an environment of Vitest gets to fill
  const clientPath = new URL('./generated/client/index.js', import.meta.url).pathname;
  const made = await found.setup(globals, { 'prisma-postgres': { clientPath } });
  const context = globals.prismaPostgresTestContext;
  return {
    name: 'vitest-environment-prisma-postgres 2.0.0 (*)',
    before: () => context.beginTestTransaction(),
    test: (n) => write(context.client, n),
    after: () => context.endTestTransaction(),
    close: () => made.teardown(globals),
  };
}

const serving = await serve();
const session = await Session.open(serving.where, 'bench');
const fresh = async () => (await session.worker.clone('db', 'benchmark')).url;
const ways = [
  await seatrial(session),
  bare(serving.where, await fresh()),
  await deleteMany(await fresh()),
  await truncate(await fresh()),
  await clone(await fresh()),
  await interactive(await fresh()),
  await environment(await fresh()),
];
const times = ways.map(() => []);

let n = 0;
for (let round = 0; round <= ROUNDS; round++) {
  for (const [index, way] of ways.entries()) {
    for (let test = 0; test < (way.tests ?? TESTS); test++) {
      n += 1;
      const began = performance.now();
      await way.before(n);
      const ready = performance.now();
      await way.test(n);
      const over = performance.now();
      await way.after();
      if (round > 0) times[index].push(ready - began + performance.now() - over); // the first round warms up
    }
  }
}

const heads = ['median', '90 %', 'tests', 'x ours'].map((head) => head.padStart(9)).join('');
console.log(`${'around each test, in ms'.padEnd(58)}${heads}`);
const [ours] = summary(times[0]);
for (const [index, way] of ways.entries()) {
  const [median, last] = summary(times[index]);
  const figures = [median.toFixed(2), last.toFixed(2), times[index].length, (median / ours).toFixed(2)];
  console.log(`${way.name.padEnd(58)}${figures.map((figure) => String(figure).padStart(9)).join('')}`);
}
const [reset, slow] = summary(undone).map((ms) => ms.toFixed(2).padStart(9));
console.log(`${'of Seatrial’s: the undo, as the server measured it'.padEnd(58)}${reset}${slow}${String(undone.length).padStart(9)}`);
console.log('(*) it does not wait for its rollback, which falls into the next test');
for (const way of ways) await way.close();
await session.release();
await serving.stop();
