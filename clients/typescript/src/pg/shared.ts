/** The connection that the pools of a test share: its end is the end of the transaction, whoever still writes. */

import { clearTimeout, setTimeout } from '../core/native.js';
import type { PgClient, PgResult } from './driver.js';

const PATIENCE = 1_000;
/** Milliseconds that a query which still runs at the end may take. */

export class Shared {
  readonly client: PgClient;
  #ended: Promise<unknown> | undefined;

  constructor(client: PgClient) {
    this.client = client;
  }

  /** What comes after the end is refused by `pg`: it would be outside of the transaction. */
  async query(statement: unknown, values?: unknown): Promise<PgResult> {
    await this.#ended;
    return this.client.query(statement, values);
  }

  /** Nothing of the test stays, and the server has said so, unless a query runs for too long. */
  end(): Promise<unknown> {
    this.#ended ??= this.#rollback().then(() => this.client.end());
    return this.#ended;
  }

  async #rollback(): Promise<void> {
    let timer: NodeJS.Timeout | undefined;
    const enough = new Promise((resolve) => {
      timer = setTimeout(resolve, PATIENCE);
    });
    await Promise.race([this.client.query('ROLLBACK').catch(() => undefined), enough]);
    clearTimeout(timer);
  }
}
