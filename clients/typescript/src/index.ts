/// <reference types="vitest" preserve="true" />
// First: a compiler that comes here before it has seen that module takes what we add to it for all of it.
/** `plugins: [seatrial()]` in `vitest.config.ts` is all. */

import type { TestSeatrial } from './vitest/context.js';

export { SeatrialError } from './core/errors.js';
export type { Isolation } from './core/worker.js';
export type { TestSeatrial } from './vitest/context.js';
export { type SeatrialOptions, seatrial } from './vitest/plugin.js';

declare module 'vitest' {
  interface TestContext {
    /** The databases of this test. */
    seatrial: TestSeatrial;
  }
}
