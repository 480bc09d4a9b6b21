/** The unix sockets of the servers that we start: a server removes its own, unless it is killed. */

import { randomBytes } from 'node:crypto';
import { lstatSync, readdirSync, rmSync } from 'node:fs';
import { connect } from 'node:net';
import { tmpdir } from 'node:os';
import { basename, dirname, join } from 'node:path';

/** Of the server, and with a number of one of its workers. */
const OURS = /^seatrial-[0-9a-f]{12}\.sock(\.\d+)?$/;

/** Milliseconds. Between its making and its listening, nobody answers at the socket of a server that starts. */
const STARTED = 60_000;

/** A path that nothing has. It must be short. */
export function free(): string {
  return join(tmpdir(), `seatrial-${randomBytes(6).toString('hex')}.sock`);
}

/** Remove what a server that has ended has left at a path of ours. */
export function remove(path: string): void {
  const name = basename(path);
  for (const each of list(dirname(path))) {
    if (each === name || each.startsWith(`${name}.`)) unlink(join(dirname(path), each));
  }
}

/** Remove those of servers that were killed together with who had started them. */
export async function sweep(): Promise<void> {
  const paths = list(tmpdir()).map((name) => join(tmpdir(), name));
  await Promise.all(
    paths.filter(isOld).map(async (path) => {
      if (await isDeserted(path)) unlink(path);
    }),
  );
}

function unlink(path: string): void {
  try {
    rmSync(path, { force: true });
  } catch {
    // It is somebody else's: nothing depends on it.
  }
}

function list(folder: string): string[] {
  try {
    return readdirSync(folder).filter((name) => OURS.test(name));
  } catch {
    return []; // it is gone, or not to be read
  }
}

function isOld(path: string): boolean {
  try {
    const found = lstatSync(path);
    return found.isSocket() && Date.now() - found.mtimeMs > STARTED;
  } catch {
    return false; // it has just been removed
  }
}

function isDeserted(path: string): Promise<boolean> {
  return new Promise((resolve) => {
    const probe = connect(path);
    probe.once('connect', () => {
      probe.destroy();
      resolve(false);
    });
    probe.once('error', (error: NodeJS.ErrnoException) => resolve(error.code === 'ECONNREFUSED'));
  });
}
