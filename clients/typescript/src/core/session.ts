/** What a test runner does around each test, whichever runner it is. */

import type { Load } from '../pg/driver.js';
import { Pools } from '../pg/pools.js';
import type { Where } from './connection.js';
import { isElsewhere } from './elsewhere.js';
import { SeatrialError } from './errors.js';
import { Layer } from './layer.js';
import { type Checkin, type Checkout, type Isolation, Worker } from './worker.js';

export interface SessionOptions {
  /** The project's folder: where its `pg` is looked for. Default: the working directory. */
  readonly root?: string;
  /** How copies get back to their baseline, where it is not to be as configured. */
  readonly isolation?: Isolation;
  /** Keep the copies of failed tests, and tell their URLs. */
  readonly keep?: boolean;
  /** The variables that the app reads, where those are not this process's own: they are set too. */
  readonly environ?: NodeJS.ProcessEnv;
  /** Loads the app's `pg` from a file, where it is not what this process would import. */
  readonly load?: Load;
}

/** One process that runs tests one after the other: `begin` and `end` enclose each. */
export class Session {
  readonly worker: Worker;
  readonly #pools: Pools;
  readonly #options: SessionOptions;
  #test: string | undefined;
  /** The last beginning has failed, and said why. */
  #unbegun = false;
  #overridden = false;

  private constructor(worker: Worker, pools: Pools, options: SessionOptions) {
    this.worker = worker;
    this.#pools = pools;
    this.#options = options;
  }

  /** Attach a worker and export its variables: after this the app may be imported. */
  static async open(where: Where, name: string, options: SessionOptions = {}): Promise<Session> {
    const worker = await Worker.attach(where, name);
    worker.export();
    if (options.environ !== undefined) worker.export(options.environ);
    const [left] = worker.layers;
    if (left !== undefined) say((await worker.lift(left)).notes); // of a process that was killed
    const urls = Object.values(worker.resources).map((resource) => resource.url).filter(isPostgres);
    return new Session(worker, await Pools.patch(options.root ?? process.cwd(), urls, options.load), options);
  }

  /** The name of the running test, if one runs. */
  get test(): string | undefined {
    return this.#test;
  }

  /** A test begins, with every copy at its baseline. */
  async begin(test: string, isolation: Isolation | undefined = this.#options.isolation): Promise<void> {
    await this.#pools.leave(); // of a test that never ended
    this.#look();
    this.#unbegun = true;
    const told = await this.worker.checkout(test, this.#each(isolation), this.#joins());
    say(told.notes);
    try {
      await this.#join(told);
    } catch (error) {
      await this.worker.checkin({ failed: true }).catch(() => undefined); // it never began: that is told
      throw error;
    }
    this.#unbegun = false;
    this.#test = test;
    if (Object.values(told.resources).some((lease) => lease.late !== null)) await this.#pools.refreshed();
  }

  /** The running test goes on under another isolation, from the baseline. */
  async use(isolation: Isolation): Promise<void> {
    const test = this.#test;
    if (test === undefined) throw noTest();
    await this.end({ failed: false });
    await this.begin(test, isolation);
  }

  /** Rows for several tests are written next, between two tests: call `lay` when they are, and `lift` after the tests. */
  async layer(name: string): Promise<Layer> {
    const { id, notes } = await this.worker.openLayer(name);
    say(notes);
    return new Layer(this.worker, id, async (told) => {
      say(told.notes);
      if (told.resources.length > 0) await this.#pools.refreshed(); // every connection to them has ended
    });
  }

  /** The test is over. Rejects with what it must be told: what it left behind, or did to its database. */
  async end(test: { failed: boolean }): Promise<void> {
    const unbegun = this.#unbegun;
    this.#unbegun = false;
    this.#test = undefined;
    await this.#pools.leave();
    if (unbegun) return; // nothing to end: and another error would stand before the one that tells why
    const told = await this.worker.checkin({ failed: test.failed, keep: (this.#options.keep ?? false) && test.failed });
    if (Object.values(told.undone).some((undone) => undone.path === 'clone')) await this.#pools.refreshed();
    const problems = told.told.map((problem) => new SeatrialError(problem));
    say([...told.notes, ...report(told)]);
    if (problems.length === 1) throw problems[0];
    if (problems.length > 1) throw new AggregateError(problems, problems.map((each) => each.what).join('\n'));
  }

  /** Say once where the app does not read what we have exported: somebody's own database is at stake. */
  #look(): void {
    if (this.#overridden) return;
    const environ = this.#options.environ ?? process.env;
    const changed = Object.entries(this.worker.env).filter(([name, value]) => isElsewhere(value, environ[name]));
    this.#overridden = changed.length > 0;
    if (this.#overridden) say([overridden(changed.map(([name]) => name))]);
  }

  async #join({ resources }: Checkout): Promise<void> {
    const joined = Object.values(resources).filter((lease) => lease.isolation === 'rollback');
    if (joined.length === 0) return;
    if (!this.#pools.joinable) throw nothingToJoin();
    await this.#pools.join(joined.map((lease) => lease.url));
  }

  /** What may be in rollback without having been asked for it. */
  #joins(): Record<string, boolean> {
    const urls = Object.entries(this.worker.resources).filter(([, { url }]) => this.#pools.joinable && isPostgres(url));
    return Object.fromEntries(urls.map(([name]) => [name, true]));
  }

  /** By resource, where it is not as configured. What can't be joined, as only pools of `pg` can, is not in rollback. */
  #each(isolation: Isolation | undefined): Record<string, Isolation> {
    const each: Record<string, Isolation> = {};
    for (const [name, { url, isolation: configured }] of Object.entries(this.worker.resources)) {
      const joinable = isPostgres(url);
      if (!joinable && configured === 'rollback' && (isolation ?? 'rollback') === 'rollback') each[name] = 'reset';
      else if (isolation !== undefined && (joinable || isolation !== 'rollback')) each[name] = isolation;
    }
    return each;
  }

  /** No test follows in this file: nothing of ours stays open. */
  async release(): Promise<void> {
    await this.#pools.leave();
    this.worker.release();
  }
}

function isPostgres(url: string): boolean {
  return /^postgres(ql)?:/.test(url);
}

/** For people, on standard error: what should be read, though no test failed because of it. */
function say(lines: readonly string[]): void {
  if (lines.length > 0) process.stderr.write(lines.map((line) => `seatrial: ${line}\n`).join(''));
}

function report(told: Checkin): string[] {
  const kept = Object.entries(told.kept).map(([name, url]) => `kept ${name} of ${told.test}: ${url}`);
  const logs = Object.entries(told.logs).map(([name, text]) => `log of ${name} in ${told.test}\n${text}`);
  return [...logs, ...kept];
}

function overridden(names: readonly string[]): string {
  const all = names.join(', ');
  return (
    `${all} ${names.length === 1 ? 'is' : 'are'} no longer what Seatrial has exported: something has set it since, as dotenv ` +
    'does with `override`. What reads it now writes to another database, where nothing is undone: leave out the override'
  );
}

function nothingToJoin(): SeatrialError {
  return new SeatrialError({
    what: 'rollback is not possible here',
    cause: 'it joins the pools of the `pg` package, and the project does not have that package',
    fix: 'use reset: it needs nothing of the project',
  });
}

function noTest(): SeatrialError {
  return new SeatrialError({
    what: 'no test is running',
    cause: 'the isolation of a test can be changed in the test and in its beforeEach hooks only',
    fix: 'for a whole project: seatrial({ isolation: "clone" }) in the configuration of Vitest',
  });
}
