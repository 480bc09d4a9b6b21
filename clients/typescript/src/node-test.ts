/**
 * For node:test: import this before the app.
 *
 *     import '@seatrial/vitest/node-test';
 *     import { app } from '../src/app.js';
 *
 * Each test file is a process of its own there, so each starts a server of its own for its control; the databases'
 * servers and templates are the same ones.
 */

import { AsyncResource } from 'node:async_hooks';
import { after, beforeEach, type TestContext } from 'node:test';
import { type Isolation, SeatrialError, Session, serve } from './core/index.js';

const environ = process.env;
const serving = await serve({ root: process.cwd() });
const session = await Session.open(serving.where, `node-${process.pid}`, {
  keep: Boolean(environ['SEATRIAL_KEEP']),
});

/** Whose turn it is, until all that it wrote is undone. */
let running: TestContext | undefined;

// Not async: Node has one state for all runs of a hook, and what is thrown at once is there when it looks.
beforeEach((context) => {
  const test = context as TestContext;
  if (running === undefined) return begin(test);
  if (!isInside(test, running)) throw sideBySide();
  return undefined; // a subtest goes on with what its test has
});

function begin(test: TestContext): Promise<void> {
  running = test;
  if (!stops) stopLast();
  stops = true;
  const begun = session.begin(test.name);
  // After every afterEach of the test; it may be over before it has begun, for a time-out or a refusal of another one.
  test.after(async () => {
    try {
      if (await begun.then(() => true, () => false)) await session.end({ failed: failed(test) });
    } finally {
      running = undefined;
    }
  });
  return begun;
}

async function stop(): Promise<void> {
  await session.release();
  await serving.stop();
}

/**
 * Hooks run in the order in which they are there. What the file does in those of its own, as closing the app does, wants
 * the databases still: ours is added when the first test begins. Bound, or it would belong to that test's hook.
 *
 * Not when the process has nothing to do any more: it has, as long as a pool that nobody ends has connections.
 */
const stopLast = AsyncResource.bind(() => after(stop));
let stops = false;

after(() => {
  if (!stops) process.once('beforeExit', stop); // no test began
});

/** The running test goes on under another isolation, from the baseline. */
export function use(isolation: Isolation): Promise<void> {
  return session.use(isolation);
}

function failed(test: TestContext): boolean {
  return (test as { error?: Error | null }).error != null;
}

/** A full name has the names of all tests around it; Node has it since 20.16 (and 22.3). */
function isInside(test: TestContext, outer: TestContext): boolean {
  const [name, around] = [test, outer].map((each) => (each as { fullName?: string }).fullName);
  return name === undefined || name.startsWith(`${around} > `);
}

function sideBySide(): SeatrialError {
  return new SeatrialError({
    what: 'a test was not started: it would run beside another one',
    cause: 'tests that run at once would share one database, and undo what the others write',
    fix: 'leave out `concurrency` where tests use the database; test files run side by side, with a database each',
  });
}
