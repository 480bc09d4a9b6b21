-- Commands that move rows without changing them, between changes that must be undone all the same.
create table moved (id int primary key, k int, v text);
create index moved_k on moved (k);
create table small (id serial primary key, v text);
create table never_written (id int primary key);
insert into moved select g, (g * 7919) % 1000, repeat('v', g % 50) from generate_series(1, 1000) g;
insert into small (v) values ('a'), ('b'), ('c');
insert into never_written select generate_series(1, 10);

-- test: vacuum after deletes
delete from moved where id % 3 = 0;
vacuum moved;
insert into moved values (3, 3, 'recycled place'), (1500, 1, 'new');

-- test: vacuum full
update small set v = v || '!';
vacuum full small;
insert into small (v) values ('after');

-- test: vacuum full of an untouched table
vacuum full never_written;

-- test: cluster
update moved set v = 'x' where id < 50;
cluster moved using moved_k;
delete from moved where id = 100;

-- test: cluster again
cluster small using small_pkey;

-- test: reindex
reindex table moved;
reindex index concurrently moved_k;
update moved set k = 0 where id = 1;

-- test: analyze
analyze;
vacuum (analyze, freeze) moved;

-- test: vacuum everything
delete from small where id = 2;
vacuum;

-- test: freeze new rows
insert into small (v) values ('frozen');
update small set v = 'frozen too' where id = 1;
vacuum (freeze) small;

-- test: bulk, then vacuum, then bulk
insert into small (v) select 'bulk' from generate_series(1, 5000);
delete from small where v = 'bulk' and id % 2 = 0;
vacuum small;
insert into small (v) select 'again' from generate_series(1, 1000);

-- test: copy freeze
begin;
truncate small;
copy small from stdin with (freeze);
1	frozen from the start
\.
commit;

-- test: the same row again and again
update moved set v = 'once' where id = 500;
vacuum moved;
update moved set v = 'twice' where id = 500;
delete from moved where id = 500;
