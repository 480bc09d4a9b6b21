/** The layers that are open, from the outermost to the innermost. */

import type { RunnerTestSuite, TestContext } from 'vitest';
import type { Layer } from '../core/layer.js';
import type { Session } from '../core/session.js';

type Suite = Readonly<RunnerTestSuite>;
type Task = Suite | TestContext['task'];

/** Where an afterAll throws or is timed out, Vitest runs none of the hooks after it: ours may be one of those. */
export class Stack {
  readonly #session: Session;
  readonly #open: { readonly suite: Suite; readonly layer: Layer }[] = [];

  constructor(session: Session) {
    this.#session = session;
  }

  /** What `suite` writes next is its layer. */
  async open(suite: Suite, name: string): Promise<Layer> {
    await this.#keep(around(suite));
    const layer = await this.#session.layer(name);
    this.#open.push({ suite, layer });
    return layer;
  }

  /** `suite` is over. */
  async lift(suite: Suite): Promise<void> {
    await this.#liftFrom(this.#open.findIndex((each) => each.suite === suite));
  }

  /** Lift what is no layer of this test's: the describe that had it is over. */
  async settle(test: TestContext['task']): Promise<void> {
    await this.#keep(around(test));
  }

  async #keep(suites: ReadonlySet<unknown>): Promise<void> {
    await this.#liftFrom(this.#open.findIndex((each) => !suites.has(each.suite)));
  }

  /** That of a layer takes those with it that were begun after it. */
  async #liftFrom(index: number): Promise<void> {
    if (index < 0) return;
    const [outermost] = this.#open.splice(index);
    await outermost?.layer.lift();
  }
}

function around(task: Task): ReadonlySet<unknown> {
  const found = new Set<unknown>('filepath' in task ? [] : [task.file]);
  for (let suite = task.suite; suite; suite = suite.suite) found.add(suite);
  return found;
}
