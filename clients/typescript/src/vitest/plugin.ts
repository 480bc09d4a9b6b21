/** The plugin of Vitest: a global set-up that starts Seatrial, and a set-up file that comes before all others. */

import { resolve } from 'node:path';
import { fileURLToPath } from 'node:url';
import type { Plugin } from 'vitest/config';
import type { VitestPluginContext } from 'vitest/node';
import { SeatrialError } from '../core/errors.js';
import type { Command } from '../core/find.js';
import type { Isolation } from '../core/worker.js';

/** What can be set in `vitest.config.ts`; all else is in `seatrial.toml`, or under `seatrial` in `package.json`. */
export interface SeatrialOptions {
  /** The folder of Seatrial's configuration, seen from the root of the Vitest project. Default: that root. */
  readonly root?: string;
  /** How copies get back to their baseline in this Vitest project. Default: as configured, and that is "reset". */
  readonly isolation?: Isolation;
  /** Keep the databases of failed tests, and print their URLs. Default: whether SEATRIAL_KEEP is set. */
  readonly keep?: boolean;
  /** The command that runs Seatrial, where it is not to be looked for: `['uv', 'run', 'seatrial']`. */
  readonly command?: Command;
}

/** Hands each worker a database of its own, and each test that database at its baseline. */
export function seatrial(options: SeatrialOptions = {}): Plugin {
  check(options);
  return {
    name: 'seatrial',
    config({ test }) {
      return {
        test: {
          testTimeout: test?.testTimeout ?? PATIENCE.test,
          hookTimeout: test?.hookTimeout ?? PATIENCE.hook,
        },
      };
    },
    configureVitest({ project }: VitestPluginContext) {
      const { config } = project;
      project.provide('seatrialOptions', {
        root: resolve(config.root, options.root ?? ''),
        project: config.root,
        pool: config.pool,
        hooks: config.sequence.hooks ?? 'stack',
        keep: options.keep ?? Boolean(process.env['SEATRIAL_KEEP']),
        ...(options.isolation && { isolation: options.isolation }),
        ...(options.command && { command: options.command }),
      });
      config.globalSetup = [beside('global-setup.js'), ...config.globalSetup];
      config.setupFiles = [beside('setup.js'), ...config.setupFiles];
      // Through Vite, so that `vitest` in our set-up file is the one that runs the tests, wherever we are installed.
      const { deps } = config.server;
      if (deps?.inline !== true) (deps as { inline?: (string | RegExp)[] }).inline = [...(deps?.inline || []), OURS];
    },
  };
}

/**
 * Milliseconds, where the project does not say. Vitest's own 5 s are for unit tests: on a busy machine the first query
 * of a process, for which Prisma compiles its query compiler and a pool connects, was seen to take as long.
 */
const PATIENCE = { test: 30_000, hook: 60_000 };

const OURS = /[\\/]@seatrial[\\/]vitest[\\/]/;

function beside(name: string): string {
  return fileURLToPath(new URL(name, import.meta.url));
}

const OPTIONS: readonly string[] = ['root', 'isolation', 'keep', 'command'] satisfies (keyof SeatrialOptions)[];
const ISOLATIONS: readonly string[] = ['reset', 'rollback', 'clone'] satisfies Isolation[];

/** Vite takes the types out of a configuration without looking at them. */
function check(options: SeatrialOptions): void {
  for (const name of Object.keys(options)) {
    if (!OPTIONS.includes(name)) throw refused(`seatrial() has no option "${name}"`, `its options are: ${OPTIONS.join(', ')}`);
  }
  const { isolation } = options;
  if (isolation !== undefined && !ISOLATIONS.includes(isolation)) {
    throw refused(`isolation is "${String(isolation)}" in seatrial()`, `write one of: ${ISOLATIONS.join(', ')}`);
  }
}

function refused(what: string, fix: string): SeatrialError {
  return new SeatrialError({ what, cause: '', fix });
}
