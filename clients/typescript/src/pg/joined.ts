/** One transaction that holds a whole test: what the app's pools hand out are savepoints in it. */

import { EventEmitter } from 'node:events';
import { SeatrialError } from '../core/errors.js';
import type { Pg, PgClient, PgPool, PgQuery, PgResult } from './driver.js';
import { effects } from './statements.js';
import { type Done, Turn } from './turn.js';

const ABORTED = '25P02';

/** The outer transaction, on a connection of its own. */
export class Joined {
  readonly #client: PgClient;
  readonly #turn = new Turn();
  readonly #known = new WeakSet<PgPool>();
  #count = 0;

  private constructor(client: PgClient) {
    this.#client = client;
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
    await this.#client.end(); // the server rolls back what was open
  }

  /**
   * What a pool hands out in the place of a connection.
   *
   * @param options the `options` of a connection that the pool would make.
   */
  async connection(pool: PgPool, options: string | undefined): Promise<JoinedConnection> {
    if (options !== this.#client.connectionParameters.options) throw settings(options);
    const made = new JoinedConnection(this.#client, this.#turn, () => `seatrial_${++this.#count}`, pool.options['types']);
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
  readonly #turn: Turn;
  readonly #name: () => string;
  readonly #types: unknown;
  #last: Promise<unknown> = Promise.resolve();
  #open: { readonly savepoint: string; readonly done: Done } | undefined;

  constructor(client: PgClient, turn: Turn, name: () => string, types: unknown) {
    super();
    this.#client = client;
    this.#turn = turn;
    this.#name = name;
    this.#types = types;
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

  /** As `pg` has it: with a text or an object, values, and a callback or none. */
  query(statement: unknown, values?: unknown, callback?: unknown): unknown {
    const told = [values, callback, (statement as { callback?: unknown } | null)?.callback].find(isCallback);
    const given = isCallback(values) ? undefined : values;
    const result = this.#last.then(() => this.#run(statement, given));
    this.#last = result.catch(() => undefined);
    if (told === undefined) return isSubmittable(statement) ? statement : result;
    result.then(
      (found) => told(null, found),
      (error: Error) => told(error, undefined),
    );
    return undefined;
  }

  /** The pool gets it back; a transaction that was left open is rolled back. */
  readonly release = (): void => {
    this.#last = this.#last.then(() => this.#finish('rollback')).catch(() => undefined);
  };

  async #run(statement: unknown, values: unknown): Promise<PgResult> {
    const text = textOf(statement);
    const [does, ...others] = effects(text);
    if (others.length > 0 && [does, ...others].some((each) => each !== 'other')) throw several(text);
    if (does === 'isolation') throw unlike(text);
    if (does === 'unholdable') throw beyond(text);
    if (does === 'begin') return this.#begin();
    if (does === 'commit' || does === 'rollback') return this.#finish(does);
    if (this.#open !== undefined) return this.#send(statement, values);
    // Outside of a transaction a statement that fails takes nothing with it.
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

  async #begin(): Promise<PgResult> {
    if (this.#open === undefined) {
      const done = await this.#turn.take();
      this.#open = { savepoint: this.#name(), done };
      await this.#client.query(`SAVEPOINT ${this.#open.savepoint}`);
    }
    return ended('BEGIN');
  }

  async #finish(how: 'commit' | 'rollback'): Promise<PgResult> {
    const open = this.#open;
    if (open === undefined) return ended(how.toUpperCase());
    this.#open = undefined;
    try {
      if (how === 'commit' && (await this.#released(open.savepoint))) return ended('COMMIT');
      await this.#client.query(`ROLLBACK TO SAVEPOINT ${open.savepoint}; RELEASE SAVEPOINT ${open.savepoint}`);
      return ended('ROLLBACK');
    } finally {
      open.done();
    }
  }

  /** Whether the savepoint could be released: with a failed statement after it, a COMMIT is a ROLLBACK. */
  async #released(savepoint: string): Promise<boolean> {
    try {
      await this.#client.query(`RELEASE SAVEPOINT ${savepoint}`);
      return true;
    } catch (error) {
      if ((error as { code?: string }).code === ABORTED) return false;
      throw error;
    }
  }

  #send(statement: unknown, values: unknown): Promise<PgResult> {
    if (isSubmittable(statement)) return whenSubmitted(this.#client, statement);
    const query: PgQuery = typeof statement === 'string' ? { text: statement } : { ...(statement as PgQuery) };
    delete (query as { callback?: unknown }).callback;
    if (this.#types !== undefined) query.types ??= this.#types;
    return this.#client.query(query, values);
  }
}

interface Submittable extends EventEmitter {
  submit(connection: unknown): void;
}

function isCallback(value: unknown): value is (error: Error | null, result: unknown) => void {
  return typeof value === 'function';
}

function isSubmittable(value: unknown): value is Submittable {
  return typeof (value as { submit?: unknown } | null)?.submit === 'function';
}

function textOf(statement: unknown): string {
  if (typeof statement === 'string') return statement;
  return String((statement as { text?: unknown } | null)?.text ?? '');
}

/** A cursor or a stream: the turn is over when it has ended. */
function whenSubmitted(client: PgClient, statement: Submittable): Promise<PgResult> {
  return new Promise((resolve) => {
    statement.once('end', () => resolve(ended('SELECT')));
    statement.once('error', () => resolve(ended('SELECT')));
    void client.query(statement);
  });
}

function ended(command: string): PgResult {
  const nothing = { oid: 0, fields: [], rowAsArray: false };
  return { command, rowCount: null, rows: [], ...nothing };
}

function unlike(text: string): SeatrialError {
  return unheld(`"${cut(text)}"`, 'the test is one transaction already, and a savepoint in it has no isolation level of its own');
}

function several(text: string): SeatrialError {
  return unheld(
    `"${cut(text)}"`,
    'it has several statements, and one of them begins or ends a transaction, which would have to be a savepoint',
    'send them one by one',
  );
}

function beyond(text: string): SeatrialError {
  return unheld(`"${cut(text)}"`, 'it would end the one transaction that holds the test');
}

function settings(options: string | undefined): SeatrialError {
  return unheld(
    `a pool with options of its own: "${options ?? ''}"`,
    'they are settings of a connection, and all pools share one',
    "set them by a statement, as in pool.on('connect', (client) => client.query('SET search_path TO app'))",
  );
}

function unheld(what: string, cause: string, instead?: string): SeatrialError {
  const reset = 'run this test under reset: await seatrial.use("reset")';
  return new SeatrialError({ what: `rollback can't hold ${what}`, cause, fix: instead ? `${instead}; or ${reset}` : reset });
}

function cut(text: string): string {
  return text.trim().slice(0, 80);
}
