/** Rows that are written once for several tests: the baseline of those tests, and gone when they are over. */

import type { Worker } from './worker.js';

/** One layer. Between `Session.layer` and `lay` its rows are written, by whatever means, and committed. */
export class Layer {
  readonly #worker: Worker;
  readonly #id: string;
  readonly #replaced: () => Promise<void>;

  /** @param replaced is called when the copies were replaced: every connection to them has ended. */
  constructor(worker: Worker, id: string, replaced: () => Promise<void>) {
    this.#worker = worker;
    this.#id = id;
    this.#replaced = replaced;
  }

  /** The rows are written: they belong to the baseline of the tests that follow. */
  async lay(): Promise<void> {
    const { resources } = await this.#worker.lay(this.#id);
    if (resources.length > 0) await this.#replaced();
  }

  /** Those tests are over: the rows are gone, and so is every layer that was begun after this one. */
  async lift(): Promise<void> {
    const { resources } = await this.#worker.lift(this.#id);
    if (resources.length > 0) await this.#replaced();
  }
}
