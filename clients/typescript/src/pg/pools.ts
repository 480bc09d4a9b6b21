/** The app's `pg` pools and clients that lead to our copies: the only place where another library is changed. */

import { setImmediate, stringify } from '../core/native.js';
import { drivers, type Load, type Pg, type PgClient, type PgPool, type PoolCallback } from './driver.js';
import { outlive } from './ended.js';
import { Joined, type JoinedConnection } from './joined.js';

const STATE = Symbol.for('@seatrial/vitest: pools');

interface Target {
  readonly joined: Joined | undefined;
}

interface State {
  /** By address of a copy, as `addressOf` writes it. */
  targets: ReadonlyMap<string, Target>;
}

type PatchedPool = PgPool & { [STATE]?: State };

/**
 * What the app's pools are told.
 *
 * A pool that leads to a copy of ours survives the end of its idle connections, which a fresh clone brings with it;
 * and while a test runs in rollback mode, it lends out savepoints of the one transaction.
 */
export class Pools {
  readonly #drivers: readonly Pg[];
  readonly #urls: readonly string[];
  readonly #states: readonly State[];
  #joined: readonly Joined[] = [];

  private constructor(found: readonly Pg[], urls: readonly string[]) {
    this.#drivers = found;
    this.#urls = urls;
    this.#states = found.map(patch);
    this.#point(new Map());
  }

  /** Patch every `pg` of the project. Called again in the same process, it takes over from the one before. */
  static async patch(root: string, urls: readonly string[], load?: Load): Promise<Pools> {
    return new Pools(await drivers(root, load), urls);
  }

  /** Whether there is a `pg` here: what rollback needs. */
  get joinable(): boolean {
    return this.#drivers.length > 0;
  }

  /** From now on, pools on these URLs share one transaction each. */
  async join(urls: readonly string[]): Promise<void> {
    const pg = this.#drivers[0];
    if (pg === undefined) return;
    const tried = await Promise.allSettled(urls.map(async (url) => [url, await Joined.begin(pg, url)] as const));
    const opened = tried.filter((each) => each.status === 'fulfilled').map((each) => each.value);
    this.#joined = opened.map(([, joined]) => joined);
    const failed = tried.find((each) => each.status === 'rejected');
    if (failed !== undefined) {
      await this.leave();
      throw failed.reason;
    }
    this.#point(new Map(opened));
  }

  /** The shared transactions are rolled back; pools connect for themselves again. */
  async leave(): Promise<void> {
    const joined = this.#joined;
    if (joined.length === 0) return;
    this.#joined = [];
    this.#point(new Map());
    await Promise.all(joined.map((each) => each.rollback()));
  }

  /** The copies were replaced: wait until the pools have seen that their idle connections ended. */
  async refreshed(): Promise<void> {
    // The server ended them before it answered us, so the news is here: two rounds read all of it.
    for (let round = 0; round < 2; round++) await new Promise((resolve) => setImmediate(resolve));
  }

  #point(joined: ReadonlyMap<string, Joined>): void {
    for (const [index, state] of this.#states.entries()) {
      const pg = this.#drivers[index] as Pg;
      state.targets = new Map(
        this.#urls.map((url) => [addressOf(new pg.Client({ connectionString: url })), { joined: joined.get(url) }]),
      );
    }
  }
}

function addressOf({ host, port, user, database }: PgClient): string {
  return stringify([host === 'localhost' ? '127.0.0.1' : host, port, user, database]);
}

function patch(pg: Pg): State {
  const prototype = pg.Pool.prototype as PatchedPool;
  const before = prototype[STATE];
  if (before !== undefined) return before;
  const state: State = { targets: new Map() };
  const known = new WeakMap<PgPool, { address: string; options: string | undefined }>();
  const connect = prototype.connect;
  const client = pg.Client.prototype;
  const connectClient = client.connect;
  client.connect = function (this: PgClient, ...callback: unknown[]): Promise<unknown> {
    if (state.targets.has(addressOf(this))) outlive(this);
    return connectClient.apply(this, callback);
  };
  prototype[STATE] = state;
  prototype.connect = function (this: PgPool, callback?: PoolCallback): unknown {
    let leads = known.get(this);
    if (leads === undefined) {
      const client = new pg.Client(this.options);
      leads = { address: addressOf(client), options: client.connectionParameters.options };
      known.set(this, leads);
      if (state.targets.has(leads.address)) this.on('error', () => undefined);
    }
    const joined = state.targets.get(leads.address)?.joined;
    if (joined === undefined || this.ending) return connect.call(this, callback);
    return lend(joined.connection(this, leads.options), callback);
  };
  return state;
}

function lend(lent: Promise<JoinedConnection>, callback: PoolCallback | undefined): unknown {
  if (callback === undefined) return lent;
  lent.then(
    (connection) => process.nextTick(() => callback(undefined, connection, connection.release)),
    (error: Error) => process.nextTick(() => callback(error, undefined, () => undefined)),
  );
  return undefined;
}
