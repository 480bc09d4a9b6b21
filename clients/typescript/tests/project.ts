/** Runs of a test runner on the made-up project, and what they leave behind. */

import { type ChildProcess, spawn } from 'node:child_process';
import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { delimiter, join } from 'node:path';
import pg from 'pg';
import { SHOP } from './prepare.js';

const ROOT = join(import.meta.dirname, '..', '..', '..');
const BIN = join(import.meta.dirname, '..', 'node_modules', '.bin');

export interface Outcome {
  readonly status: number | null;
  readonly text: string;
}

/** A cache, a folder for sockets, and an environment that nothing else has. */
export class Place {
  readonly folder = mkdtempSync(join(tmpdir(), 'st-'));
  readonly environ: NodeJS.ProcessEnv;
  readonly #project: string;

  /** @param project where commands run. Default: the made-up project in `tests/shop`. */
  constructor(project = SHOP) {
    this.#project = project;
    const { DATABASE_URL: _, VITEST: __, VITEST_POOL_ID: ___, ...environ } = process.env;
    this.environ = {
      ...Object.fromEntries(Object.entries(environ).filter(([name]) => !/^(VITEST|SEATRIAL)_/.test(name))),
      PATH: [join(ROOT, '.venv', 'bin'), BIN, environ['PATH']].join(delimiter),
      SEATRIAL_CACHE: join(this.folder, 'cache'),
      SEATRIAL_IDLE: '20',
      SHOP_NOTES: join(this.folder, 'notes'),
      TMPDIR: this.folder,
      NODE_ENV: 'test',
      NO_COLOR: '1',
      CI: '1',
    };
  }

  /** Start a command in the project. */
  start(program: string, ...argv: string[]): Started {
    return new Started(spawn(program, argv, { cwd: this.#project, env: this.environ, stdio: ['ignore', 'pipe', 'pipe'] }));
  }

  /** Run a command to its end. */
  run(program: string, ...argv: string[]): Promise<Outcome> {
    return this.start(program, ...argv).ended;
  }

  /** What the project's own set-up file and its tests have written down. */
  notes(): string[] {
    const file = this.environ['SHOP_NOTES'] as string;
    return existsSync(file) ? readFileSync(file, 'utf-8').trim().split('\n') : [];
  }

  /** Databases that workers and tests had, and that are still on the server: there should be none. */
  async databases(): Promise<string[]> {
    const url = new URL(this.notes().find((line) => line.startsWith('postgresql:')) as string);
    url.pathname = '/postgres';
    const client = new pg.Client({ connectionString: url.href });
    await client.connect();
    const { rows } = await client.query(`SELECT datname FROM pg_database WHERE datname LIKE 'db\\_%'`);
    await client.end();
    return rows.map((row: { datname: string }) => row.datname);
  }

  /** `seatrial serve` of this place that still runs, and sockets of theirs. */
  servers(): string[] {
    const mine = `SEATRIAL_CACHE=${this.environ['SEATRIAL_CACHE']}`;
    const processes = readdirSync('/proc').filter((pid) => {
      try {
        const line = readFileSync(`/proc/${pid}/cmdline`, 'utf-8').replaceAll('\0', ' ');
        return line.includes('--until-stdin-closes') && readFileSync(`/proc/${pid}/environ`, 'utf-8').includes(mine);
      } catch {
        return false; // it has just ended, or is somebody else's
      }
    });
    return [...processes, ...readdirSync(this.folder).filter((name) => /\.sock(\.\d+)?$/.test(name))];
  }

  /** End the databases' server, and remove all. */
  async close(): Promise<void> {
    await this.run('seatrial', 'down');
    rmSync(this.folder, { recursive: true, force: true });
  }
}

/** A command that runs. */
export class Started {
  readonly #child: ChildProcess;
  readonly ended: Promise<Outcome>;
  text = '';

  constructor(child: ChildProcess) {
    this.#child = child;
    for (const stream of [child.stdout, child.stderr]) {
      stream?.on('data', (chunk: Buffer) => {
        this.text += chunk.toString();
      });
    }
    this.ended = new Promise((resolve, reject) => {
      child.once('error', reject);
      child.once('close', (status) => resolve({ status, text: this.text }));
    });
  }

  /** Send a signal to it. */
  signal(name: NodeJS.Signals): void {
    this.#child.kill(name);
  }
}

/** Wait until something holds, looking every 50 ms. */
export async function until(what: string, holds: () => boolean, seconds = 240): Promise<void> {
  for (const end = Date.now() + seconds * 1000; !holds(); ) {
    if (Date.now() > end) throw new Error(`not in ${seconds} s: ${what}`);
    await new Promise((resolve) => setTimeout(resolve, 50));
  }
}
