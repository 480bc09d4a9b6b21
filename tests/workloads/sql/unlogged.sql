-- What the write-ahead log does not tell, and what is derived: unlogged tables, materialized views, large objects.
create unlogged table cache (key text primary key, value text, at timestamptz default '2024-01-01');
create unlogged table queue (id bigserial primary key, job text);
create table fact (id serial primary key, kind int, value int);
create materialized view totals as select kind, sum(value) as total from fact group by kind;
create unique index on totals (kind);
create materialized view empty_view as select * from fact with no data;
create materialized view of_view as select count(*) from totals;
insert into cache (key, value) select 'k' || g, 'v' from generate_series(1, 30) g;
insert into fact (kind, value) select g % 5, g from generate_series(1, 100) g;
refresh materialized view totals;
refresh materialized view of_view;

-- test: write to unlogged tables
insert into cache (key, value) values ('new', 'x');
update cache set value = 'changed' where key < 'k2';
delete from cache where key = 'k30';
insert into queue (job) values ('run'), ('run again');

-- test: unlogged sequence only
select nextval('queue_id_seq');

-- test: truncate an unlogged table
truncate cache;

-- test: refresh after a change
insert into fact (kind, value) values (9, 1000);
refresh materialized view totals;
refresh materialized view of_view;

-- test: refresh concurrently after a change
update fact set value = value + 1;
refresh materialized view concurrently totals;

-- test: refresh without a change
refresh materialized view totals;

-- test: fill the empty one
refresh materialized view empty_view;

-- test: empty a filled one
refresh materialized view totals with no data;

-- test: large objects
select lo_create(77001);
select lo_put(77001, 0, '\xdeadbeef');
select lo_from_bytea(0, '\x0102030405');
select lo_from_bytea(77002, repeat('x', 10000)::bytea);
select lo_unlink(77002);
