-- Row-level security, forced for owners as well; column rights; security definer.
create table doc (id serial primary key, tenant int not null, body text);
alter table doc enable row level security;
alter table doc force row level security;
create policy own on doc using (tenant = coalesce(nullif(current_setting('app.tenant', true), ''), '0')::int)
  with check (tenant <> 99);
create table open_doc (id int primary key, body text);
create function sneak(i int) returns void language sql security definer as 'insert into doc (tenant, body) values (i, ''sneaked'')';
insert into doc (tenant, body) select g % 3, 'doc ' || g from generate_series(1, 30) g;
insert into open_doc select g, 'open' from generate_series(1, 5) g;

-- test: as one tenant
set app.tenant = '1';
update doc set body = 'changed';
insert into doc (tenant, body) values (1, 'mine'), (2, 'not mine');
delete from doc where id < 10;

-- test: through a function
select sneak(2);
insert into doc (tenant, body) values (99, 'never');

-- test: everything of everybody
delete from doc;
update open_doc set id = id + 100;
