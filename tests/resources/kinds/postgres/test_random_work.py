"""Whatever a test does to its rows, in whatever order, on however many connections: nothing is left of it."""

from __future__ import annotations

import psycopg
import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from seatrial.errors import NeedsClone

SCHEMA = """
create table keyed (id serial primary key, v text, n int default 0);
insert into keyed (v) select 'v' || g from generate_series(1, 400) g;
create table loose (a int, b text); insert into loose select g % 5, repeat('x', g) from generate_series(1, 200) g;
create table parent (id int primary key, v text); insert into parent select g, 'p' from generate_series(1, 50) g;
create table child (id serial primary key, parent int references parent on delete cascade, v text);
insert into child (parent, v) select g % 50 + 1, 'c' from generate_series(1, 100) g;
create table part (id int, v text) partition by list (id);
create table part_0 partition of part for values in (0, 1); create table part_1 partition of part default;
insert into part select g % 4, 'x' from generate_series(1, 100) g;
create unlogged table quick (id serial, v text); insert into quick (v) select 'q' from generate_series(1, 30);
create table fresh (id serial primary key, v text, m text generated always as (v || '!') stored);
create table notes (id bigint generated always as identity, v text);
"""
TABLES = ("keyed", "loose", "parent", "child", "part", "part_0", "quick", "fresh", "notes")
number = st.integers(min_value=0, max_value=120)
table = st.sampled_from(TABLES)


def statement() -> st.SearchStrategy[str]:
    column = {"loose": "b"}
    key = {"loose": "a"}
    return st.one_of(
        st.builds(
            lambda t, n: (
                f"insert into {t} ({column.get(t, 'v')}{', id' if t in ('parent', 'part') else ''}) values ('new {n}'{f', {n + 1000}' if t in ('parent', 'part') else ''})"
            ),
            table,
            number,
        ),
        st.builds(
            lambda t, n: f"update {t} set {column.get(t, 'v')} = 'u{n}' where {key.get(t, 'id')} <= {n}", table, number
        ),
        st.builds(
            lambda t, n: f"update {t} set {column.get(t, 'v')} = {column.get(t, 'v')} where {key.get(t, 'id')} = {n}",
            table,
            number,
        ),
        st.builds(lambda t, n: f"delete from {t} where {key.get(t, 'id')} = {n}", table, number),
        st.builds(lambda t, n: f"delete from {t} where {key.get(t, 'id')} <= {n}", table, number),
        st.builds(lambda n: f"update keyed set id = id + 10000 where id <= {n}", number),
        st.builds(lambda n: f"update part set id = id + 1 where id = {n % 4}", number),
        st.builds(lambda n: f"select * from keyed where id < {n} for update", number),
        st.builds(lambda n: f"select setval('keyed_id_seq', {n + 1})", number),
        st.builds(lambda t: f"truncate {t} cascade", table),
        st.builds(lambda n: f"insert into fresh (v) select 'many' from generate_series(1, {n * 5})", number),
        st.sampled_from(
            [
                "select nextval('fresh_id_seq')",
                "savepoint s",
                "rollback to s",
                "release s",
                "select 1/0",
                "create temp table if not exists passing (id int)",
            ]
        ),
    )


STEP = st.tuples(
    st.integers(min_value=0, max_value=2),
    st.one_of(
        statement(),
        statement(),
        statement(),
        st.sampled_from(
            [
                "begin",
                "commit",
                "rollback",
                "leave",
                "outside vacuum",
                "outside cluster keyed using keyed_pkey",
                "outside vacuum full loose",
                "outside vacuum freeze",
                "outside analyze",
            ]
        ),
    ),
)


def carry_out(one, steps: list[tuple[int, str]]) -> None:
    connections: dict[int, psycopg.Connection] = {}
    try:
        for who, what in steps:
            if who not in connections:
                connections[who] = one.connect()
                connections[who].execute("set lock_timeout = '20ms'")
            try:
                if what == "leave":
                    connections.pop(who).close()
                elif what.startswith("outside "):
                    with one.connect() as other:
                        other.execute("set lock_timeout = '20ms'")
                        other.execute(what.removeprefix("outside "))
                else:
                    connections[who].execute(what)
            except psycopg.Error:
                pass  # a wrong order, a lock that another holds: whatever was written before must be undone
    finally:
        for connection in connections.values():
            connection.close()


@pytest.fixture
def worked(bench):
    return bench(SCHEMA)


@settings(
    max_examples=60,
    deadline=None,
    phases=(Phase.generate, Phase.shrink),
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
@given(steps=st.lists(STEP, min_size=1, max_size=12))
def test_any_work_on_rows_is_undone_over_and_over_on_one_copy(worked, steps) -> None:
    carry_out(worked, steps)
    try:
        worked.copy.undo_at_once() or worked.copy.undo()
    except NeedsClone as reason:
        raise AssertionError(f"a clone for work on rows alone: {reason}") from reason
    assert worked.content() == worked.before
    worked.copy.tidy()
