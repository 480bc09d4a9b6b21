import '@seatrial/vitest/node-test';
import { readdirSync, readFileSync } from 'node:fs';
import { test } from 'node:test';

/** `seatrial serve` that this process has started. */
function servers() {
  return readdirSync('/proc').filter((pid) => {
    try {
      const parent = /^PPid:\s*(\d+)/m.exec(readFileSync(`/proc/${pid}/status`, 'utf-8'))?.[1];
      return Number(parent) === process.pid && readFileSync(`/proc/${pid}/cmdline`, 'utf-8').includes('serve');
    } catch {
      return false; // it has just ended
    }
  });
}

test('the server ends', () => {
  for (const pid of servers()) process.kill(Number(pid), 'SIGKILL');
});

for (const time of [1, 2, 3]) {
  test(`without it, time ${time}`, () => {
    console.log('a test was started');
  });
}
