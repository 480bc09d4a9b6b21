/** What becomes of a client of `pg` whose connection we have ended, and that nobody listens to: it ends no process. */

import type { PgClient } from './driver.js';

const BY_US = '57P01'; // the server was asked to end it
const AFTER_A_QUERY = 'Connection terminated unexpectedly'; // the query that ran has told why

const SAYS =
  'seatrial: a connection of `pg` to the database of the tests has ended. Seatrial ends what a test leaves in a transaction ' +
  'or a query, and every connection where a test begins with a fresh clone. Use a pool, and give back its clients; or ' +
  'connect in each test.\n';

/** Say so, once, where `pg` would throw an error of its own that no test can catch. */
export function outlive(client: PgClient): void {
  let ended = false;
  client.on('error', (error) => {
    const { code, message } = error as Error & { code?: string };
    if (ended || client.listenerCount('error') > 1) return;
    if (code !== BY_US && message !== AFTER_A_QUERY) throw error;
    ended = true;
    process.stderr.write(SAYS);
  });
}
