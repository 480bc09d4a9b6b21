/** The connection to the control server: what it reads, whatever pieces it comes in, and what it does when it ends. */

import net from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, expect, it, vi } from 'vitest';
import { Connection, SeatrialError } from '../src/core/index.js';

type Script = (socket: net.Socket, request: string, number: number) => void;

const open: { close(): void }[] = [];
afterEach(() => {
  for (const each of open.splice(0)) each.close();
});

/** A server that answers each request as the script says; `number` counts the requests of one connection. */
async function connected(script: Script): Promise<{ connection: Connection; sockets: net.Socket[] }> {
  const sockets: net.Socket[] = [];
  const server = net.createServer((socket) => {
    let number = 0;
    sockets.push(socket);
    socket.on('data', (chunk) => script(socket, chunk.toString(), ++number));
    socket.on('error', () => undefined);
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const { port } = server.address() as net.AddressInfo;
  const connection = new Connection({ url: `http://127.0.0.1:${port}`, token: 'secret' });
  open.push(connection, server, ...[{ close: () => sockets.forEach((each) => each.destroy()) }]);
  return { connection, sockets };
}

const answer = (value: unknown, status = 200): string => {
  const body = JSON.stringify(value);
  return `HTTP/1.1 ${status} OK\r\ncontent-type: application/json\r\ncontent-length: ${Buffer.byteLength(body)}\r\n\r\n${body}`;
};

it('a request bears the token and its length in bytes, and the connection is used again', async () => {
  const seen: string[] = [];
  const { connection, sockets } = await connected((socket, request) => {
    seen.push(request);
    socket.write(answer({ ok: true }));
  });
  expect(await connection.call('POST', '/v1/x', { name: 'Zoë' })).toEqual({ ok: true });
  expect(await connection.call('GET', '/v1/y')).toEqual({ ok: true });
  expect(seen[0]).toMatch(/^POST \/v1\/x HTTP\/1\.1\r\n/);
  expect(seen[0]).toContain('\r\nauthorization: Bearer secret\r\n');
  expect(seen[0]).toMatch(/\r\ncontent-length: 15\r\n\r\n\{"name":"Zoë"\}$/);
  expect(sockets).toHaveLength(1);
});

it('an answer is read whole, though it comes byte by byte', async () => {
  const { connection } = await connected((socket) => {
    const bytes = Buffer.from(answer({ text: 'Grüße, 世界' }));
    void (async () => {
      for (const byte of bytes) {
        socket.write(Buffer.from([byte]));
        await new Promise((resolve) => setImmediate(resolve));
      }
    })();
  });
  expect(await connection.call('GET', '/')).toEqual({ text: 'Grüße, 世界' });
});

it('requests at once take a connection each, and none gets the answer of another', async () => {
  const { connection } = await connected((socket, request) => {
    const path = request.split(' ')[1];
    setTimeout(() => socket.write(answer({ path })), Math.random() * 20);
  });
  const paths = Array.from({ length: 20 }, (_, n) => `/${n}`);
  expect(await Promise.all(paths.map((path) => connection.call('GET', path)))).toEqual(paths.map((path) => ({ path })));
});

it('no content is undefined', async () => {
  const { connection } = await connected((socket) => socket.write('HTTP/1.1 204 No Content\r\n\r\n'));
  expect(await connection.call('DELETE', '/')).toBeUndefined();
});

it('an answer without a length ends with the connection, and the next request takes a new one', async () => {
  const { connection, sockets } = await connected((socket) => {
    socket.end('HTTP/1.1 400 Bad Request\r\nconnection: close\r\n\r\nInvalid HTTP request received.');
  });
  for (const count of [1, 2]) {
    const failed = connection.call('GET', '/');
    await expect(failed).rejects.toThrow('was answered with status 400');
    await expect(failed).rejects.toThrow('Invalid HTTP request received.');
    expect(sockets).toHaveLength(count);
  }
});

it('what went wrong at the server is told in its own three parts', async () => {
  const { connection } = await connected((socket) => {
    socket.write(answer({ what: 'no such worker', cause: 'it is gone', fix: 'open it again' }, 404));
  });
  const failed = connection.call('GET', '/');
  await expect(failed).rejects.toBeInstanceOf(SeatrialError);
  await expect(failed).rejects.toThrow(/no such worker[^]*it is gone[^]*open it again/);
});

it('a connection that was closed while it was idle is replaced, and the request is made once more', async () => {
  const { connection, sockets } = await connected((socket, _, number) => {
    if (number === 1) socket.write(answer({ first: true }));
    else socket.destroy(); // it is closing as the second request arrives
  });
  await connection.call('GET', '/');
  expect(await connection.call('GET', '/')).toEqual({ first: true });
  expect(sockets).toHaveLength(2);
});

it('a server that ends before its answer, in its head or in its body, is said to be gone: nothing is asked twice', async () => {
  let asked = 0;
  const { connection } = await connected((socket, request) => {
    asked += 1;
    const said = request.split(' ')[1]?.slice(1) ?? '';
    socket.end('HTTP/1.1 200 OK\r\ncontent-length: 9\r\n\r\n{"cut": ""}'.slice(0, Number(said)));
  });
  for (const bytes of [0, 25, 45]) {
    await expect(connection.call('GET', `/${bytes}`)).rejects.toThrow('seatrial does not answer at');
  }
  expect(asked).toBe(3);
});

it('a request that is under way when the connection is closed is not made again', async () => {
  const asked: string[] = [];
  const { connection } = await connected((socket, request) => {
    asked.push(request.split(' ')[1] as string);
    if (asked.length === 1) socket.write(answer({ ok: true }));
  });
  await connection.call('POST', '/first');
  const second = connection.call('POST', '/second');
  const rejected = expect(second).rejects.toThrow('the connection was closed before the answer came');
  await vi.waitUntil(() => asked.length === 2);
  connection.close();
  await rejected;
  await new Promise((resolve) => setTimeout(resolve, 50));
  expect(asked).toEqual(['/first', '/second']);
});

it('nobody listens: that is what is said, and what to type', async () => {
  const connection = new Connection({ url: 'http://127.0.0.1:1', token: 'secret' });
  await expect(connection.call('GET', '/')).rejects.toThrow(/does not answer at http:\/\/127\.0\.0\.1:1[^]*ECONNREFUSED/);
});

it('where nobody listens on the socket of a worker, the server itself is asked', async () => {
  const asked: string[] = [];
  const { connection } = await connected((socket, request) => {
    asked.push(request.split(' ', 2).join(' '));
    socket.write(answer({ ok: true }));
  });
  const nowhere = join(tmpdir(), `seatrial-nowhere-${process.pid}.sock`);
  const direct = new Connection({ url: 'http://127.0.0.1:1', socket: nowhere, token: 'secret' }, connection);
  open.push(direct);
  expect(await direct.call('POST', '/v1/x', {})).toEqual({ ok: true });
  expect(asked).toEqual(['POST /v1/x']);
});
