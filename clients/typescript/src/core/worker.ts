/** One worker of a test run: its copies, and one test after the other that gets them at their baseline. */

import type { components } from './api.generated.js';
import { Connection, type Where } from './connection.js';
import { SeatrialError } from './errors.js';
import { clearInterval, setInterval } from './native.js';

type Schemas = components['schemas'];

/** How a copy gets back to its baseline. */
export type Isolation = Schemas['CheckoutRequest']['isolation'] extends infer T
  ? NonNullable<T> extends Record<string, infer V>
    ? V
    : never
  : never;
export type Checkin = Schemas['Checkin'];
export type Checkout = Schemas['Checkout'];
export type Laid = Schemas['Layer'];

const LONGEST_NAME = 1000;
const STILL_HERE = 60_000;
/** Milliseconds between signs of life during a test: the server forgets a worker that is silent for ten minutes. */

/** A copy for one of several tests that run at once. */
export interface Clone {
  readonly url: string;
  /** The variables that an app reads its address from, for this copy. */
  readonly env: Readonly<Record<string, string>>;
  /** Give it back. */
  close(): Promise<void>;
}

/** The copies of one process (or thread) that runs tests one after the other. */
export class Worker {
  readonly name: string;
  /** What the app reads: export it before the app is imported. */
  readonly env: Readonly<Record<string, string>>;
  /** By name of the resource. */
  readonly resources: Readonly<Record<string, Schemas['Ready']>>;
  /** The ids of layers that an earlier process of this name has left, as it was killed. */
  readonly layers: readonly string[];
  readonly #connection: Connection;
  /** To the thread that has this worker's copies, where it has a socket of its own. */
  readonly #direct: Connection;
  #pulse: ReturnType<typeof setInterval> | undefined;

  private constructor(where: Where, connection: Connection, told: Schemas['Worker']) {
    this.#connection = connection;
    this.#direct = told.socket ? new Connection({ ...where, socket: told.socket }, connection) : connection;
    this.name = told.worker;
    this.env = told.env;
    this.resources = told.resources;
    this.layers = told.layers;
  }

  /** Have a copy of each resource; asked again under the same name, it is the same. Starts servers and fills templates. */
  static async attach(where: Where, name: string): Promise<Worker> {
    const connection = new Connection(where);
    const told = (await connection.call('POST', '/v1/workers', { worker: name })) as Schemas['Worker'];
    return new Worker(where, connection, told);
  }

  /** Set the variables that the app reads. */
  export(environ: NodeJS.ProcessEnv = process.env): void {
    Object.assign(environ, this.env);
  }

  /**
   * A test begins. Where an earlier one never ended (its process was killed), that one is checked in first.
   *
   * @param test its name, unique in the run.
   * @param isolation for all resources, or by resource, where the test asks for another than the configured one.
   * @param joins by resource, whether the caller can hold the test in one transaction: "auto" may choose rollback then.
   */
  async checkout(
    test: string,
    isolation: Isolation | Record<string, Isolation> = {},
    joins: Record<string, boolean> = {},
  ): Promise<Checkout> {
    const message: Schemas['NextRequest'] = { test: test.slice(0, LONGEST_NAME), isolation: this.#each(isolation), joins };
    const told = (await this.#enclose('next', message)) as Schemas['Next'];
    clearInterval(this.#pulse);
    this.#pulse = setInterval(() => {
      this.#connection.call('POST', '/v1/workers', { worker: this.name }).catch(() => undefined); // the check-in tells
    }, STILL_HERE).unref();
    const notes = [...(told.checkin?.notes ?? []), ...told.checkout.notes];
    return { ...told.checkout, notes };
  }

  /** The test is over: what it wrote is undone. `told` is what it must be told; it counts as failed if there is any. */
  async checkin(test: { failed: boolean; keep?: boolean }): Promise<Checkin> {
    clearInterval(this.#pulse);
    const message: Schemas['CheckinRequest'] = { failed: test.failed, keep: test.keep ?? false };
    return (await this.#enclose('checkin', message)) as Checkin;
  }

  /** A copy of its own for one of several tests that run at once. It ends with this worker at the latest. */
  async clone(resource: string, test = ''): Promise<Clone> {
    const message: Schemas['CloneRequest'] = { resource, test: test.slice(0, LONGEST_NAME), worker: this.name };
    const told = (await this.#connection.call('POST', '/v1/clones', message)) as Schemas['Clone'];
    return {
      url: told.url,
      env: told.env,
      close: async () => {
        await this.#connection.call('DELETE', `/v1/clones/${told.id}`);
      },
    };
  }

  /** Rows for several tests are going to be written: what the last test wrote late is undone first. */
  async openLayer(name: string): Promise<Laid> {
    const message: Schemas['LayerRequest'] = { name: name.slice(0, LONGEST_NAME) };
    return (await this.#call('POST', 'layers', message)) as Laid;
  }

  /** They are written: they belong to the baseline from now on. */
  async lay(id: string): Promise<Laid> {
    return (await this.#call('POST', `layers/${id}/lay`)) as Laid;
  }

  /** Those tests are over: the layer is gone, and each that was begun after it. */
  async lift(id: string): Promise<Laid> {
    return (await this.#call('DELETE', `layers/${id}`)) as Laid;
  }

  /** The URL of this worker's copy: the same from the first test to the last. */
  url(resource: string = this.only()): string {
    return this.#known(resource).url;
  }

  /** The name of the resource, where there is only one. */
  only(): string {
    const names = Object.keys(this.resources);
    if (names.length === 1) return names[0] as string;
    throw new SeatrialError({
      what: 'which resource is meant?',
      cause: `there are ${names.length}: ${names.join(', ')}`,
      fix: `name it, as in url("${names[0] ?? 'db'}")`,
    });
  }

  /** Close the connections of this process. The copies stay for the next process of this name. */
  release(): void {
    clearInterval(this.#pulse);
    this.#direct.close();
    this.#connection.close();
  }

  /** The worker is done: its copies are dropped. */
  async end(): Promise<void> {
    await this.#connection.call('DELETE', `/v1/workers/${this.name}`);
    this.release();
  }

  #known(resource: string): Schemas['Ready'] {
    const found = this.resources[resource];
    if (found !== undefined) return found;
    throw new SeatrialError({
      what: `there is no resource "${resource}"`,
      cause: '',
      fix: `the resources are: ${Object.keys(this.resources).join(', ')}`,
    });
  }

  #each(isolation: Isolation | Record<string, Isolation>): Record<string, Isolation> {
    if (typeof isolation !== 'string') return isolation;
    return Object.fromEntries(Object.keys(this.resources).map((name) => [name, isolation]));
  }

  #enclose(step: 'next' | 'checkin', message: unknown): Promise<unknown> {
    return this.#direct.call('POST', `/v1/workers/${this.name}/${step}`, message);
  }

  #call(method: string, step: string, message?: unknown): Promise<unknown> {
    return this.#connection.call(method, `/v1/workers/${this.name}/${step}`, message);
  }
}
