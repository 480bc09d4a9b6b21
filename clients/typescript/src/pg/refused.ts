/** What rollback can't hold, and why: each is refused before it is sent, so that no test passes for the wrong reason. */

import { SeatrialError } from '../core/errors.js';

export function unlike(text: string): SeatrialError {
  const cause = 'the test is one transaction already, and a savepoint in it has no isolation level of its own';
  return unheld(`"${cut(text)}"`, cause);
}

export function several(text: string): SeatrialError {
  return unheld(
    `"${cut(text)}"`,
    'it has several statements, and one of them begins or ends a transaction, which would have to be a savepoint',
    'send them one by one',
  );
}

export function beyond(text: string): SeatrialError {
  return unheld(`"${cut(text)}"`, 'it would end the one transaction that holds the test');
}

export function whole(text: string): SeatrialError {
  return unheld(`"${cut(text)}"`, 'it runs outside of transactions only, and the test is one');
}

export function unheard(text: string): SeatrialError {
  return unheld(`"${cut(text)}"`, 'notifications come with a commit, and nothing of the test is ever committed');
}

export function settings(options: string | undefined): SeatrialError {
  return unheld(
    `a pool with options of its own: "${options ?? ''}"`,
    'they are settings of a connection, and all pools share one',
    "set them by a statement, as in pool.on('connect', (client) => client.query('SET search_path TO app'))",
  );
}

function unheld(what: string, cause: string, instead?: string): SeatrialError {
  const reset = 'run this test under reset: await seatrial.use("reset")';
  return new SeatrialError({ what: `rollback can't hold ${what}`, cause, fix: instead ? `${instead}; or ${reset}` : reset });
}

function cut(text: string): string {
  return text.trim().slice(0, 80);
}
