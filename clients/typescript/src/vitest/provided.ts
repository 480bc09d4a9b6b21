/** What the global set-up tells the workers. */

import type { Where } from '../core/connection.js';
import type { Command } from '../core/find.js';
import type { Isolation } from '../core/worker.js';

declare module 'vitest' {
  interface ProvidedContext {
    seatrial: Where;
    seatrialOptions: {
      /** Of the configuration. */
      readonly root: string;
      /** Where the project's own packages are found. */
      readonly project: string;
      /** Ids of workers are unique among those of one pool only. */
      readonly pool: string;
      readonly keep: boolean;
      /** The order of hooks: `sequence.hooks`. */
      readonly hooks: 'stack' | 'list';
      readonly isolation?: Isolation;
      readonly command?: Command;
    };
  }
}
