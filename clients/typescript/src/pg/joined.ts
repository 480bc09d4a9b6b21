/** One transaction that holds a whole test: what the app's pools hand out are savepoints in it. */

import { EventEmitter } from 'node:events';
import type { Pg, PgClient, PgPool, PgQuery, PgResult } from './driver.js';
import { Prepared } from './prepared.js';
import { beyond, settings, several, unheard, unlike, whole } from './refused.js';
import { Shared } from './shared.js';
import { type Effect, type Statement, statements } from './statements.js';
import { isSubmittable, type Submittable, Submitted } from './submitted.js';
import { type Done, Turn } from './turn.js';

const ABORTED = '25P02';
const IN_A_BLOCK = '25001';

const NOTHING: Statement = { does: 'other', words: '' };
const ENDS: ReadonlySet<Effect> = new Set(['begin', 'commit', 'rollback', 'isolation', 'unholdable']);
const REFUSED: Partial<Record<Effect, typeof unlike>> = { isolation: unlike, unholdable: beyond, unheard };
/** What the server calls those that only a transaction block takes, by their first word. */
const NAMES: Readonly<Record<string, string>> = {
  savepoint: 'SAVEPOINT',
  release: 'RELEASE SAVEPOINT',
  rollback: 'ROLLBACK TO SAVEPOINT',
  lock: 'LOCK TABLE',
  declare: 'DECLARE CURSOR',
};

/** The outer transaction, on a connection of its own. */
export class Joined {
  readonly #shared: Shared;
  readonly #turn = new Turn();
  readonly #known = new WeakSet<PgPool>();
  #count = 0;

  private constructor(client: PgClient) {
    this.#shared = new Shared(client);
  }

  /** Connect to `url`, and begin. */
  static async begin(pg: Pg, url: string): Promise<Joined> {
    const client = new pg.Client({ connectionString: url, application_name: 'seatrial rollback' });
    client.on('error', () => undefined); // the next statement tells
    try {
      await client.connect();
      await client.query('BEGIN');
    } catch (error) {
      void client.end().catch(() => undefined);
      throw error;
    }
    return new Joined(client);
  }

  /** Nothing of the test stays. */
  async rollback(): Promise<void> {
    await this.#shared.end();
  }

  /**
   * What a pool hands out in the place of a connection.
   *
   * @param options the `options` of a connection that the pool would make.
   */
  async connection(pool: PgPool, options: string | undefined): Promise<JoinedConnection> {
    if (options !== this.#shared.client.connectionParameters.options) throw settings(options);
    const made = new JoinedConnection(this.#shared, this.#turn, () => `seatrial_${++this.#count}`, pool.options['types']);
    if (!this.#known.has(pool)) {
      await (pool.options['onConnect'] as ((client: unknown) => unknown) | undefined)?.(made);
      this.#known.add(pool);
      pool.emit('connect', made); // what it asks for comes before what whoever waits for this one asks for
    }
    return made;
  }
}

/** Looks like a `pg` client that a pool has lent; its transactions are savepoints. */
export class JoinedConnection extends EventEmitter {
  readonly #client: PgClient;
  readonly #shared: Shared;
  readonly #turn: Turn;
  readonly #name: () => string;
  readonly #types: unknown;
  readonly #prepared: Prepared;
  #last: Promise<unknown> = Promise.resolve();
  #returned = false;
  #open: { readonly savepoint: string; readonly done: Done } | undefined;

  constructor(shared: Shared, turn: Turn, name: () => string, types: unknown) {
    super();
    this.#client = shared.client;
    this.#shared = shared;
    this.#turn = turn;
    this.#name = name;
    this.#types = types;
    this.#prepared = new Prepared(shared.client, () => `${name()}_`);
  }

  get processID(): number | null {
    return this.#client.processID;
  }

  get database(): string | undefined {
    return this.#client.database;
  }

  get user(): string | undefined {
    return this.#client.user;
  }

  get host(): string {
    return this.#client.host;
  }

  get port(): number {
    return this.#client.port;
  }

  escapeLiteral(text: string): string {
    return this.#client.escapeLiteral(text);
  }

  escapeIdentifier(text: string): string {
    return this.#client.escapeIdentifier(text);
  }

  getTypeParser(...type: unknown[]): unknown {
    return this.#client.getTypeParser(...type);
  }

  /** Of the app's own transaction: idle, open or failed. */
  getTransactionStatus(): string | null {
    return this.#open === undefined ? 'I' : (this.#client.getTransactionStatus?.() ?? null);
  }

  /** As `pg` has it: with a text or an object, values, and a callback or none. */
  query(statement: unknown, values?: unknown, callback?: unknown): unknown {
    if (statement == null) return this.#client.query(statement); // which throws
    if (isSubmittable(statement)) return this.#submit(statement, [values, callback].find(isCallback));
    const told = [values, callback, (statement as { callback?: unknown } | null)?.callback].find(isCallback);
    const given = isCallback(values) ? undefined : values;
    const result = this.#next(statement, given);
    if (told === undefined) return result;
    result.then(
      (found) => told(null, found),
      (error: Error) => told(error, undefined),
    );
    return undefined;
  }

  /** The pool gets it back; a transaction that was left open is rolled back. */
  readonly release = (): void => {
    if (this.#returned) throw new Error('Release called on client which has already been released to the pool.');
    this.#returned = true;
    this.#last = this.#last.then(() => this.#finish('rollback')).catch(() => undefined);
  };

  /** It is told by `pg` what became of it, or by us where it was not sent. */
  #submit(statement: Submittable, callback: unknown): Submittable {
    if (callback !== undefined) statement.callback ??= callback;
    const submitted = new Submitted(statement, this.#client);
    this.#next(submitted, undefined).then(
      (done) => done !== undefined && submitted.answer(done),
      (error: Error) => submitted.fail(error),
    );
    return statement;
  }

  #next(statement: unknown, values: unknown): Promise<PgResult | undefined> {
    const result = this.#last.then(() => this.#run(statement, values));
    this.#last = result.catch(() => undefined);
    return result;
  }

  /** Resolves to nothing where the statement has been told by `pg`. */
  async #run(statement: unknown, values: unknown): Promise<PgResult | undefined> {
    const text = textOf(statement);
    const all = statements(text);
    const { does, words } = all[0] ?? NOTHING;
    const alone = all.length < 2;
    if (!alone && all.some((each) => ENDS.has(each.does))) throw several(text);
    const refuse = all.map((each) => REFUSED[each.does]).find((each) => each !== undefined);
    if (refuse !== undefined) throw refuse(text);
    if (does === 'begin') return this.#begin(words);
    if (does === 'commit' || does === 'rollback') return this.#finish(does);
    if (this.#open !== undefined) return this.#send(statement, values);
    const misplaced = all.find((each) => each.does === 'nested' || (alone && each.does === 'in blocks'));
    if (misplaced !== undefined && !(statement instanceof Submitted)) return this.#alone(failing(misplaced, text), undefined);
    return this.#alone(statement, values).catch((error: { code?: string }) => {
      throw alone && error.code === IN_A_BLOCK ? whole(text) : error;
    });
  }

  /** Outside of a transaction a statement that fails takes nothing with it. */
  async #alone(statement: unknown, values: unknown): Promise<PgResult | undefined> {
    await this.#begin();
    try {
      return await this.#send(statement, values);
    } catch (error) {
      await this.#finish('rollback');
      throw error;
    } finally {
      await this.#finish('commit');
    }
  }

  async #begin(words = 'begin'): Promise<PgResult> {
    if (this.#open === undefined) {
      const done = await this.#turn.take();
      this.#open = { savepoint: this.#name(), done };
      await this.#shared.query(`SAVEPOINT ${this.#open.savepoint}`);
    } else {
      await this.#shared.query('SELECT'); // one that has failed takes no BEGIN, either
    }
    if (words.includes(' read only')) await this.#shared.query('SET TRANSACTION READ ONLY');
    return ended((words.split(' ', 1)[0] as string).toUpperCase());
  }

  async #finish(how: 'commit' | 'rollback'): Promise<PgResult> {
    const open = this.#open;
    if (open === undefined) return ended(how.toUpperCase());
    this.#open = undefined;
    try {
      if (how === 'commit' && (await this.#released(open.savepoint))) return ended('COMMIT');
      await this.#shared.query(`ROLLBACK TO SAVEPOINT ${open.savepoint}; RELEASE SAVEPOINT ${open.savepoint}`);
      return ended('ROLLBACK');
    } finally {
      open.done();
    }
  }

  /** Whether the savepoint could be released: with a failed statement after it, a COMMIT is a ROLLBACK. */
  async #released(savepoint: string): Promise<boolean> {
    try {
      await this.#shared.query(`RELEASE SAVEPOINT ${savepoint}`);
      return true;
    } catch (error) {
      if ((error as { code?: string }).code === ABORTED) return false;
      throw error;
    }
  }

  #send(statement: unknown, values: unknown): Promise<PgResult | undefined> {
    if (statement instanceof Submitted) return statement.send(this.#shared);
    const query: PgQuery = typeof statement === 'string' ? { text: statement } : { ...(statement as PgQuery) };
    delete (query as { callback?: unknown }).callback;
    if (this.#types !== undefined) query.types ??= this.#types;
    if (query.name) query.name = this.#prepared.name(query.name, query.text);
    return this.#shared.query(query, values);
  }
}

function isCallback(value: unknown): value is (error: Error | null, result: unknown) => void {
  return typeof value === 'function';
}

function textOf(statement: unknown): string {
  if (typeof statement === 'string') return statement;
  return String((statement as { text?: unknown } | null)?.text ?? '');
}

/** Outside a transaction block: `text` is parsed first, and then nothing of it is done. */
function failing({ words }: Statement, text: string): string {
  const says = `${NAMES[words.split(' ', 1)[0] as string]} can only be used in transaction blocks`;
  return `DO $$ BEGIN RAISE EXCEPTION '${says}' USING ERRCODE = '25P01'; END $$;${text}`;
}

function ended(command: string): PgResult {
  const nothing = { oid: 0, fields: [], rowAsArray: false };
  return { command, rowCount: null, rows: [], ...nothing };
}
