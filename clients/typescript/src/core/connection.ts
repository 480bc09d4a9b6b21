/** Requests to the control API, on connections that keep no process alive and that no test can fake. */

import type { NetConnectOpts } from 'node:net';
import { isProblem, SeatrialError } from './errors.js';
import { type Answer, Line, Stale } from './line.js';
import { parse as parsed, stringify } from './native.js';

const MOST_IDLE = 4;
const NOBODY = new Set(['ENOENT', 'ECONNREFUSED']);

/** Where a control server answers, and the token that it wants. Can be sent to other processes as JSON. */
export interface Where {
  readonly url: string;
  /** Its unix socket, where it has one. */
  readonly socket?: string | null;
  readonly token: string;
}

/** A few connections to one control server. */
export class Connection {
  readonly #where: Where;
  readonly #otherwise: Connection | undefined;
  readonly #target: NetConnectOpts;
  readonly #idle: Line[] = [];
  readonly #busy = new Set<Line>();

  /** @param otherwise is asked where nobody listens here. */
  constructor(where: Where, otherwise?: Connection) {
    const url = new URL(where.url);
    this.#where = where;
    this.#otherwise = otherwise;
    this.#target = where.socket ? { path: where.socket } : { host: url.hostname, port: Number(url.port) };
  }

  /**
   * Make one request; resolves to the body of the response.
   *
   * @throws SeatrialError with what the server said, or that it is gone.
   */
  async call(method: string, path: string, message?: unknown): Promise<unknown> {
    const body = message === undefined ? undefined : stringify(message);
    const answer = await this.#exchange(method, path, body);
    const value: unknown = answer.text ? parse(answer.text) : undefined;
    if (answer.status >= 400) {
      throw new SeatrialError(isProblem(value) ? value : strange(method, path, answer));
    }
    return value;
  }

  /** Close every connection. A later request opens a new one. */
  close(): void {
    for (const line of [...this.#idle.splice(0), ...this.#busy]) line.close();
  }

  async #exchange(method: string, path: string, body: string | undefined): Promise<Answer> {
    const typed = body === undefined ? '' : '\r\ncontent-type: application/json';
    const head =
      `${method} ${path} HTTP/1.1\r\nhost: localhost\r\nauthorization: Bearer ${this.#where.token}${typed}` +
      `\r\ncontent-length: ${body === undefined ? 0 : Buffer.byteLength(body)}`;
    for (;;) {
      const line = this.#take();
      this.#busy.add(line);
      try {
        return await line.ask(head, body ?? '');
      } catch (error) {
        // The server closes what was idle for some minutes; a request that meets this was never read.
        if (error instanceof Stale) continue;
        if (this.#otherwise !== undefined && NOBODY.has((error as NodeJS.ErrnoException).code ?? '')) {
          return await this.#otherwise.#exchange(method, path, body);
        }
        throw gone(this.#where, error as Error);
      } finally {
        this.#busy.delete(line);
        if (!line.open || this.#idle.length >= MOST_IDLE) line.close();
        else this.#idle.push(line);
      }
    }
  }

  #take(): Line {
    for (let line = this.#idle.pop(); line !== undefined; line = this.#idle.pop()) if (line.open) return line;
    return new Line(this.#target);
  }
}

function parse(text: string): unknown {
  try {
    return parsed(text);
  } catch {
    return undefined;
  }
}

function strange(method: string, path: string, answer: Answer): { what: string; cause: string; fix: string } {
  return {
    what: `${method} ${path} was answered with status ${answer.status}`,
    cause: answer.text.slice(0, 200),
    fix: 'see that `seatrial` and `@seatrial/vitest` are of the same version',
  };
}

function gone(where: Where, error: Error): SeatrialError {
  return new SeatrialError({
    what: `seatrial does not answer at ${where.socket || where.url}`,
    cause: error.message,
    fix: 'it may have been ended: run the tests again; `seatrial doctor` tells what can be started here',
  });
}
