"""A time-out of a test's, or Ctrl-C, may come at any moment of a check-in: the next test starts from the baseline."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import suppress

import psycopg
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.fuse import UNRAISABLE, BrokenOff, Fuse

from seatrial.isolation import restore

from .lab import Bench, Lab
from .test_random import CALM, SHARE

SCHEMA = """
create table empty (id serial primary key, v text);
create table seeded (id serial primary key, v text);
create table child (seeded int references seeded on delete cascade);
create unlogged table fleeting (id int);
insert into seeded (v) select 'v' from generate_series(1, 50);
insert into child select id from seeded;
create materialized view seen as select count(*) from seeded;
create role of_the_schema createdb
"""

WORK = (
    "insert into empty (v) values ('x')",
    "insert into seeded (v) values ('x')",
    "update seeded set v = 'y' where id < 5",
    "delete from seeded where id = 7",
    "truncate child",
    "insert into fleeting values (1)",
    "refresh materialized view seen",
    "select lo_create(4711)",
    "select nextval('empty_id_seq')",
    "begin; insert into seeded (v) values ('z')",
    "alter table empty add column more int",
    "create role of_the_test",
    "alter role of_the_schema createrole; insert into empty (v) values ('y')",
    "do $$ begin execute format('alter database %I set work_mem = ''1MB''', current_database()); end $$",
)


@pytest.fixture(scope="module")
def bench(lab: Lab) -> Iterator[Bench]:
    made = lab.bench(lambda connection: connection.execute(SCHEMA.encode()), "broken_off")
    yield made
    made.close()


def work(bench: Bench, statements: list[str]) -> psycopg.Connection:
    connection = bench.connect()
    for one in statements:
        with suppress(psycopg.Error):
            connection.execute(one.encode())
    return connection


def state(bench: Bench) -> list[tuple[object, ...]]:
    with bench.connect() as connection:
        return connection.execute(
            """select rolname, rolcreatedb, rolcreaterole, (select setconfig from pg_db_role_setting
            join pg_database d on d.oid = setdatabase where datname = current_database())
            from pg_authid where rolname like 'of\\_the\\_%'"""
        ).fetchall()


def check_in(bench: Bench, statements: list[str], fuse: Fuse) -> None:
    restore.ready(bench.copy)
    with work(bench, statements) as connection:
        with suppress(BrokenOff), fuse:
            restore.undo(bench.copy)
        connection.close()


@pytest.mark.filterwarnings(UNRAISABLE)
@settings(max_examples=SHARE // 10, **CALM)
@given(statements=st.lists(st.sampled_from(WORK), min_size=1, max_size=4), share=st.floats(0, 1))
def test_a_check_in_that_is_broken_off_at_any_moment_leaves_no_trace(
    bench: Bench, statements: list[str], share: float
) -> None:
    before = state(bench)
    whole = Fuse()
    check_in(bench, statements, whole)
    short = whole.part(share)
    check_in(bench, statements, short)
    try:
        restore.ready(bench.copy)
        assert not bench.differences(), short.where
        assert state(bench) == before, short.where
        check_in(bench, statements, Fuse())
        assert not bench.differences(), short.where
        assert state(bench) == before, short.where
    except BaseException:
        bench.copy.renew()  # the next example starts from the baseline
        raise
