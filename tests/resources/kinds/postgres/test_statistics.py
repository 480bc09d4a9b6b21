"""What a template's planner knows of its tables: as much as can be gathered, and nothing stops the template."""

from __future__ import annotations

import contextlib
import dataclasses
import os

import psycopg

from seatrial.resources.kinds.postgres import Postgres

GATHERED = "select distinct starelid::regclass::text from pg_statistic where starelid >= 16384 order by 1"
FAILING = """
create function fails(v text) returns text language plpgsql immutable as $$ begin
  if current_setting('test.fails', true) = 'no' then return v; end if;
  raise 'not now';
end $$;
create table before (v text); create table indexed (v text); create table later (v text);
create index on indexed (fails(v));
insert into before values ('seed'); insert into later values ('seed');
set test.fails = 'no'; insert into indexed values ('seed'); reset test.fails;
"""


def test_a_table_of_which_none_can_be_gathered_leaves_the_others_theirs(bench) -> None:
    """A function in an index may not bear the search path that ANALYZE gives it: servers in production only log that."""
    one = bench(FAILING)
    with one.connect() as connection:
        assert connection.execute(GATHERED).fetchall() == [("before",), ("later",)]
    one.write("insert into before values ('x'); update later set v = 'y'")
    assert one.undo().path == one.path


def test_tables_in_a_schema_that_our_role_may_not_use_are_left_alone(endpoint, spec) -> None:
    name = f"made_{os.getpid()}_{os.urandom(4).hex()}"
    with psycopg.connect(endpoint.admin.url(), autocommit=True) as admin:
        admin.execute(f"create role poor_{name} login createdb password 'x'; create role other_{name}")
        member = "with inherit false, set true" if admin.info.server_version >= 160000 else ""
        admin.execute(f"grant other_{name} to poor_{name} {member}; alter role poor_{name} noinherit")
    us = dataclasses.replace(endpoint.admin, user=f"poor_{name}", password="x")
    elsewhere = dataclasses.replace(endpoint, owned=False, socket_folder=None, admin=us)
    with contextlib.closing(Postgres().open(elsewhere, spec)) as store:
        store.build(
            name,
            name,
            lambda target: target.execute(
                "create schema own; create table own.seen as select 1 as id; create schema closed;"
                " create table closed.unseen as select 1 as id;"
                f" grant all on schema closed to other_{name}; alter table closed.unseen owner to other_{name};"
                f" alter schema closed owner to other_{name}"
            ),
        )
        copy = store.checkout(name, name)
        with psycopg.connect(dataclasses.replace(endpoint.admin, database=copy.address.database).url()) as admin:
            assert admin.execute(GATHERED).fetchall() == [("own.seen",)]
        store.drop(name)


def test_the_planner_knows_the_catalogs_of_a_large_schema(bench) -> None:
    """With initdb's statistics, what asks them for 3,000 foreign keys took 300 times as long."""
    tables = "; ".join(f"create table t{n} (id serial primary key, other int references root)" for n in range(150))
    one = bench(f"create table root (id int primary key); {tables}")
    with one.connect() as connection:
        [plan] = connection.execute("explain (format json) select from pg_constraint where contype = 'f'").fetchone()
    assert 100 <= plan[0]["Plan"]["Plan Rows"] <= 200
