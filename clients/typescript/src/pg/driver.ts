/** What we use of the `pg` package, which the project has and we don't: and how its copies are found. */

import { existsSync, realpathSync } from 'node:fs';
import { createRequire } from 'node:module';
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';

export interface PgResult {
  command: string;
  rowCount: number | null;
  rows: unknown[];
}

/** A statement as `pg` takes it. */
export interface PgQuery {
  text: string;
  name?: string | undefined;
  values?: unknown;
  types?: unknown;
}

export interface PgClient {
  readonly host: string;
  readonly port: number;
  readonly user: string | undefined;
  readonly database: string | undefined;
  readonly processID: number | null;
  /** Texts by the name under which the server has prepared them. */
  readonly connection: { readonly parsedStatements: Readonly<Record<string, string>> };
  readonly connectionParameters: { readonly options?: string | undefined };
  connect(...callback: unknown[]): Promise<unknown>;
  listenerCount(event: string): number;
  end(): Promise<unknown>;
  query(statement: unknown, values?: unknown): Promise<PgResult>;
  on(event: string, listener: (...told: unknown[]) => void): unknown;
  escapeLiteral(text: string): string;
  escapeIdentifier(text: string): string;
  getTypeParser(...type: unknown[]): unknown;
  /** Older versions have none. */
  getTransactionStatus?(): string | null;
}

export type PoolCallback = (
  error: Error | undefined,
  client: unknown,
  release: (error?: Error | boolean) => void,
) => void;

export interface PgPool {
  readonly options: Record<string, unknown>;
  readonly ending: boolean;
  connect(callback?: PoolCallback): unknown;
  on(event: 'error', listener: (error: Error) => void): unknown;
  emit(event: string, ...told: unknown[]): boolean;
}

export interface Pg {
  readonly Client: (new (options: unknown) => PgClient) & { readonly prototype: PgClient };
  readonly Pool: { readonly prototype: PgPool };
}

/** Packages that may bring a `pg` of their own. */
const USERS = ['@prisma/adapter-pg', 'drizzle-orm', 'kysely', 'typeorm', 'knex', '@mikro-orm/postgresql', 'sequelize'];

/** From a file of CommonJS to what it exports, as `require` does; it may take its time. */
export type Load = (file: string) => unknown;

/** Every `pg` that the project's code can come to import, each once. Empty where it uses none. */
export async function drivers(root: string, load: Load = imported): Promise<readonly Pg[]> {
  const files = new Set<string>();
  const project = createRequire(join(root, 'package.json'));
  add(files, project);
  for (const user of USERS) {
    const folder = (project.resolve.paths(user) ?? []).map((path) => join(path, user)).find((path) => existsSync(path));
    if (folder !== undefined) add(files, createRequire(join(realpathSync(folder), 'package.json')));
  }
  return Promise.all([...files].map(async (file) => (await load(file)) as Pg));
}

function add(files: Set<string>, from: NodeJS.Require): void {
  try {
    files.add(realpathSync(from.resolve('pg')));
  } catch {
    // It is not installed there.
  }
}

async function imported(file: string): Promise<unknown> {
  // Imported, not required: where Vitest runs tests in contexts of their own, this is the copy that they get.
  return ((await import(/* @vite-ignore */ pathToFileURL(file).href)) as { default: unknown }).default;
}
