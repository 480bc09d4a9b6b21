-- Large objects that the baseline has.
create table picture (id serial primary key, body oid);
select lo_from_bytea(88001, decode(repeat('ab', 5000), 'hex'));
select lo_from_bytea(88002, 'second');
insert into picture (body) values (88001), (88002);

-- test: write into one
select lo_put(88001, 10, '\xffff');

-- test: delete one, make one
select lo_unlink(88002);
select lo_from_bytea(88003, 'third');

-- test: truncate one
begin;
select lo_truncate(lo_open(88001, 131072), 3);
commit;

-- test: rows only
delete from picture where id = 1;
insert into picture (body) values (1);
