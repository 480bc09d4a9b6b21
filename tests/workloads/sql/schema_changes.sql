-- DDL in a test: it takes a clone, and the clone is the baseline.
create table base (id serial primary key, v text);
create type colour as enum ('red');
create function f() returns int language sql as 'select 1';
create view v as select * from base;
create table child (id int references base);
insert into base (v) values ('a'), ('b');

-- test: a table
create table more (id int);
insert into more values (1);

-- test: a column
alter table base add column w int default 3;

-- test: an index
create index on base (v);

-- test: a label
alter type colour add value 'green';

-- test: a function is replaced
create or replace function f() returns int language sql as 'select 2';

-- test: a trigger is switched off
alter table base disable trigger all;

-- test: rights
grant select on base to public;

-- test: a comment
comment on table base is 'commented';

-- test: dropped
drop view v;
drop table base cascade;

-- test: a schema
create schema extra create table inner_table (a int);

-- test: row security
alter table base enable row level security;

-- test: a policy and a rule
create policy p on base using (true);
create rule r as on delete to base do instead nothing;

-- test: options and storage
alter table base set (fillfactor = 50);
alter table base alter v set storage external;
alter table base alter v set statistics 500;

-- test: a sequence is altered
alter sequence base_id_seq increment 7;

-- test: a sequence changes its owner
alter sequence base_id_seq owned by none;

-- test: settings of the database
do $$ begin execute format('alter database %I set work_mem = ''1MB''', current_database()); end $$;

-- test: default privileges
alter default privileges grant select on tables to public;

-- test: replica identity
alter table base replica identity full;

-- test: renamed and renamed back
alter table base rename to other;
alter table other rename to base;

-- test: rolled back
begin;
create table never (id int);
alter table base add column gone int;
rollback;
insert into base (v) values ('c');

-- test: dropped in a transaction that is left open
begin;
drop table base cascade;

-- test: an extended statistic and a publication
create statistics st on id, v from base;
create publication pub for table base;

-- test: create table as
select * into copied from base;

-- test: a cast and an operator
create function plus(text, text) returns text language sql immutable as 'select $1 || $2';
create operator +++ (leftarg = text, rightarg = text, function = plus);
create cast (colour as int) with inout;
