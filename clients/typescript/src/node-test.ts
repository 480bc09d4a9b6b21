/**
 * For node:test: import this before the app.
 *
 *     import '@seatrial/vitest/node-test';
 *     import { app } from '../src/app.js';
 *
 * Each test file is a process of its own there, so each starts a server of its own for its control; the databases'
 * servers and templates are the same ones.
 */

import { after, beforeEach, type TestContext } from 'node:test';
import { type Isolation, Session, serve } from './core/index.js';

const environ = process.env;
const serving = await serve({ root: process.cwd() });
const session = await Session.open(serving.where, `node-${process.pid}`, {
  keep: Boolean(environ['SEATRIAL_KEEP']),
});

let depth = 0;

beforeEach(async (context) => {
  const test = context as TestContext;
  depth += 1;
  if (depth === 1) await session.begin(test.name); // a subtest goes on with what its test has
  // After every afterEach of the test.
  test.after(async () => {
    depth -= 1;
    if (depth === 0) await session.end({ failed: failed(test) });
  });
});

after(async () => {
  await session.release();
  await serving.stop();
});

/** The running test goes on under another isolation, from the baseline. */
export function use(isolation: Isolation): Promise<void> {
  return session.use(isolation);
}

function failed(test: TestContext): boolean {
  return (test as { error?: Error | null }).error != null;
}
