/** The session of this process: shared by our set-up file and by what tests import from us. */

import type { Session } from '../core/session.js';

const CURRENT = Symbol.for('@seatrial/vitest: session');
const globals = globalThis as { [CURRENT]?: Session };

/** Remember the session; a file that follows in the same process replaces it. */
export function remember(session: Session): void {
  globals[CURRENT] = session;
}

/** The session, once the set-up file has run. */
export function current(): Session | undefined {
  return globals[CURRENT];
}
