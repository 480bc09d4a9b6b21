-- Foreign keys that cascade, set null, set default, refer to themselves and go in circles.
create table author (id bigserial primary key, name text not null, favourite bigint);
create table book (
  id bigserial primary key,
  author bigint not null references author on delete cascade on update cascade,
  sequel_of bigint references book on delete set null,
  title text
);
create table review (
  id bigserial primary key,
  book bigint default 1 references book on delete set default,
  stars int
);
alter table author add foreign key (favourite) references book on delete set null deferrable;
create table node (id int primary key, parent int references node on delete cascade);
insert into author (name) select 'author ' || g from generate_series(1, 10) g;
insert into book (author, title) select 1 + g % 10, 'book ' || g from generate_series(1, 100) g;
update book set sequel_of = id - 10 where id > 10;
insert into review (book, stars) select 1 + g % 100, g % 5 from generate_series(1, 300) g;
update author set favourite = id * 2;
insert into node select g, nullif(g / 2, 0) from generate_series(1, 63) g;

-- test: delete cascades through a circle
delete from author where id = 3;

-- test: a tree falls
delete from node where id = 2;

-- test: a key changes and cascades
update author set id = id + 1000 where id < 4;

-- test: delete all of it
delete from author;

-- test: truncate cascade
truncate author cascade;

-- test: truncate restart identity
truncate review restart identity;
insert into review (book, stars) values (1, 1), (2, 2);

-- test: truncate everything, fill one
truncate author, book, review, node restart identity cascade;
insert into author (name) values ('only');

-- test: truncate that fails
truncate book;

-- test: truncate rolled back
begin;
truncate author cascade;
insert into author (name) values ('x');
rollback;
