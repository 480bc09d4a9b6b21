'use strict';
// As much of a Redis client as the stock needs: one connection, one command at a time.

const net = require('node:net');

function connect(address) {
  const url = new URL(address);
  const socket = net.connect(Number(url.port || 6379), url.hostname);
  const waiting = [];
  let received = '';

  socket.setEncoding('utf8');
  socket.on('data', (text) => {
    received += text;
    for (let end = received.indexOf('\r\n'); end >= 0; end = received.indexOf('\r\n')) {
      const [kind, value] = [received[0], received.slice(1, end)];
      let rest = end + 2;
      let answer = value;
      if (kind === ':') answer = Number(value);
      if (kind === '$') {
        const length = Number(value);
        if (length >= 0 && received.length < rest + length + 2) return; // the rest of it is on its way
        answer = length < 0 ? null : received.slice(rest, rest + length);
        rest += length < 0 ? 0 : length + 2;
      }
      received = received.slice(rest);
      const { resolve, reject } = waiting.shift();
      if (kind === '-') reject(new Error(value));
      else resolve(answer);
    }
  });
  socket.on('error', (error) => waiting.splice(0).forEach(({ reject }) => reject(error)));

  function send(...words) {
    return new Promise((resolve, reject) => {
      waiting.push({ resolve, reject });
      const parts = words.map((word) => `$${Buffer.byteLength(String(word))}\r\n${word}\r\n`);
      socket.write(`*${words.length}\r\n${parts.join('')}`);
    });
  }

  const [user, password] = [decodeURIComponent(url.username), decodeURIComponent(url.password)];
  const ready = password ? send('AUTH', ...(user ? [user] : []), password) : Promise.resolve();
  return async (...words) => {
    await ready;
    return send(...words);
  };
}

module.exports = { connect };
