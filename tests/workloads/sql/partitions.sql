-- Partitions by range, list and hash, and old inheritance: rows move, children hide.
create table measure (at date not null, city int not null, value float8, primary key (at, city)) partition by range (at);
create table measure_2023 partition of measure for values from ('2023-01-01') to ('2024-01-01');
create table measure_2024 partition of measure for values from ('2024-01-01') to ('2025-01-01') partition by list (city);
create table measure_2024_a partition of measure_2024 for values in (1, 2, 3);
create table measure_2024_rest partition of measure_2024 default;
create table hashed (id bigserial, v text) partition by hash (id);
create table hashed_0 partition of hashed for values with (modulus 2, remainder 0);
create table hashed_1 partition of hashed for values with (modulus 2, remainder 1);
create table animal (id serial primary key, name text);
create table dog (breed text) inherits (animal);
create table puppy (born date) inherits (dog);
insert into measure select '2023-12-20'::date + g / 3, g % 5, g from generate_series(1, 90) g where g % 5 <> 0 on conflict do nothing;
insert into hashed (v) select 'v' || g from generate_series(1, 100) g;
insert into animal (name) values ('cat'), ('cow');
insert into dog (name, breed) values ('rex', 'mutt'), ('rex', 'mutt');
insert into puppy (name, breed, born) values ('bit', 'mutt', '2024-05-05');

-- test: rows move between partitions
update measure set at = at + 30;
update measure set city = city + 2 where at > '2024-01-05';

-- test: delete from the parent
delete from measure where value > 50;
delete from hashed where id % 7 = 0;

-- test: update through the inheritance
update animal set name = name || '?';
delete from only animal;

-- test: insert into a child
insert into puppy (name) values ('new');
insert into dog values (1, 'same id as the cat', 'any');

-- test: truncate a partition
truncate measure_2023;
insert into measure values ('2023-06-06', 1, 1);

-- test: truncate the parent
truncate measure, hashed restart identity;
insert into hashed (v) values ('first');

-- test: no partition for this row
insert into measure values ('2030-01-01', 1, 1);

-- test: truncate only the parent of an inheritance
truncate only animal;
