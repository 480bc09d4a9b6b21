/**
 * The environment of a test file in Jest: it encloses each test, and what a file or a `describe` writes in `beforeAll`.
 *
 * It is outside of the file's own context: Jest imports it as Node does, whatever the tests are written in, and
 * jest-circus tells it of each test whether it has failed.
 */

import { relative } from 'node:path';
import { SeatrialError } from '../core/errors.js';
import { Session } from '../core/session.js';
import { withoutSetup } from './global-setup.js';
import { HANDED, type Handed } from './handed.js';
import { Hooks } from './hooks.js';
import { nodes } from './nodes.js';
import { where } from './running.js';

/** What we use of an environment of Jest. */
export interface JestEnvironment {
  readonly global: object;
  setup(): Promise<void>;
  teardown(): Promise<void>;
  handleTestEvent?(event: never, state: never): unknown;
}

// TypeScript wants exactly these parameters of a class that is extended so.
type EnvironmentClass = new (...told: any[]) => JestEnvironment;

type Context = { process: { env: NodeJS.ProcessEnv }; [HANDED]?: Handed };

/** Another environment, with a database for its test file, and with each test enclosed. */
export function isolated<Base extends EnvironmentClass>(base: Base): Base {
  return class extends base {
    readonly #root: string;
    readonly #path: string;
    readonly #handed: Handed = { use: (isolation) => this.#opened().use(isolation) };
    #session: Session | undefined;
    #hooks: Hooks | undefined;

    constructor(...told: any[]) {
      super(...told);
      const [{ projectConfig }, { testPath }] = told as [{ projectConfig: { rootDir: string } }, { testPath: string }];
      this.#root = projectConfig.rootDir;
      this.#path = relative(this.#root, testPath);
      (this.global as Context)[HANDED] = this.#handed;
    }

    override async setup(): Promise<void> {
      await super.setup();
      const environ = (this.global as Context).process.env;
      this.#session = await Session.open(where(), `jest-${process.env['JEST_WORKER_ID'] ?? '1'}`, {
        root: this.#root,
        keep: Boolean(process.env['SEATRIAL_KEEP']),
        environ,
        load: this.#handed.load ?? notLoaded,
      });
      this.#hooks = new Hooks(this.#session, this.#path);
    }

    override async teardown(): Promise<void> {
      await this.#session?.release();
      await super.teardown();
    }

    // Not async: what is thrown at once is where the test file calls Jest.
    override handleTestEvent(event: never, state: never): unknown {
      const ours = this.#hooks?.hear(event);
      const theirs = super.handleTestEvent?.(event, state);
      return ours instanceof Promise || theirs instanceof Promise ? Promise.all([ours, theirs]) : undefined;
    }

    #opened(): Session {
      if (this.#session !== undefined) return this.#session;
      throw new SeatrialError({
        what: 'no test is running',
        cause: 'set-up files run before there is a database',
        fix: 'call it in a test, or in its beforeEach',
      });
    }
  };
}

function notLoaded(): never {
  throw withoutSetup();
}

/** That of Node, isolated: what `testEnvironment` names. */
export default isolated(nodes() as EnvironmentClass);
