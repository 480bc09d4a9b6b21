/** Once a run: Seatrial is started, and when the run is over it is gone again. */

import type { TestProject } from 'vitest/node';
import { type ServeOptions, type Serving, serve } from '../core/serve.js';
import type {} from './provided.js';

const RUNNING = Symbol.for('@seatrial/vitest: servers');

interface Shared {
  readonly serving: Promise<Serving>;
  users: number;
}

/** Projects of one run that have the same configuration share one server. */
export default async function setup(project: TestProject): Promise<() => Promise<void>> {
  const { root, command } = project.getProvidedContext().seatrialOptions;
  const servers = running();
  const options: ServeOptions = { root, ...(command && { command }) };
  const key = JSON.stringify(options);
  const shared = servers.get(key) ?? { serving: serve(options), users: 0 };
  servers.set(key, shared);
  shared.users += 1;
  const serving = await shared.serving;
  project.provide('seatrial', serving.where);
  return async () => {
    shared.users -= 1;
    if (shared.users > 0) return;
    servers.delete(key);
    await serving.stop();
  };
}

function running(): Map<string, Shared> {
  const globals = globalThis as { [RUNNING]?: Map<string, Shared> };
  globals[RUNNING] ??= new Map();
  return globals[RUNNING];
}
