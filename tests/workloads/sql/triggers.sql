-- Triggers of every kind: they must not fire while the undo works, whatever they are enabled for.
create table account (id serial primary key, owner text, balance numeric not null default 0, changed timestamptz default now());
create table history (id bigserial, account int, what text, at timestamptz default clock_timestamp());
create table counter (name text primary key, n int not null default 0);
create view rich as select id, owner from account where balance > 50;
create function note() returns trigger language plpgsql as $$
begin
  insert into history (account, what) values (coalesce(new.id, old.id), tg_op);
  update counter set n = n + 1 where name = tg_name;
  return coalesce(new, old);
end $$;
create function touch() returns trigger language plpgsql as $$ begin new.changed := now(); return new; end $$;
create function refuse() returns trigger language plpgsql as $$ begin raise exception 'never delete account %', old.id; end $$;
create function through() returns trigger language plpgsql as $$
begin
  insert into account (owner, balance) values (new.owner, 100);
  return new;
end $$;
create function statement_note() returns trigger language plpgsql as $$
begin
  insert into history (what) select tg_op || ' ' || count(*) from changed_rows;
  return null;
end $$;
insert into account (owner, balance) select 'owner ' || g, g from generate_series(1, 100) g;
insert into counter values ('always', 0), ('replica', 0), ('origin', 0);
create trigger origin after insert or update or delete on account for each row execute function note();
create trigger always after insert or update or delete on account for each row execute function note();
create trigger replica after insert or update or delete on account for each row execute function note();
create trigger touched before update on account for each row execute function touch();
create trigger refused before delete on account for each row when (old.id = 7) execute function refuse();
create trigger guarded before delete on counter for each row execute function refuse();
create trigger many after update on account referencing new table as changed_rows for each statement execute function statement_note();
create trigger view_insert instead of insert on rich for each row execute function through();
create constraint trigger later after insert on account deferrable initially deferred for each row execute function note();
alter table account enable always trigger always;
alter table account enable replica trigger replica;
alter table account enable always trigger refused;
alter table counter enable always trigger guarded;

-- test: insert
insert into account (owner, balance) values ('new', 1);

-- test: update what has an always trigger
update account set balance = balance + 1 where id < 20;

-- test: delete, refused for one
delete from account where id > 90;
delete from account where id = 7;

-- test: an insert into a view
insert into rich (owner) values ('through the view');

-- test: as a replica
set session_replication_role = replica;
update account set balance = 0 where id = 7;
delete from account where id = 7;
insert into counter values ('more', 1);

-- test: rows that an always trigger protects
insert into counter values ('mine', 1);
update counter set n = 5;

-- test: truncate past the triggers
truncate history restart identity;
insert into history (what) values ('x');

-- test: deferred trigger at commit
begin;
insert into account (owner) values ('later');
savepoint s;
insert into account (owner) values ('never');
rollback to s;
commit;
