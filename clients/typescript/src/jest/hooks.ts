/** What jest-circus tells of a test file: when tests begin and end, and what is written in `beforeAll`. */

import { SeatrialError } from '../core/errors.js';
import type { Layer } from '../core/layer.js';
import type { Session } from '../core/session.js';

interface Describe {
  readonly name: string;
  readonly parent?: Describe;
}

interface Test {
  readonly name: string;
  readonly parent: Describe;
  readonly errors: unknown[];
}

/** The events that we hear. */
type Event =
  | { readonly name: 'add_test'; readonly concurrent?: boolean }
  | { readonly name: 'hook_start'; readonly hook: { readonly type: string; readonly parent: Describe } }
  | { readonly name: 'test_started' | 'test_done'; readonly test: Test }
  | { readonly name: 'run_describe_finish'; readonly describeBlock: Describe }
  | { readonly name: 'other' };

/** Of one test file. */
export class Hooks {
  readonly #session: Session;
  readonly #path: string;
  readonly #layers = new Map<Describe, { readonly layer: Layer; laid: boolean }>();

  /** @param path of the file, as it is shown. */
  constructor(session: Session, path: string) {
    this.#session = session;
    this.#path = path;
  }

  /**
   * Do what an event asks for; the promise is to be awaited before the next one.
   *
   * @throws SeatrialError at once, for a test that can't be.
   */
  hear(event: Event): Promise<void> | undefined {
    switch (event.name) {
      case 'add_test':
        if (event.concurrent) throw concurrent();
        return undefined;
      case 'hook_start':
        return event.hook.type === 'beforeAll' ? this.#open(event.hook.parent) : undefined;
      case 'test_started':
        return told(event.test, () => this.#begin(event.test));
      case 'test_done':
        return told(event.test, () => this.#session.end({ failed: event.test.errors.length > 0 }));
      case 'run_describe_finish':
        return this.#lift(event.describeBlock);
      default:
        return undefined;
    }
  }

  async #begin(test: Test): Promise<void> {
    await this.#lay();
    await this.#session.begin(this.#name(test));
  }

  /** What the `beforeAll` hooks of a describe write is a layer, from the first of them on. */
  async #open(describe: Describe): Promise<void> {
    if (this.#layers.has(describe)) return;
    await this.#lay();
    this.#layers.set(describe, { layer: await this.#session.layer(this.#name(describe)), laid: false });
  }

  async #lay(): Promise<void> {
    for (const each of this.#layers.values()) {
      if (each.laid) continue;
      each.laid = true;
      await each.layer.lay();
    }
  }

  async #lift(describe: Describe): Promise<void> {
    const opened = this.#layers.get(describe);
    this.#layers.delete(describe);
    await opened?.layer.lift();
  }

  #name(inner: Test | Describe): string {
    const names: string[] = [];
    for (let each: Test | Describe | undefined = inner; each?.parent; each = each.parent) names.unshift(each.name);
    return [this.#path, ...names].join(' > ');
  }
}

/** What a beginning or an end rejects with is an error of its test: Jest would give up the whole file. */
async function told(test: Test, step: () => Promise<void>): Promise<void> {
  try {
    await step();
  } catch (error) {
    test.errors.push(error);
  }
}

function concurrent(): SeatrialError {
  return new SeatrialError({
    what: 'test.concurrent was not started',
    cause: 'tests that run at once would share one database, and undo what the others write',
    fix: 'leave out `.concurrent`: files run side by side, with a database each',
  });
}
