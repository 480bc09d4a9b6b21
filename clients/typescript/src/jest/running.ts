/** The server of this run: between Jest's two global modules, and for its workers. */

import type { Where } from '../core/connection.js';
import { SeatrialError } from '../core/errors.js';
import { type ServeOptions, type Serving, serve } from '../core/serve.js';

const RUNNING = Symbol.for('@seatrial/vitest: server of Jest');
const globals = globalThis as { [RUNNING]?: Serving | undefined };

/** The workers of Jest inherit this variable. */
const WHERE = 'SEATRIAL_JEST';

/** Start it, unless another project of this run has. */
export async function start(options: ServeOptions): Promise<void> {
  if (globals[RUNNING] !== undefined) return;
  globals[RUNNING] = await serve(options);
  process.env[WHERE] = JSON.stringify(globals[RUNNING].where);
}

/** End it; resolves when its copies are dropped. */
export async function stop(): Promise<void> {
  const serving = globals[RUNNING];
  globals[RUNNING] = undefined;
  delete process.env[WHERE];
  await serving?.stop();
}

/**
 * Where it answers.
 *
 * @throws SeatrialError if there is none.
 */
export function where(): Where {
  const told = process.env[WHERE];
  if (told !== undefined) return JSON.parse(told) as Where;
  throw new SeatrialError({
    what: 'Seatrial was not started before the tests',
    cause: 'the configuration of Jest does not have our `globalSetup`, or has another one in its place',
    fix: 'write `globalSetup: "@seatrial/vitest/jest/global-setup"`, or call what that exports in your own',
  });
}
