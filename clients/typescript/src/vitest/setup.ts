/** Before each test file: this worker's database is ready, its address exported, and each test enclosed. */

import { afterAll, beforeEach, inject, type TestContext } from 'vitest';
import { SeatrialError } from '../core/errors.js';
import { Session } from '../core/session.js';
import { SequentialTest } from './context.js';
import { remember } from './current.js';
import { layers } from './layers.js';
import type {} from './provided.js';
import { Stack } from './stack.js';

/** Milliseconds. A reset takes one or two; a server that was killed takes seconds to come back. */
const AMPLE = 120_000;

const { project, pool, keep, hooks, isolation } = inject('seatrialOptions');
const name = `${pool}-${process.env['VITEST_POOL_ID'] ?? '1'}`.replace(/[^\w-]/g, '_').slice(-32);
const session = await Session.open(inject('seatrial'), name, { root: project, keep, ...(isolation && { isolation }) });
remember(session);
const stack = new Stack(session);

// Where a test has fixtures, Vitest reads from the parameters which of them a hook wants: they must be written out.
beforeEach(async ({ task, onTestFinished }) => {
  const { context } = task;
  if (task.concurrent) {
    // Ours is there by now if the test was made with our `test`.
    if (context.seatrial === undefined) throw concurrent();
    return;
  }
  context.seatrial ??= new SequentialTest(session);
  await stack.settle(task);
  await session.begin(fullName(task));
  // Registered first, so that it comes last: after every afterEach, fixture and other onTestFinished of the test.
  onTestFinished(() => session.end({ failed: task.result?.state === 'fail' }), AMPLE);
}, AMPLE);

afterAll(() => session.release());
await layers(session, stack, hooks);

function fullName(task: TestContext['task']): string {
  const names = [task.name];
  for (let suite = task.suite; suite; suite = suite.suite) names.unshift(suite.name);
  return [task.file.name, ...names].filter(Boolean).join(' > ');
}

function concurrent(): SeatrialError {
  return new SeatrialError({
    what: 'test.concurrent was not started',
    cause: 'tests that run at once would share one database, and undo what the others write',
    fix:
      'leave out `.concurrent`, or take the URL from our test context, a clone for each: ' +
      "import { test } from '@seatrial/vitest/test'; test.concurrent(name, async ({ seatrial }) => { ... seatrial.url() })",
  });
}
