-- Functions with effects, writes in CTEs, MERGE, COPY, DO blocks, temporary tables, LISTEN and NOTIFY, settings.
create table item (id serial primary key, name text, stock int default 0);
create table log (id serial primary key, message text);
create function take(n int) returns int language plpgsql as $$
declare left_over int;
begin
  update item set stock = stock - n where id = 1 returning stock into left_over;
  insert into log (message) values ('took ' || n);
  return left_over;
end $$;
create procedure commits() language plpgsql as $$
begin
  insert into log (message) values ('first');
  commit;
  insert into log (message) values ('second');
  rollback;
  insert into log (message) values ('third');
end $$;
create function pure() returns bigint language sql begin atomic; select count(*) from item; end;
insert into item (name, stock) select 'item ' || g, g * 10 from generate_series(1, 20) g;

-- test: a function writes
select take(5);
select take(1) from generate_series(1, 3);

-- test: a procedure commits
call commits();

-- test: writes in common table expressions
with gone as (delete from item where id > 15 returning *), kept as (insert into log (message) select name from gone returning id)
update item set stock = (select count(*) from kept) where id = 1;

-- test: merge
merge into item i using (values (1, 5), (100, 7)) v (id, n) on i.id = v.id
when matched then update set stock = i.stock + v.n when not matched then insert (id, stock) values (v.id, v.n);
merge into item i using (select 2 as id) v on i.id = v.id when matched then delete;

-- test: copy in and out
copy item (name, stock) from stdin;
copied	1
also copied	\N
\.
copy item to stdout;
copy log (message) from stdin with (format csv);
"a, b"
c
\.

-- test: a block
do $$
begin
  for i in 1..10 loop
    begin
      insert into item (id, name) values (i * 5, 'block');
    exception when unique_violation then
      insert into log (message) values ('caught ' || i);
    end;
  end loop;
end $$;

-- test: temporary tables
create temporary table scratch (id serial primary key, v text);
insert into scratch (v) select name from item;
create index on scratch (v);
analyze scratch;
update item set name = (select max(v) from scratch);
create temporary table once (a int) on commit drop;
create temporary view seen as select * from scratch;

-- test: temporary tables of a transaction that is left open
begin;
create temporary table scratch (id int);
insert into item (name) values ('with scratch');

-- test: listen and notify
listen news;
begin;
notify news, 'something';
insert into log (message) values ('told');
commit;
select pg_notify('news', 'more');

-- test: settings of a session
set search_path = pg_catalog;
set timezone = 'Asia/Tokyo';
set session_replication_role = replica;
set default_transaction_read_only = on;

-- test: prepared statements
prepare add (text) as insert into log (message) values ($1);
execute add('one');
execute add('two');
deallocate all;
discard all;

-- test: explain runs it
explain (analyze, costs off) update item set stock = 0;

-- test: only reads
select * from item;
select count(*), max(stock) from item join log on true;
select pure();
show server_version;
