-- Values that are hard to carry from one database to another.
create type mood as enum ('sad', 'ok', 'happy');
create domain positive as int check (value > 0);
create domain short as varchar(5) not null default 'abc';
create type point3 as (x float8, y float8, z text);
create type floats as range (subtype = float8, subtype_diff = float8mi);
create table everything (
  id serial primary key, m mood, p positive, s short, c point3, r floats, ir int4range, mr int4multirange,
  a int[], aa text[][], ca point3[], ma mood[], j json, jb jsonb, by bytea, f4 float4, f8 float8, n numeric, d date, ts timestamp,
  tz timestamptz, ti time, tt timetz, iv interval, u uuid, ip inet, ci cidr, mc macaddr, bt bit(8), vb varbit, mo money,
  tv tsvector, tq tsquery, pt point, bx box, pg polygon, rc regclass, nm name, ch "char", bl boolean, ls pg_lsn, tx text
);
insert into everything (m, p, s, c, r, ir, mr, a, aa, ca, ma, j, jb, by, f4, f8, n, d, ts, tz, ti, tt, iv, u, ip, ci, mc, bt, vb, mo, tv, tq, pt, bx, pg, rc, nm, ch, bl, ls, tx)
select 'ok', g, 'abc', row(g / 3.0::float8, 'NaN', 'a "quoted", (tricky) \ one')::point3, floats(g / 7.0::float8, null), int4range(g, g + 5), '{[1,3),[5,9)}',
  array[g, null, g], '{{a,"b c"},{"NULL",null}}', array[row(1, 2, null)::point3, null], '{sad,happy}', '{"a":  1, "a": 2}', '{"b": [1, 2.50, null]}',
  '\x00ff27225c', g / 3.0::float4, case g when 1 then 'NaN' when 2 then '-Infinity' when 3 then -0.0::float8 else 1e-300 / g end, case g when 1 then 'NaN' else 1.1000 * g end,
  case g when 1 then 'infinity' when 2 then '0044-03-15 BC' else '2024-02-29' end::date, '2024-01-01 00:00:00.123456', case g when 1 then '-infinity' else '2024-03-31 02:30:00+02' end::timestamptz,
  '23:59:60', '12:00:00-03:30', '1 year -3 mons 4 days -00:00:00.5', 'a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11', '::1/128', '10.0.0.0/8', '08:00:2b:01:02:03', b'10101010', b'101', 12.34,
  to_tsvector('a fat cat''s'), to_tsquery('fat & !cat'), '(1.5,2)', '(3,4),(1,2)', '((0,0),(1,1),(1,0))', 'everything', 'name with space', '\', null, '16/B374D848',
  case g when 1 then '' when 2 then e'line\nbreak\ttab "q" ''s'' {},()\\' when 3 then null when 4 then repeat('ä€😀', 3000) else 'x' end
from generate_series(1, 5) g;
create table wide (id int primary key, big text, other text);
alter table wide alter big set storage external;
insert into wide select g, (select string_agg(md5(g::text || k), '') from generate_series(1, 300) k), null from generate_series(1, 20) g;
create table dropped (a int, b text, c int default 5, d text);
alter table dropped drop column b;
insert into dropped values (1, 2, 'x'), (null, null, null);
alter table dropped add column e text default 'fast';
create table nothing ();
insert into nothing default values;
insert into nothing default values;

-- test: every row is deleted
delete from everything;
delete from dropped;

-- test: every row is updated
update everything set j = '{}', f8 = 0, tx = 'z', m = 'sad', a = '{}';
update dropped set d = 'new', e = null;

-- test: wide values
update wide set other = 'moved' where id % 2 = 0;
update wide set big = big || '!' where id = 3;
delete from wide where id = 4;
insert into wide select 100 + id, big, other from wide;

-- test: values that do not fit
insert into everything (p) values (-1);
insert into everything (m) values ('angry');
insert into everything (s) values ('too long for it');

-- test: rows of a table without columns
insert into nothing default values;

-- test: rows of a table without columns are deleted
delete from nothing;

-- test: new rows of every type
insert into everything (m, p, s, c, tx) values ('happy', 3, 'x', row(1, 2, 'z'), 'new') returning id;
