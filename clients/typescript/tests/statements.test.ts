/** What rollback mode makes of the statements of an app. */

import { expect, it } from 'vitest';
import { effect } from '../src/pg/statements.js';

it.each([
  ['BEGIN', 'begin'],
  ['  -- the app begins\n/* here */ begin', 'begin'],
  ['START TRANSACTION READ WRITE', 'begin'],
  ['begin isolation level read committed', 'begin'],
  ['BEGIN ISOLATION LEVEL SERIALIZABLE', 'isolation'],
  ['start transaction read only', 'isolation'],
  ['SET TRANSACTION ISOLATION LEVEL Serializable', 'isolation'],
  ['COMMIT', 'commit'],
  ['end', 'commit'],
  ['ROLLBACK', 'rollback'],
  ['abort', 'rollback'],
  ['ROLLBACK TO SAVEPOINT a', 'other'],
  ['rollback to a', 'other'],
  ['SAVEPOINT a', 'other'],
  ["INSERT INTO t VALUES ('begin')", 'other'],
  ['COMMIT PREPARED $1', 'other'],
  ['beginning', 'other'],
])('%j: %s', (text, wanted) => {
  expect(effect(text)).toBe(wanted);
});
