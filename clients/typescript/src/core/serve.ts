/** A `seatrial serve` of our own: it lives as long as this process holds its standard input open. */

import { type ChildProcess, spawn } from 'node:child_process';
import { existsSync } from 'node:fs';
import type { Socket } from 'node:net';
import { type Command, find } from './find.js';
import type { Where } from './connection.js';
import { isProblem, SeatrialError } from './errors.js';
import { free, remove, sweep } from './sockets.js';

/** How Seatrial is started. */
export interface ServeOptions {
  /** The folder of the configuration, or one below it. Default: the working directory. */
  readonly root?: string;
  /** The command that runs Seatrial, where it is not to be looked for: `['uv', 'run', 'seatrial']`. */
  readonly command?: Command;
}

/** A control server that this process has started. */
export interface Serving {
  readonly where: Where;
  /** Its process id. */
  readonly pid: number;
  /** End it; resolves when its copies are dropped and it is gone. */
  stop(): Promise<void>;
}

/**
 * Start `seatrial serve`, and wait until it answers.
 *
 * The process is in a session of its own, so that Ctrl-C does not end it before the tests are over. However this
 * process ends, the other side of the pipe closes, and the server drops its copies and ends.
 *
 * @throws SeatrialError where there is none, or with what it said.
 */
export async function serve(options: ServeOptions = {}): Promise<Serving> {
  const root = options.root ?? process.cwd();
  if (!existsSync(root)) throw nowhere(root);
  const [program, ...first] = options.command ?? find(root);
  // A unix socket costs less per request than a port does.
  const socket = process.platform === 'win32' ? undefined : free();
  const argv = [...first, 'serve', '--json', '--until-stdin-closes', ...(socket ? ['--socket', socket] : [])];
  const child = spawn(program, argv, { cwd: root, stdio: ['pipe', 'pipe', 'pipe'], detached: true });
  if (socket) child.once('close', () => remove(socket)); // it may have been killed
  const swept = socket && sweep();
  const told = await firstLine(child, program, argv);
  const ended = new Promise<void>((resolve) => {
    child.once('close', () => resolve());
  });
  // What it says later, as of a schema command that runs again in each run, is for the user to see.
  child.stderr.on('data', (chunk: Buffer) => process.stderr.write(chunk));
  child.stdout.resume();
  for (const stream of [child.stdin, child.stdout, child.stderr]) (stream as unknown as Socket).unref();
  child.unref();
  await swept;
  return {
    where: { url: told.url, socket: told.socket ?? null, token: told.token },
    pid: told.pid,
    async stop() {
      for (const stream of [child.stdout, child.stderr]) (stream as unknown as Socket).ref();
      child.ref();
      child.stdin.end();
      await ended;
    },
  };
}

interface Ready extends Where {
  readonly pid: number;
}

function firstLine(child: ChildProcess, program: string, argv: readonly string[]): Promise<Ready> {
  const line = [program, ...argv].join(' ');
  return new Promise((resolve, reject) => {
    let out = '';
    let said = '';
    const hear = (chunk: Buffer): void => {
      out += chunk.toString();
      const end = out.indexOf('\n');
      if (end < 0) return;
      const told = parse(out.slice(0, end));
      if (!isReady(told)) return;
      child.stdout?.off('data', hear);
      child.stderr?.off('data', listen);
      child.off('close', fail);
      resolve(told);
    };
    const listen = (chunk: Buffer): void => {
      said += chunk.toString();
    };
    const fail = (status: number | null): void => {
      const problem = (parse(out) as { error?: unknown } | undefined | null)?.error;
      reject(new SeatrialError(isProblem(problem) ? problem : silent(line, status, `${out}${said}`)));
    };
    child.stdout?.on('data', hear);
    child.stderr?.on('data', listen);
    child.stdin?.on('error', () => undefined); // it has ended by then, and `close` tells
    child.once('close', fail);
    child.once('error', (error) => {
      reject(new SeatrialError(existsSync(program) ? broken(program, error) : silent(line, null, error.message)));
    });
  });
}

function parse(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}

function isReady(value: unknown): value is Ready {
  const told = value as Partial<Ready> | undefined | null;
  return typeof told?.url === 'string' && typeof told.token === 'string';
}

function nowhere(root: string): SeatrialError {
  return new SeatrialError({
    what: `there is no folder ${root}`,
    cause: 'it is the `root` that Seatrial was given: where its configuration is',
    fix: 'correct it, or leave it out where that is the root of the project',
  });
}

/** The file is there: what it is to be run by is not. */
function broken(program: string, error: Error): { what: string; cause: string; fix: string } {
  return {
    what: `${program} is there and can't be run`,
    cause: `${error.message}: its first line may name a Python that is gone, as in a virtual environment that was moved`,
    fix: 'make that virtual environment anew: python3 -m venv --clear .venv && .venv/bin/pip install "seatrial[postgres,serve]"',
  };
}

function silent(line: string, status: number | null, said: string): { what: string; cause: string; fix: string } {
  return {
    what: `\`${line}\` did not start${status === null ? '' : ` (status ${status})`}`,
    cause: said.trim().split('\n').slice(-20).join('\n       '),
    fix: 'run it by hand; `pip install "seatrial[postgres,serve]"` has all that it needs',
  };
}
