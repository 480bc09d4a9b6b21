/** Requests to the control API, on connections that keep no process alive and that no test can fake. */

import http from 'node:http';
import { isProblem, SeatrialError } from './errors.js';

// Taken now: libraries that intercept HTTP replace these for the tests that follow.
const { Agent, request } = http;

/** Where a control server answers, and the token that it wants. Can be sent to other processes as JSON. */
export interface Where {
  readonly url: string;
  /** Its unix socket, where it has one. */
  readonly socket?: string | null;
  readonly token: string;
}

interface Answer {
  readonly status: number;
  readonly text: string;
}

/** A few connections to one control server. */
export class Connection {
  readonly #where: Where;
  readonly #agent = new Agent({ keepAlive: true, maxFreeSockets: 4 });
  readonly #target: http.RequestOptions;

  constructor(where: Where) {
    const url = new URL(where.url);
    this.#where = where;
    this.#target = where.socket ? { socketPath: where.socket } : { host: url.hostname, port: url.port };
  }

  /**
   * Make one request; resolves to the body of the response.
   *
   * @throws SeatrialError with what the server said, or that it is gone.
   */
  async call(method: string, path: string, message?: unknown): Promise<unknown> {
    const body = message === undefined ? undefined : JSON.stringify(message);
    const answer = await this.#exchange(method, path, body);
    const value: unknown = answer.text ? parse(answer.text) : undefined;
    if (answer.status >= 400) {
      throw new SeatrialError(isProblem(value) ? value : strange(method, path, answer));
    }
    return value;
  }

  /** Close every connection. A later request opens a new one. */
  close(): void {
    this.#agent.destroy();
  }

  async #exchange(method: string, path: string, body: string | undefined): Promise<Answer> {
    for (;;) {
      const attempt = await this.#send(method, path, body);
      if (!(attempt instanceof Stale)) return attempt;
    }
  }

  #send(method: string, path: string, body: string | undefined): Promise<Answer | Stale> {
    return new Promise((resolve, reject) => {
      const headers: http.OutgoingHttpHeaders = { host: 'localhost', authorization: `Bearer ${this.#where.token}` };
      if (body !== undefined) {
        headers['content-type'] = 'application/json';
        headers['content-length'] = Buffer.byteLength(body);
      }
      const sent = request({ ...this.#target, agent: this.#agent, method, path, headers }, (response) => {
        const chunks: Buffer[] = [];
        response.on('data', (chunk: Buffer) => chunks.push(chunk));
        response.on('error', (error) => reject(gone(this.#where, error)));
        response.on('end', () => {
          resolve({ status: response.statusCode ?? 0, text: Buffer.concat(chunks).toString() });
        });
      });
      sent.on('error', (error) => {
        // The server closes what was idle for some seconds; a request that meets this was never read.
        if (sent.reusedSocket && 'code' in error && (error.code === 'ECONNRESET' || error.code === 'EPIPE')) {
          resolve(new Stale());
        } else {
          reject(gone(this.#where, error));
        }
      });
      sent.end(body);
    });
  }
}

/** The connection had been closed by the other side before the request was made. */
class Stale {}

function parse(text: string): unknown {
  try {
    return JSON.parse(text);
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
