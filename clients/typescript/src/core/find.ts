/** Which command starts Seatrial here: on PATH, in a virtual environment of the project, or through uvx. */

import { accessSync, constants, existsSync, statSync } from 'node:fs';
import { delimiter, dirname, join, resolve } from 'node:path';
import { SeatrialError } from './errors.js';

const WINDOWS = process.platform === 'win32';
const ENVIRONMENTS = ['.venv', 'venv'];
const UVX = ['--from', 'seatrial[postgres,serve]', 'seatrial'];

/** A program with its first arguments. */
export type Command = readonly [string, ...string[]];

/**
 * The command that runs Seatrial in the project at `root`.
 *
 * @throws SeatrialError with every place that was looked at.
 */
export function find(root: string, environ: NodeJS.ProcessEnv = process.env): Command {
  const onPath = onPathOf(environ, 'seatrial');
  if (onPath !== undefined) return [onPath];
  const folders = [...(environ['VIRTUAL_ENV'] ? [environ['VIRTUAL_ENV']] : []), ...environmentsAbove(root)];
  for (const folder of folders) {
    const program = join(folder, WINDOWS ? 'Scripts' : 'bin', WINDOWS ? 'seatrial.exe' : 'seatrial');
    if (isProgram(program)) return [program];
  }
  const uvx = onPathOf(environ, 'uvx');
  if (uvx !== undefined) return [uvx, ...UVX];
  throw new SeatrialError({
    what: 'seatrial is not installed, and can’t be fetched',
    cause: `there is no \`seatrial\` on PATH, none in ${folders.join(', ') || 'a virtual environment'}, and no \`uvx\``,
    fix: 'python3 -m venv .venv && .venv/bin/pip install "seatrial[postgres,serve]"',
  });
}

function onPathOf(environ: NodeJS.ProcessEnv, name: string): string | undefined {
  const names = WINDOWS ? [`${name}.exe`, `${name}.cmd`] : [name];
  for (const folder of (environ['PATH'] ?? environ['Path'] ?? '').split(delimiter)) {
    for (const each of names) {
      if (folder && isProgram(join(folder, each))) return join(folder, each);
    }
  }
  return undefined;
}

/** `.venv` and `venv` in `root` and above it, no higher than the folder that holds `.git`. */
function environmentsAbove(root: string): string[] {
  const found: string[] = [];
  for (let folder = resolve(root); ; folder = dirname(folder)) {
    for (const name of ENVIRONMENTS) {
      if (existsSync(join(folder, name))) found.push(join(folder, name));
    }
    if (existsSync(join(folder, '.git')) || folder === dirname(folder)) return found;
  }
}

function isProgram(path: string): boolean {
  try {
    accessSync(path, constants.X_OK);
    return statSync(path).isFile();
  } catch {
    return false;
  }
}
