/** Once a run of Jest: Seatrial is started, if the configuration has all that isolates the tests. */

import { SeatrialError } from '../core/errors.js';
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

function notIsolated(): SeatrialError {
  return new SeatrialError({
    what: 'the tests were not started: nothing would isolate them',
    cause: "the configuration of Jest names one of Jest's own test environments, which takes the place of ours",
    fix: 'leave out `testEnvironment`, or write "@seatrial/vitest/jest/environment"; what it exports can wrap another one',
  });
}

/** What is told where the configuration has no set-up file of ours. */
export function withoutSetup(): SeatrialError {
  return new SeatrialError({
    what: 'the tests were not started: the configuration of Jest lacks our set-up file',
    cause: 'without it, an app loses its idle connections of `pg` as errors that nobody handles',
    fix: 'add "@seatrial/vitest/jest/setup" to `setupFiles`',
  });
}
