-- Names that must be quoted, several schemas, rules, views that can be written to, foreign keys across schemas.
create schema "Sales Dept";
create schema tenant_a;
create schema tenant_b;
create table "Sales Dept"."Order ""X""" ("Id %s" serial primary key, "select" text, "ünïcode" int);
create table tenant_a.t (id serial primary key, v text);
create table tenant_b.t (id serial primary key, v text, a int references tenant_a.t on delete cascade);
create table ruled (id int primary key, v text);
create table rule_log (id serial, v text);
create rule also as on insert to ruled do also insert into rule_log (v) values (new.v);
create rule never as on delete to ruled where old.id = 1 do instead nothing;
create rule by_always as on update to ruled do also insert into rule_log (v) values ('always');
alter table ruled enable always rule by_always;
create view writable as select id, v from tenant_a.t where id < 100 with local check option;
insert into "Sales Dept"."Order ""X""" ("select") values ('a'), ('b');
insert into tenant_a.t (v) select 'a' || g from generate_series(1, 20) g;
insert into tenant_b.t (v, a) select 'b' || g, g from generate_series(1, 20) g;
insert into ruled values (1, 'one'), (2, 'two');

-- test: names with everything in them
insert into "Sales Dept"."Order ""X""" ("select") values ('new');
update "Sales Dept"."Order ""X""" set "ünïcode" = 5 where "Id %s" = 1;
delete from "Sales Dept"."Order ""X""" where "Id %s" = 2;

-- test: the same name in two schemas
insert into tenant_a.t (v) values ('x');
update tenant_b.t set v = 'y' where id < 5;
delete from tenant_a.t where id > 10;

-- test: rules
insert into ruled values (3, 'three');
update ruled set v = 'changed';
delete from ruled;

-- test: through a view
insert into writable values (50, 'view');
insert into writable values (500, 'refused');
update writable set v = 'v';
delete from writable where id = 50;
