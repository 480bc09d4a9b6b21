/** What is told where the configuration of Jest lacks something of ours. */

import { SeatrialError } from '../core/errors.js';

/** An environment that is not ours. */
export function notIsolated(): SeatrialError {
  return new SeatrialError({
    what: 'the tests were not started: nothing would isolate them',
    cause: "the configuration of Jest names one of Jest's own test environments, which takes the place of ours",
    fix: 'leave out `testEnvironment`, or write "@seatrial/vitest/jest/environment"; what it exports can wrap another one',
  });
}

/** No set-up file of ours. */
export function withoutSetup(): SeatrialError {
  return new SeatrialError({
    what: 'the tests were not started: the configuration of Jest lacks our set-up file',
    cause: 'without it, an app loses its idle connections of `pg` as errors that nobody handles',
    fix: 'add "@seatrial/vitest/jest/setup" to `setupFiles`',
  });
}
