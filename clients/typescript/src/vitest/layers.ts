/** What a file or a `describe` writes in `beforeAll` is the baseline of its tests, and gone when it is over. */

import * as vitest from 'vitest';
import type { RunnerTestFile, RunnerTestSuite } from 'vitest';
import type { Layer } from '../core/layer.js';
import type { Session } from '../core/session.js';
import type { Stack } from './stack.js';

type Hook = (suite: Readonly<RunnerTestSuite>) => Promise<void>;

/** What we need of Vitest's runner, under the names that it has in versions 3 to 5. */
interface Runner {
  getCurrentSuite(): { on(name: 'beforeAll', hook: Hook): void };
  getHooks(suite: Readonly<RunnerTestSuite>): { beforeAll: Hook[]; afterAll: Hook[] };
}

/**
 * Enclose the `beforeAll` hooks of this file and of each `describe` in it.
 *
 * By then all are known: our hook is the file's first, and runs when the file is collected.
 *
 * @param order `sequence.hooks`.
 */
export async function layers(session: Session, stack: Stack, order: 'stack' | 'list'): Promise<void> {
  const runner = await find();

  /** Returns what comes before the first of its hooks. */
  function enclose(suite: Readonly<RunnerTestSuite>, name: string): Hook {
    const { beforeAll, afterAll } = runner.getHooks(suite);
    const isFile = 'filepath' in suite;
    let layer: Layer | undefined;
    const open: Hook = async () => {
      layer = await stack.open(suite, name);
    };
    const lift: Hook = async () => {
      await stack.lift(suite);
      if (isFile) await session.release();
    };
    beforeAll.push(async () => layer?.lay());
    if (order === 'list') afterAll.push(lift);
    else afterAll.splice(isFile ? 1 : 0, 0, lift); // they run from the last to the first, and ours of the file is that
    return open;
  }

  function inside(suite: Readonly<RunnerTestSuite>, name: string): void {
    for (const task of suite.tasks) {
      if (task.type !== 'suite' || task.concurrent) continue;
      const full = `${name} > ${task.name}`;
      const { beforeAll } = runner.getHooks(task);
      if (beforeAll.length > 0) beforeAll.unshift(enclose(task, full));
      inside(task, full);
    }
  }

  runner.getCurrentSuite().on('beforeAll', async (suite) => {
    const file = suite as RunnerTestFile;
    inside(file, file.name);
    if (runner.getHooks(file).beforeAll.length > 1) await enclose(file, file.name)(file);
  });
}

async function find(): Promise<Runner> {
  const { TestRunner } = vitest as unknown as { TestRunner?: Record<string, unknown> };
  if (TestRunner?.['getSuiteHooks']) {
    return { getCurrentSuite: TestRunner['getCurrentSuite'], getHooks: TestRunner['getSuiteHooks'] } as unknown as Runner;
  }
  const before = 'vitest/suite'; // until 4.0; a name that Vite does not look for where it is not
  return (await import(/* @vite-ignore */ before)) as Runner;
}
