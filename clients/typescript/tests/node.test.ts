/** Without Vitest: node:test, and any other runner. */

import { once } from 'node:events';
import { utimesSync } from 'node:fs';
import { type AddressInfo, createServer } from 'node:net';
import { join } from 'node:path';
import { afterAll, expect, it } from 'vitest';
import { Place } from './project.js';

async function freePort(): Promise<number> {
  const server = createServer().listen(0, '127.0.0.1');
  await once(server, 'listening');
  const { port } = server.address() as AddressInfo;
  server.close();
  return port;
}

const place = new Place();
afterAll(() => place.close());

it('node:test: every test starts from the baseline, and nothing is left', async () => {
  const done = await place.run(process.execPath, '--test', 'node-test/customers.mjs');
  expect(done.text).toContain('# pass 5');
  expect(done.status).toBe(0);
  expect(place.servers()).toEqual([]);
});

it('node:test: a test that runs beside another one is refused, and a subtest is not', async () => {
  const done = await place.run(process.execPath, '--test', '--test-reporter=spec', 'node-test/side-by-side.mjs');
  expect(done.text).toContain('a test was not started: it would run beside another one');
  expect(done.text).not.toMatch(/the (second|third) was started/);
  expect(done.text).toContain('✖ the second');
  expect(done.text).toContain('✖ the third');
  expect(done.text).toContain('✔ subtests side by side');
  expect(done.text).toContain('✔ afterwards');
  expect(place.servers()).toEqual([]);
});

it('node:test: one test can have another isolation', async () => {
  const done = await place.run(process.execPath, '--test', 'node-test/isolations.mjs');
  expect(done.text).toContain('# pass 3');
  expect(done.status).toBe(0);
});

it('node:test: a pool that nobody ends, and that waits for ever, does not hold the run', async () => {
  const done = await place.run('timeout', '60', process.execPath, '--test', 'node-test/unended.mjs');
  expect(done.text).toContain('# pass 1');
  expect(done.status).toBe(0);
  expect(place.servers()).toEqual([]);
});

it('node:test: where a test can not begin, none after it runs without isolation', async () => {
  const own = new Place(); // what the killed server leaves is nobody else's
  try {
    const done = await own.run(process.execPath, '--test', '--test-reporter=spec', 'node-test/gone.mjs');
    expect(done.text).not.toContain('a test was started');
    expect(done.text.match(/✖ without it, time \d/g)?.length).toBeGreaterThanOrEqual(3);
    expect(done.text).toContain('seatrial does not answer');
    expect(done.status).toBe(1);
    expect(own.servers()).toEqual([]); // its sockets, which it could not remove
  } finally {
    await own.close();
  }
});

it('node:test: files that are run one after the other can have a fixed address', async () => {
  const own = new Place();
  own.environ['SEATRIAL_DB_AT'] = `postgresql://test:test@127.0.0.1:${await freePort()}/shop`;
  try {
    const argv = ['--test', '--test-concurrency=1', 'node-test/customers.mjs', 'node-test/unended.mjs'];
    const done = await own.run(process.execPath, ...argv);
    expect(done.text).toContain('# pass 6');
    expect(done.status).toBe(0);
  } finally {
    await own.close();
  }
});

it('sockets of servers that were killed with all of their run are removed by the next run, and those that are listened to stay', async () => {
  const own = new Place();
  const [left, busy, other] = ['seatrial-0123456789ab.sock.2', 'seatrial-ba9876543210.sock', 'seatrial-own.sock'] as const;
  const listening = createServer().listen(join(own.folder, busy));
  try {
    for (const name of [left, other]) {
      const kill = `require('net').createServer().listen(process.argv[1], () => process.kill(process.pid, 'SIGKILL'))`;
      await own.run(process.execPath, '-e', kill, join(own.folder, name));
    }
    for (const name of [left, busy, other]) utimesSync(join(own.folder, name), 0, 0);
    expect((await own.run(process.execPath, 'core.mjs')).status).toBe(0);
    expect(own.servers().sort()).toEqual([busy, other]);
  } finally {
    listening.close();
    await own.close();
  }
});

it('the core alone: a test begins and ends, and the process ends by itself', async () => {
  const done = await place.run(process.execPath, 'core.mjs');
  expect(done).toEqual({ status: 0, text: '' });
  expect(place.servers()).toEqual([]);
});

it('an address that something has set anew, after it was exported, is told once: the app may use another database', async () => {
  const done = await place.run(process.execPath, 'overridden.mjs');
  expect(done.status).toBe(0);
  expect(done.text).toMatch(/^that was one\nseatrial: DATABASE_URL is no longer what Seatrial has exported.*\n$/);
});

it('no handle stays open: neither a socket, nor a pipe, nor a timer', async () => {
  const done = await place.run(process.execPath, 'handles.mjs');
  const { before, inUse, after } = JSON.parse(done.text);
  expect(inUse.files).toBeGreaterThan(before.files);
  expect(after).toEqual(before);
});

it('rollback is for PostgreSQL, and chosen for no other resource; a test that could not join it is over; an end without a beginning says nothing more', async () => {
  const lite = new Place(join(import.meta.dirname, 'lite'));
  try {
    const done = await lite.run(process.execPath, 'run.mjs');
    const wanted = [['reset', 'reset'], ['rollback', 'reset'], ['clone', 'clone']];
    expect(done.text).toContain(`${JSON.stringify(wanted)}\n`);
    expect(done.text).toContain(`${JSON.stringify([{ db: true }, {}])}\n`); // where "auto" may choose rollback
    expect(done.text).toContain('rollback is not possible here\nworker two runs no test\n');
    expect(done.text).toContain('there is no worker');
    expect(done.text.match(/^seatrial: either: `true` runs again in each run: .*$/gm)).toHaveLength(1);
    expect(done.status).toBe(0);
  } finally {
    await lite.close();
  }
});
