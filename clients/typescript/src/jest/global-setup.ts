/** Once a run of Jest: Seatrial is started, if the configuration has all that isolates the tests. */

import { notIsolated, withoutSetup } from './demands.js';
import { start } from './running.js';

/** What we read of a project's configuration, as Jest has resolved it. */
interface Project {
  readonly rootDir: string;
  readonly testEnvironment: string;
  readonly setupFiles: readonly string[];
}

/** @throws SeatrialError where tests would not be isolated, or Seatrial can't be started. */
export default async function setup(_: unknown, project: Project): Promise<void> {
  if (JESTS_OWN.test(project.testEnvironment)) throw notIsolated();
  if (!project.setupFiles.some((file) => OURS.test(file))) throw withoutSetup();
  await start({ root: project.rootDir });
}

const JESTS_OWN = /[\\/]jest-environment-(node|jsdom)[\\/]/;
const OURS = /[\\/]jest[\\/]setup\.cjs$/;
