/** Statements that tell by themselves what becomes of them: query objects of `pg`, cursors and streams. */

import type { PgClient, PgResult } from './driver.js';
import type { Shared } from './shared.js';

/** What `pg` calls on them. */
export interface Submittable {
  readonly text?: unknown;
  callback?: unknown;
  submit(connection: unknown): void;
  handleCommandComplete(message: { text: string }, connection: unknown): void;
  handleError(error: unknown, connection: unknown): void;
  handleReadyForQuery(connection: unknown): void;
}

export function isSubmittable(value: unknown): value is Submittable {
  return typeof (value as { submit?: unknown } | null)?.submit === 'function';
}

/** One of them that is sent, or answered in the place of the server: it is told once. */
export class Submitted {
  readonly #statement: Submittable;
  readonly #client: PgClient;
  #told = false;

  constructor(statement: Submittable, client: PgClient) {
    this.#statement = statement;
    this.#client = client;
  }

  get text(): unknown {
    return this.#statement.text;
  }

  /** Resolves when it has ended, however it did: `pg` has told it by then. */
  send(shared: Shared): Promise<undefined> {
    const statement = this.#statement;
    return new Promise((resolve, reject) => {
      for (const last of ['handleError', 'handleReadyForQuery'] as const) {
        const tell = statement[last] as (...told: unknown[]) => void;
        statement[last] = (...told: unknown[]): void => {
          this.#told = true;
          resolve(undefined);
          tell.apply(statement, told);
        };
      }
      shared.query(statement).catch(reject);
    });
  }

  /** What was done in its place went well. */
  answer({ command }: PgResult): void {
    this.#statement.handleCommandComplete({ text: command }, this.#client.connection);
    this.#statement.handleReadyForQuery(this.#client.connection);
  }

  /** It was refused. What fails after its end is not its own. */
  fail(error: unknown): void {
    if (!this.#told) this.#statement.handleError(error, this.#client.connection);
  }
}
