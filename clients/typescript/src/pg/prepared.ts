/** Prepared statements have names that are their connection's own, and in rollback mode all connections are one. */

import type { PgClient } from './driver.js';

/** The names that one connection has given. */
export class Prepared {
  readonly #client: PgClient;
  readonly #prefix: () => string;
  readonly #given = new Map<string, { readonly name: string; readonly text: string | undefined }>();

  /** @param prefix makes a name of this connection's one that no other has. */
  constructor(client: PgClient, prefix: () => string) {
    this.#client = client;
    this.#prefix = prefix;
  }

  /** What the shared connection calls the statement that this one calls `name`. */
  name(name: string, text: string | undefined): string {
    const parsed = this.#client.connection.parsedStatements;
    const before = this.#given.get(name);
    if (before !== undefined && parsed[before.name] === before.text) {
      if (text && text !== before.text) throw twice(name);
      return before.name;
    }
    const free = parsed[name] === undefined || parsed[name] === text;
    const given = free ? name : this.#prefix() + name;
    this.#given.set(name, { name: given, text });
    return given;
  }
}

/** As `pg` has it, which would tell the name that the shared connection knows. */
function twice(name: string): Error {
  return new Error(`Prepared statements must be unique - '${name}' was used for a different statement`);
}
