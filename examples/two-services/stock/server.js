'use strict';
// How much of each product there is; a reservation takes from it, all or nothing.

const http = require('node:http');
const { connect } = require('./redis');

const redis = connect(process.env.STOCK_REDIS_URL);
const TAKE = `
local left = tonumber(redis.call('GET', KEYS[1]) or '0') - tonumber(ARGV[1])
if left < 0 then return -1 end
redis.call('SET', KEYS[1], left)
return left`;

async function answer(request, body) {
  const { pathname } = new URL(request.url, 'http://stock');
  const [, first, product, last] = pathname.split('/').map(decodeURIComponent);
  if (pathname === '/health') return [200, { redis: await redis('PING') }];
  if (first !== 'levels' || !product) return [404, { error: 'no such path' }];
  if (request.method === 'GET' && !last) return [200, { left: Number(await redis('GET', `level:${product}`)) }];
  if (request.method === 'POST' && last === 'reservations') {
    const { amount } = JSON.parse(body);
    const left = await redis('EVAL', TAKE, 1, `level:${product}`, amount);
    console.log(`${amount} of ${product} wanted, ${left < 0 ? 'too few are left' : `${left} left`}`);
    return left < 0 ? [409, { error: 'too few are left' }] : [201, { left }];
  }
  return [405, { error: 'no such method' }];
}

const server = http.createServer((request, response) => {
  let body = '';
  request.on('data', (piece) => (body += piece));
  request.on('end', async () => {
    const [status, value] = await answer(request, body).catch((error) => [500, { error: error.message }]);
    response.writeHead(status, { 'content-type': 'application/json' });
    response.end(JSON.stringify(value));
  });
});

server.listen(Number(process.env.PORT), '127.0.0.1');
