/** What a test can ask of us: `seatrial` in its context. */

import type { Session } from '../core/session.js';
import type { Clone, Isolation } from '../core/worker.js';

/** The databases of one test. */
export interface TestSeatrial {
  /**
   * The URL of a resource. In a concurrent test it is a clone that no other test sees; otherwise it is this worker's
   * database, whose URL is the same from the first test to the last.
   *
   * @param resource its name; it may be left out where there is only one.
   */
  url(resource?: string): Promise<string>;
  /**
   * Go on under another isolation, from the baseline: the first thing in a test, or in a `beforeEach`. "rollback" is for
   * PostgreSQL; all else stays as it is configured.
   */
  use(isolation: Isolation): Promise<void>;
}

/** `seatrial` of a test that has the worker's copies for itself. */
export class SequentialTest implements TestSeatrial {
  readonly #session: Session;

  constructor(session: Session) {
    this.#session = session;
  }

  url(resource?: string): Promise<string> {
    return Promise.resolve(this.#session.worker.url(resource));
  }

  use(isolation: Isolation): Promise<void> {
    return this.#session.use(isolation);
  }
}

/** `seatrial` of a test that runs beside others: each resource that it asks for is a clone. */
export class ConcurrentTest implements TestSeatrial {
  readonly #session: Session;
  readonly #name: string;
  readonly #clones = new Map<string, Promise<Clone>>();

  constructor(session: Session, name: string) {
    this.#session = session;
    this.#name = name;
  }

  async url(resource: string = this.#session.worker.only()): Promise<string> {
    const clone = this.#clones.get(resource) ?? this.#session.worker.clone(resource, this.#name);
    this.#clones.set(resource, clone);
    return (await clone).url;
  }

  /** A clone has no other isolation. */
  use(): Promise<void> {
    return Promise.resolve();
  }

  /** Give the clones back. */
  async close(): Promise<void> {
    await Promise.all([...this.#clones.values()].map(async (clone) => (await clone).close()));
  }
}
