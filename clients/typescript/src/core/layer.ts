/** Rows that are written once for several tests: the baseline of those tests, and gone when they are over. */

import type { Laid, Worker } from './worker.js';

/** One layer. Between `Session.layer` and `lay` its rows are written, by whatever means, and committed. */
export class Layer {
  readonly #worker: Worker;
  readonly #id: string;
  readonly #heard: (told: Laid) => Promise<void>;

  /** @param heard is called with what the server has answered. */
  constructor(worker: Worker, id: string, heard: (told: Laid) => Promise<void>) {
    this.#worker = worker;
    this.#id = id;
    this.#heard = heard;
  }

  /** The rows are written: they belong to the baseline of the tests that follow. */
  async lay(): Promise<void> {
    await this.#heard(await this.#worker.lay(this.#id));
  }

  /** Those tests are over: the rows are gone, and so is every layer that was begun after this one. */
  async lift(): Promise<void> {
    await this.#heard(await this.#worker.lift(this.#id));
  }
}
