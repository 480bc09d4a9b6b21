// Prints what is open of the process before Seatrial is used, in a test, and afterwards.
import { readdirSync } from 'node:fs';
import { Session, serve } from '@seatrial/vitest/core';

const open = () => ({
  files: readdirSync('/dev/fd').length, // sockets and pipes as well, whether or not they keep the process alive
  resources: process.getActiveResourcesInfo().sort(),
});
process.stdout.write('');
process.stderr.write('');

async function use(name) {
  const serving = await serve();
  const session = await Session.open(serving.where, name);
  await session.begin('a test');
  await session.end({ failed: false });
  const inUse = open();
  await session.release();
  await serving.stop();
  await new Promise((resolve) => setTimeout(resolve, 0)); // handles are closed when the loop comes round
  await new Promise((resolve) => setImmediate(resolve));
  return inUse;
}

await use('first'); // what Node itself opens once, stays
const before = open();
const inUse = await use('second');
console.log(JSON.stringify({ before, inUse, after: open() }));
