/** The plugin of Vitest: a global set-up that starts Seatrial, and a set-up file that comes before all others. */

import { resolve } from 'node:path';
import { fileURLToPath } from 'node:url';
import { inspect, isDeepStrictEqual } from 'node:util';
import type { Plugin, ViteUserConfig } from 'vitest/config';
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
    config: {
      order: 'post', // what other plugins set is the user's, too
      handler: (config) => ({
        test: {
          testTimeout: config.test?.testTimeout ?? PATIENCE.test,
          hookTimeout: config.test?.hookTimeout ?? PATIENCE.hook,
          // Through Vite: then `vitest` in our set-up file is the one that runs the tests, wherever we are installed, and
          // the file runs again for each file of tests, though Node has imported it before. Vitest reads this only once,
          // before `configureVitest`.
          server: { deps: inlined(config) },
        },
      }),
    },
    configureVitest({ project, vitest }: VitestPluginContext) {
      const { config } = project;
      const told = {
        root: resolve(config.root, options.root ?? ''),
        project: config.root,
        pool: config.pool,
        hooks: inOrder(vitest.config, config),
        keep: options.keep ?? Boolean(process.env['SEATRIAL_KEEP']),
        ...(options.isolation && { isolation: options.isolation }),
        ...(options.command && { command: options.command }),
      };
      const before = TOLD.get(project);
      if (isDeepStrictEqual(before, told)) return;
      if (before !== undefined) throw twice(project.name);
      TOLD.set(project, told);
      project.provide('seatrialOptions', told);
      config.globalSetup = [beside('global-setup.js'), ...config.globalSetup];
      config.setupFiles = [beside('setup.js'), ...config.setupFiles];
    },
  };
}

/** What is added to the user's list. Where that is not there, Vitest 3 reads two other settings; where ours is, it does not. */
function inlined({ test, ssr }: ViteUserConfig): { inline?: (string | RegExp)[] } {
  const listed = test?.server?.deps?.inline;
  const older = listed ?? (test?.deps as { inline?: typeof listed } | undefined)?.inline ?? ssr?.noExternal === true;
  if (older === true) return {}; // all are
  return { inline: listed || !older ? [OURS] : [...older, OURS] };
}

/** The projects that have the plugin already, with what it was told. */
const TOLD = new WeakMap<object, unknown>();

interface Sequenced {
  readonly sequence: { hooks?: 'stack' | 'list' | 'parallel'; setupFiles?: 'list' | 'parallel' };
}

/**
 * One after the other: beside ours, a set-up file would import the app before its address is exported, and it would go
 * to whatever database that names; and a `beforeEach` would write before the test has begun. Vitest 3 to 5 read the
 * sequence of the whole run, and not that of each project.
 */
function inOrder(...configs: Sequenced[]): 'stack' | 'list' {
  for (const { sequence } of configs) {
    sequence.setupFiles = 'list';
    if (sequence.hooks === 'parallel') sequence.hooks = 'stack';
  }
  return configs[0]?.sequence.hooks === 'list' ? 'list' : 'stack';
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

const ISOLATIONS: readonly unknown[] = ['reset', 'rollback', 'clone'] satisfies Isolation[];

/** Of each option: whether a value is one, and what to write. */
const OPTIONS: Record<keyof SeatrialOptions, readonly [(value: unknown) => boolean, string]> = {
  root: [(value) => typeof value === 'string', "write a path, as in root: '../db'"],
  isolation: [(value) => ISOLATIONS.includes(value), `write one of: ${ISOLATIONS.join(', ')}`],
  keep: [(value) => typeof value === 'boolean', 'write true or false'],
  command: [isCommand, "write a list of words, as in command: ['uv', 'run', 'seatrial']"],
};

/** Vite takes the types out of a configuration without looking at them. */
function check(options: unknown): void {
  const names = `its options are: ${Object.keys(OPTIONS).join(', ')}`;
  if (typeof options !== 'object' || options === null) throw refused(`seatrial() takes an object, not ${shown(options)}`, names);
  for (const [name, value] of Object.entries(options)) {
    if (!Object.hasOwn(OPTIONS, name)) throw refused(`seatrial() has no option "${name}"`, names);
    const [holds, fix] = OPTIONS[name as keyof SeatrialOptions];
    if (value !== undefined && !holds(value)) throw refused(`${name} is ${shown(value)} in seatrial()`, fix);
  }
}

function isCommand(value: unknown): boolean {
  return Array.isArray(value) && value.length > 0 && value.every((word) => typeof word === 'string' && word !== '');
}

function shown(value: unknown): string {
  return (typeof value === 'string' ? JSON.stringify(value) : inspect(value, { breakLength: Infinity })).slice(0, 80);
}

function twice(project: string): SeatrialError {
  return new SeatrialError({
    what: `seatrial() is there twice${project && ` in the project ${project}`}, with different options`,
    cause: 'a project that extends a configuration has the plugins of both',
    fix: 'write it once: in the configuration that is extended, or in each project that extends it',
  });
}

function refused(what: string, fix: string): SeatrialError {
  return new SeatrialError({ what, cause: '', fix });
}
