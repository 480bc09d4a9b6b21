/** Prepared statements have names that are their connection's own, and in rollback mode all connections are one. */

import type { PgClient } from './driver.js';

/** The names that one connection has given. */
export class Prepared {
  readonly #client: PgClient;
  readonly #prefix: () => string;
  readonly #given = new Map<string, string>();

  /** @param prefix makes a name of this connection's one that no other has. */
  constructor(client: PgClient, prefix: () => string) {
    this.#client = client;
    this.#prefix = prefix;
  }

  /** What the shared connection calls the statement that this one calls `name`. */
  name(name: string, text: string | undefined): string {
    const given = this.#given.get(name) ?? this.#free(name, text);
    this.#given.set(name, given);
    return given;
  }

  /** The same name, where nobody has given it to another text. */
  #free(name: string, text: string | undefined): string {
    const parsed = this.#client.connection.parsedStatements[name];
    return parsed === undefined || parsed === text ? name : this.#prefix() + name;
  }
}
