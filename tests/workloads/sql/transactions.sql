-- Savepoints, cursors, isolation levels, two-phase commit, and transactions that nobody ends.
create table t (id serial primary key, v text unique);
create table big (id int primary key, filler text);
insert into t (v) values ('one'), ('two'), ('three');
insert into big select g, repeat('x', 100) from generate_series(1, 2000) g;

-- test: savepoints
begin;
insert into t (v) values ('a');
savepoint s1;
insert into t (v) values ('b');
savepoint s2;
insert into t (v) values ('one');
rollback to s2;
update t set v = 'zwei' where v = 'two';
release s1;
commit;

-- test: rolled back
begin;
update big set filler = 'y';
delete from t;
insert into t (v) values ('gone');
rollback;

-- test: an error aborts
begin;
insert into t (v) values ('lost');
select 1 / 0;
insert into t (v) values ('lost too');
commit;

-- test: left open
begin;
insert into t (v) values ('open');
update big set filler = 'open' where id < 10;

-- test: prepared transaction, left
begin;
insert into t (v) values ('prepared');
delete from big where id = 5;
prepare transaction 'left alone';

-- test: prepared transaction, committed
begin;
insert into t (v) values ('prepared');
prepare transaction 'to commit';
commit prepared 'to commit';

-- test: prepared transaction, rolled back
begin;
insert into t (v) values ('prepared');
prepare transaction 'to roll back';
rollback prepared 'to roll back';

-- test: cursors
begin;
declare c cursor for select * from t for update;
fetch 2 from c;
update t set v = v || '!' where current of c;
commit;
declare held cursor with hold for select * from big;
fetch 5 from held;

-- test: serializable
begin isolation level serializable;
update t set v = upper(v);
commit;

-- test: row locks only
begin;
select * from t for update;
select * from big where id < 100 for share;
select * from big where id < 100 for key share;
commit;

-- test: advisory locks of a transaction
begin;
select pg_advisory_xact_lock(1), pg_try_advisory_xact_lock(2, 3);
insert into t (v) values ('locked');
commit;

-- test: advisory locks of a session
select pg_advisory_lock(4711), pg_try_advisory_lock_shared(4712);

-- test: table locks
begin;
lock table t in access exclusive mode;
insert into t (v) values ('x');
commit;

-- test: many transactions on one row
update t set v = 'x1' where id = 1;
update t set v = 'x2' where id = 1;
update t set v = 'x3' where id = 1;
delete from t where id = 1;
insert into t values (1, 'one');

-- test: an open transaction that failed
begin;
insert into t (v) values ('x');
select nonsense;
