/**
 * HTTP/1.1 on one socket that stays open, one request after the other, for the one server that is ours.
 *
 * Two requests enclose each test, and what they cost is what a test costs: a round trip of `node:http` takes twice as
 * long as one here, and undici's half as long again (`docs/decisions/0020-a-line-of-http.md`). It reads what uvicorn
 * writes: a head, and a body of the length that the head tells, or up to the end of the connection.
 */

import net from 'node:net';

// Taken now: libraries that intercept the network replace it for the tests that follow.
const { connect } = net;
const HEAD_ENDS = '\r\n\r\n';

/** What was answered. */
export interface Answer {
  readonly status: number;
  readonly text: string;
}

/** The other side had closed the connection before the request was made: it was never read. */
export class Stale extends Error {}

interface Waiting {
  readonly resolve: (answer: Answer) => void;
  readonly reject: (error: Error) => void;
}

/** One connection. It keeps the process alive only while an answer is awaited. */
export class Line {
  readonly #socket: net.Socket;
  #waiting: Waiting | undefined;
  #received: Buffer[] = [];
  #answered = 0;
  #open = true;

  constructor(target: net.NetConnectOpts) {
    this.#socket = connect(target);
    this.#socket.setNoDelay(true);
    this.#socket.on('data', (chunk: Buffer) => this.#read(chunk));
    this.#socket.on('error', (error) => this.#end(error));
    this.#socket.on('close', () => this.#end(new Error('the connection was closed')));
  }

  /** Whether another request can be made on it. */
  get open(): boolean {
    return this.#open;
  }

  /** Send one request, and wait for its answer. Rejects with `Stale` where it may be made again on another line. */
  ask(head: string, body: string): Promise<Answer> {
    return new Promise((resolve, reject) => {
      this.#waiting = { resolve, reject };
      this.#socket.ref();
      this.#socket.write(head + HEAD_ENDS + body);
    });
  }

  /** Close it. What is asked for has been sent, and may be under way: it is not made again. */
  close(): void {
    this.#open = false;
    this.#waiting?.reject(new Error('the connection was closed before the answer came'));
    this.#waiting = undefined;
    this.#socket.destroy();
  }

  #read(chunk: Buffer): void {
    this.#received.push(chunk);
    if (this.#received.length > 1) this.#received = [Buffer.concat(this.#received)];
    const head = headOf(this.#received[0] as Buffer);
    if (head?.length === undefined) return;
    const text = (this.#received[0] as Buffer).subarray(head.start);
    if (text.length < head.length) return;
    if (head.last) this.#open = false;
    this.#answer({ status: head.status, text: text.toString('utf8', 0, head.length) });
  }

  #end(error: Error): void {
    this.#open = false;
    const received = this.#received[0] ?? Buffer.alloc(0);
    const head = headOf(received);
    if (head !== undefined && head.length === undefined) {
      this.#answer({ status: head.status, text: received.toString('utf8', head.start) });
    } else {
      const stale = this.#answered > 0 && received.length === 0;
      this.#waiting?.reject(stale ? new Stale() : error);
      this.#waiting = undefined;
    }
  }

  #answer(answer: Answer): void {
    const waiting = this.#waiting;
    this.#waiting = undefined;
    this.#received = [];
    this.#answered += 1;
    this.#socket.unref();
    waiting?.resolve(answer);
  }
}

interface Head {
  readonly status: number;
  /** Of the body, in bytes; undefined where the end of the connection ends it. */
  readonly length: number | undefined;
  /** Where the body begins. */
  readonly start: number;
  /** Whether the server closes the connection after this. */
  readonly last: boolean;
}

/** The head of an answer, once all of it is there. */
function headOf(received: Buffer): Head | undefined {
  const end = received.indexOf(HEAD_ENDS);
  if (end < 0) return undefined;
  const text = received.toString('latin1', 0, end);
  const status = Number(text.slice(9, 12));
  const told = /^content-length: *(\d+)/im.exec(text)?.[1];
  return {
    status,
    length: told !== undefined ? Number(told) : status === 204 ? 0 : undefined,
    start: end + HEAD_ENDS.length,
    last: /^connection: *close/im.test(text),
  };
}
