-- A table that is too big to be read after each test, and a large object in the baseline.
create table big (id int primary key, v text not null);
insert into big select n, md5(n::text) from generate_series(1, 100000) n;
create index on big (v);
select lo_from_bytea(0, 'of the baseline');
