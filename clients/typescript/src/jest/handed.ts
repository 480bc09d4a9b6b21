/** What the environment of a test file, and our modules inside the file's own context, hand each other. */

import type { Isolation } from '../core/worker.js';

/** Where it is, on the global object of the file's context. The modules inside write the same name: they are CommonJS. */
export const HANDED: unique symbol = Symbol.for('@seatrial/vitest: jest') as never;

export interface Handed {
  /** Loads a module as the test file does; set by our set-up file. */
  load?: (file: string) => unknown;
  /** The running test goes on under another isolation. */
  use(isolation: Isolation): Promise<void>;
}
