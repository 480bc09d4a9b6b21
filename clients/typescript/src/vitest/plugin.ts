/** The plugin of Vitest: a global set-up that starts Seatrial, and a set-up file that comes before all others. */

import { fileURLToPath } from 'node:url';
import type { Plugin } from 'vitest/config';
import type { VitestPluginContext } from 'vitest/node';
import type { Command } from '../core/find.js';
import type { Isolation } from '../core/worker.js';

/** What can be set in `vitest.config.ts`; all else is in `seatrial.toml`, or under `seatrial` in `package.json`. */
export interface SeatrialOptions {
  /** The folder of Seatrial's configuration. Default: the root of the Vitest project. */
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
        root: options.root ?? config.root,
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
