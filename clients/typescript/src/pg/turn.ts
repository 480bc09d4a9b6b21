/** Who may use the one connection now: everybody else waits, but not for ever. */

import { SeatrialError } from '../core/errors.js';
import { clearTimeout, setTimeout } from '../core/native.js';

const PATIENCE = 5_000;
/** Milliseconds. Less than most tests have, so that the reason is told and not a time-out. */

/** Gives back the turn. */
export type Done = () => void;

export class Turn {
  readonly #waiting: (() => void)[] = [];
  #taken = false;

  /** Wait for the turn; resolves to how it is given back. */
  take(): Promise<Done> {
    if (!this.#taken) return Promise.resolve(this.#give());
    return new Promise((resolve, reject) => {
      const called = (): void => {
        clearTimeout(timer);
        resolve(this.#give());
      };
      const timer = setTimeout(() => {
        this.#waiting.splice(this.#waiting.indexOf(called), 1);
        reject(stuck());
      }, PATIENCE);
      this.#waiting.push(called);
    });
  }

  #give(): Done {
    this.#taken = true;
    let over = false;
    return () => {
      if (over) return;
      over = true;
      this.#taken = false;
      this.#waiting.shift()?.();
    };
  }
}

function stuck(): SeatrialError {
  return new SeatrialError({
    what: 'a query waits for a transaction that waits for it',
    cause: 'in rollback mode all connections of a test are one, and it is in the middle of a transaction',
    fix: 'run this test under reset: await seatrial.use("reset")',
  });
}
