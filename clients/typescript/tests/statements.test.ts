/** What rollback mode makes of the statements of an app. */

import { expect, it } from 'vitest';
import { statements } from '../src/pg/statements.js';

const effects = (text: string): string[] => statements(text).map(({ does }) => does);

it.each([
  ['BEGIN', 'begin'],
  ['  -- the app begins\n/* here */ begin', 'begin'],
  ['START TRANSACTION READ WRITE', 'begin'],
  ['begin isolation level read committed', 'begin'],
  ['BEGIN ISOLATION LEVEL SERIALIZABLE', 'isolation'],
  ['start transaction read only', 'begin'],
  ['SET TRANSACTION ISOLATION LEVEL Serializable', 'isolation'],
  ['COMMIT', 'commit'],
  ['end', 'commit'],
  ['ROLLBACK', 'rollback'],
  ['abort', 'rollback'],
  ['ROLLBACK TO SAVEPOINT a', 'nested'],
  ['rollback to a', 'nested'],
  ['SAVEPOINT a', 'nested'],
  ['release a', 'nested'],
  ["INSERT INTO t VALUES ('begin')", 'other'],
  ['COMMIT PREPARED $1', 'other'],
  ['beginning', 'other'],
  ['begin/**/isolation/* a /* b */ c */level serializable', 'isolation'],
  ['BEGIN;', 'begin'],
  ['; begin ; ;', 'begin'],
  ['COMMIT AND CHAIN', 'unholdable'],
  ['rollback work and chain', 'unholdable'],
  ['commit and no chain', 'commit'],
  [`PREPARE TRANSACTION 'a'`, 'unholdable'],
  ['prepare a as select 1', 'other'],
  ['start transaction isolation level read committed, read only', 'begin'],
  ['begin read only isolation level serializable', 'isolation'],
  ['begin nonsense', 'other'],
  ['start', 'other'],
  ['commit 1', 'other'],
  ['end it', 'other'],
  ['lock table t', 'in blocks'],
  ['declare c cursor for select 1', 'in blocks'],
  ['declare c cursor with hold for select 1', 'other'],
  ['listen news', 'unheard'],
  ['set session characteristics as transaction read only', 'isolation'],
  ['SET TRANSACTION READ WRITE, ISOLATION LEVEL SERIALIZABLE', 'isolation'],
])('%j: %s', (text, wanted) => {
  expect(effects(text)).toEqual([wanted]);
});

it.each([
  ['', []],
  [' ; -- begin', []],
  ['begin; insert into t values (1); commit', ['begin', 'other', 'commit']],
  ['select 1; commit', ['other', 'commit']],
  [`select 'a;commit;b', "c;commit", $$;commit;$$, $a$;$$;commit$a$; select 2`, ['other', 'other']],
  [`select 'it''s; commit'; select E'it\\'s; commit'; select 'a\\'; commit`, ['other', 'other', 'other', 'commit']],
  ['select $1; select a$b$ from t; commit; select b$b$', ['other', 'other', 'commit', 'other']],
  ['/* ; commit; /* */ ; commit */ select 1 -- ; commit\n; select 2', ['other', 'other']],
  ['create function f() returns int begin atomic select 1; select case when true then 2 end; end; select f()', ['other', 'other']],
  ['create function f() returns int as $$ begin return 1; end $$ language plpgsql; commit', ['other', 'commit']],
])('the statements of %j are %j', (text, wanted) => {
  expect(effects(text)).toEqual(wanted);
});

it('a long text is read to its end', { timeout: 120_000 }, () => {
  const text = `insert into t values (${"1, 'a''b', ".repeat(200_000)} E'${"\\n''".repeat(100_000)}')`;
  expect(effects(text)).toEqual(['other']);
});
