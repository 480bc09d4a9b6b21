/** A `test` whose context can hand out databases, and the isolation of a file or a `describe`. */

import { beforeEach, test as vitestTest } from 'vitest';
import { SeatrialError } from '../core/errors.js';
import type { Isolation } from '../core/worker.js';
import { ConcurrentTest, SequentialTest, type TestSeatrial } from './context.js';
import { current } from './current.js';

/** As Vitest's own, with `seatrial` in its context; in a concurrent test its URLs are clones. */
export const test = vitestTest.extend<{ seatrial: TestSeatrial }>({
  seatrial: [
    async ({ task }, use) => {
      const session = current();
      if (session === undefined) throw notSetUp();
      if (!task.concurrent) {
        await use(new SequentialTest(session));
        return;
      }
      const own = new ConcurrentTest(session, `${task.file.name} > ${task.name}`);
      await use(own);
      await own.close();
    },
    { auto: true },
  ],
});

export { test as it };

/** Every test of this file, or of this `describe`, runs under another isolation than the configured one. */
export function isolation(wanted: Isolation): void {
  beforeEach(async ({ seatrial }) => {
    await seatrial.use(wanted);
  });
}

function notSetUp(): SeatrialError {
  return new SeatrialError({
    what: '`test` of @seatrial/vitest runs without Seatrial',
    cause: 'the plugin is not in the configuration of this Vitest project',
    fix: "write plugins: [seatrial()] in vitest.config.ts, with `seatrial` from '@seatrial/vitest'",
  });
}
