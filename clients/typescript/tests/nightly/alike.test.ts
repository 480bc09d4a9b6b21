/** What an app gets to see in rollback, query by query, is what it sees where its commits are commits. */

import { join } from 'node:path';
import fc from 'fast-check';
import pg from 'pg';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { SeatrialError, type Serving, Session, serve } from '../../src/core/index.js';
import { Place } from '../project.js';
import { CONNECTION, ENDS, FAILURES, NESTED, READS, SCRIPTS, type Step, type What, WRITES } from './alike/steps.js';

/** What a failure prints does it again: SEATRIAL_EXAMPLES='{"seed": 1, "path": "2:3"}'. */
const EXAMPLES = JSON.parse(process.env['SEATRIAL_EXAMPLES'] ?? '{"numRuns": 500}') as fc.Parameters;
const FOLDER = join(import.meta.dirname, 'alike');
const place = new Place(FOLDER);
let serving: Serving;
let session: Session;

beforeAll(async () => {
  Object.assign(process.env, place.environ);
  serving = await serve({ root: FOLDER });
  session = await Session.open(serving.where, 'worker-1', { root: FOLDER });
});
afterAll(async () => {
  await session.release();
  await serving.stop();
  await place.close();
});

type Query = Exclude<What, string>;

/** One of those who do the steps: with a pool, and a client of it. */
class App {
  readonly #pool = new pg.Pool({ connectionString: process.env['DATABASE_URL'], max: 1 });
  #client: pg.PoolClient | undefined;
  #clients = 0;

  /** How the client's transaction is, as its server says. */
  get status(): string {
    return (this.#client as { getTransactionStatus?: () => string } | undefined)?.getTransactionStatus?.() ?? 'I';
  }

  /** The server tells that a query has failed before it tells what became of the transaction. */
  async settled(got: unknown): Promise<void> {
    const hasFailed = /"code":"/.test(JSON.stringify(got));
    for (let n = 0; hasFailed && this.status === 'T' && n < 500; n++) await new Promise((resolve) => setTimeout(resolve, 1));
  }

  async do(what: What, asksPool: boolean): Promise<unknown> {
    try {
      if (asksPool) return shown(await this.#pool.query(this.#own(what as Query, true)));
      if (what === 'release') return this.#release();
      this.#client ??= await this.#pool.connect();
      if (what !== 'three at once') return shown(await this.#client.query(this.#own(what)));
      const client = this.#client;
      const three = [{ text: 'begin' }, WRITES[0], FAILURES[0]].map((each) => client.query(this.#own(each as Query)));
      const answers = await Promise.allSettled(three);
      return answers.map((each) => (each.status === 'fulfilled' ? shown(each.value) : failed(each.reason)));
    } catch (error) {
      return failed(error);
    }
  }

  /** A new client has none of the prepared statements of the one before, and a pool may ask any of its clients. */
  #own(query: Query, asksPool = false): pg.QueryConfig {
    const name = query.name && { name: `${query.name}${asksPool ? query.text : this.#clients || ''}`.slice(0, 40) };
    return { ...query, ...name } as pg.QueryConfig;
  }

  #release(): unknown {
    this.#client?.release();
    this.#client = undefined;
    this.#clients += 1;
    return 'released';
  }

  async close(): Promise<void> {
    this.#client?.release(this.status !== 'I');
    await this.#pool.end();
  }
}

function shown(result: unknown): unknown {
  if (Array.isArray(result)) return result.map(shown);
  const { command, rowCount, rows, fields } = result as pg.QueryResult;
  return { command, rowCount, rows, fields: fields.map((field) => field.name) };
}

function failed(error: unknown): unknown {
  if (error instanceof SeatrialError) throw error;
  const { code, message } = error as { code?: string; message: string };
  return { code, message: message.split('\n')[0] };
}

interface Done {
  readonly step: Step;
  readonly got: unknown;
}

/**
 * What each step gets, up to one that is refused.
 *
 * Where real connections do them, what can't be the same is left out: whatever another one does while a transaction is
 * open waits for it in rollback, and real connections don't give up a transaction with the client.
 */
async function run(steps: readonly Step[], real: boolean): Promise<Done[]> {
  const apps = [0, 1, 2].map(() => new App());
  const done: Done[] = [];
  try {
    for (const step of steps) {
      const open = apps.findIndex((app) => app.status !== 'I');
      if (real && open >= 0 && (open !== step.who || step.what === 'release')) continue;
      const app = apps[step.who] as App;
      const got = await app.do(step.what, step.who === 2);
      await app.settled(got);
      done.push({ step, got: [got, app.status] });
    }
  } catch (error) {
    if (real || !(error instanceof SeatrialError)) throw error;
  } finally {
    await Promise.all(apps.map((app) => app.close()));
  }
  return done;
}

async function inOneTest(isolation: 'reset' | 'rollback', steps: readonly Step[]): Promise<Done[]> {
  await session.begin('a test', isolation);
  try {
    return await run(steps, isolation === 'reset');
  } finally {
    await session.end({ failed: false });
  }
}

const any = (...sorts: (readonly What[])[]): fc.Arbitrary<What> => fc.oneof(...sorts.map((each) => fc.constantFrom(...each)));
const KEPT = [READS, FAILURES, WRITES, NESTED, ENDS, ENDS, SCRIPTS, ['release', 'three at once']] as (readonly What[])[];
const step: fc.Arbitrary<Step> = fc.oneof(
  { weight: 4, arbitrary: fc.record({ who: fc.constant(0 as const), what: any(...KEPT, CONNECTION) }) },
  { weight: 3, arbitrary: fc.record({ who: fc.constant(1 as const), what: any(...KEPT) }) },
  { weight: 1, arbitrary: fc.record({ who: fc.constant(2 as const), what: any(READS, FAILURES, WRITES, NESTED) }) },
);

it('in rollback each query gets the answer that it gets in reset, unless it is refused', async () => {
  await fc.assert(
    fc.asyncProperty(fc.array(step, { maxLength: 14 }), async (steps) => {
      const real = await inOneTest('reset', steps);
      const joined = await inOneTest('rollback', real.map((each) => each.step));
      expect(joined).toEqual(real.slice(0, joined.length));
    }),
    EXAMPLES as fc.Parameters<[Step[]]>,
  );
});
