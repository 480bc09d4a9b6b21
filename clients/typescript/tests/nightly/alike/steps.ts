/** What an app may do with its clients, as data: what is drawn from to make up a test. */

/** A step: who does it (two that keep a client each, and a third who asks a pool), and what. */
export interface Step {
  readonly who: 0 | 1 | 2;
  readonly what: What;
}

export type What =
  | { readonly text: string; readonly values?: readonly unknown[]; readonly name?: string; readonly rowMode?: 'array' }
  | 'release'
  | 'three at once';

export const READS: readonly What[] = [
  { text: "select count(*), max(id), sum(stock), string_agg(name, ',' order by id) from product" },
  { text: 'select (select count(*) from orders), $1::int as given', values: [7] },
  { text: 'select id, name from product order by id desc limit $1', values: ['2'], rowMode: 'array' },
  { text: 'select name from product where id = $1', values: [1], name: 'p' },
  { text: 'select stock from product where id = $1', values: [2], name: 'p' },
  { text: 'select name from product where id = $1', values: [3], name: 'q' },
  { text: '' },
  { text: ' -- nothing' },
  { text: 'select 1 as one; select 2 as two, 3 as three' },
];
export const FAILURES: readonly What[] = [
  { text: 'select 1 / 0' },
  { text: 'select nothing' },
  { text: 'selec' },
  { text: 'select 1 / $1::int', values: [0] },
  { text: 'select 1 / $1::int', values: [0], name: 'p' },
  { text: 'select nothing', name: 'q' },
  { text: 'select $1::int', values: [] },
  { text: 'select $1::int', values: ['x'] },
  { text: 'select 1; select 2', values: [1] },
];
export const WRITES: readonly What[] = [
  { text: "insert into product (name) values ('a') returning id" },
  { text: 'insert into product (name) values ($1) returning id, name', values: ['b'] },
  { text: 'insert into product (name) values ($1)', values: ['c'], name: 'p' },
  { text: 'insert into product (name) values ($1) on conflict do nothing', values: ['a'], name: 'i' },
  { text: 'update product set stock = stock - 6 where id = 1 returning stock' },
  { text: 'delete from product where id = $1', values: [2] },
  { text: "select nextval('ticket')" },
  { text: 'select id from product where id = 1 for update' },
  { text: "with made as (insert into product (name) values ('d') returning id) select * from made" },
  { text: "do $$ begin insert into product (name) values ('e'); end $$" },
  { text: 'create table made (id int)' },
  { text: 'drop table if exists made' },
  { text: 'truncate orders' },
];
export const NESTED: readonly What[] = [
  'savepoint a',
  'SAVEPOINT "A"',
  'savepoint b',
  'rollback to a',
  'rollback work to savepoint b',
  'rollback to "A"',
  'release a',
  'release savepoint b',
].map((text) => ({ text }));
export const ENDS: readonly What[] = [
  ...['begin', 'BEGIN', 'commit', 'COMMIT', 'rollback', 'ROLLBACK', 'end', 'abort', 'start transaction', 'end work'],
  ...['begin read write', 'start transaction isolation level read committed', 'commit and no chain'],
  ...['commit and chain', 'rollback and chain', 'begin read only', 'begin isolation level serializable'],
  ...['set transaction read only', 'set transaction isolation level repeatable read', 'begin nonsense', 'commit 1'],
  ...['start', 'end it', 'begin;', '; commit ;'],
].map((text) => ({ text }));
/** What is about the whole connection, of which there is one: the first of the two alone does this. */
export const CONNECTION: readonly What[] = [
  'prepare s as select count(*) from product',
  'execute s',
  'deallocate s',
  'discard all',
  'discard plans',
  'lock table product',
  "declare c cursor for select id from product order by id",
  'fetch 2 from c',
  'close c',
  "set statement_timeout = '40s'",
  'show statement_timeout',
  'reset statement_timeout',
  'vacuum product',
  'create index concurrently on product (stock)',
].map((text) => ({ text }));
export const SCRIPTS: readonly What[] = [
  "insert into product (name) values ('f'); insert into product (name) values ('g')",
  "insert into product (name) values ('f'); select 1 / 0",
  "insert into product (name) values ('f'); select count(*) from product; select 1 / 0; selec",
  "insert into product (name) values ('f'); commit; insert into product (name) values ('h')",
  "begin; insert into product (name) values ('i')",
  'select 1; begin; select 1 / 0',
  "savepoint a; insert into product (name) values ('j'); rollback to a",
  "savepoint a; insert into product (name) values ('j'); release a; select 1",
].map((text) => ({ text }));
