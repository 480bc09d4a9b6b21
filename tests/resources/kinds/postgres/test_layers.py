"""A layer: what fixtures of wider scope have written is the baseline until the layer ends, on a real PostgreSQL."""

from __future__ import annotations

import psycopg
import pytest

from seatrial.resources.kinds.postgres import Postgres
from seatrial.resources.protocol import SupportsLayers

SCHEMA = """
create table team (id serial primary key, name text not null, n int default 0);
insert into team (name) select 'team ' || i from generate_series(1, 50) i;
create table player (id serial primary key, team_id int references team, name text);
create unlogged table note (id serial primary key, text text);
create materialized view names as select name from team;
"""


@pytest.fixture
def seeded(bench):
    """A copy with rows in it, of which a layer has changed some."""
    one = bench(SCHEMA)
    assert isinstance(one.copy, SupportsLayers)
    return one


def lay(bench, *statements):
    """Write, and make what is there the baseline; returns what the baseline was."""
    before = bench.before
    bench.write(*statements)
    bench.copy.late_writes()
    bench.copy.push()
    bench.before = bench.content()
    return before


def layers_on(store):
    return [one.name for one in store._databases.ours() if one.marker.what == "layer" and one.marker.run == store.run]


@pytest.mark.parametrize("step", ["copy.PostgresCopy._fresh", "clone.Clone.written"])
def test_a_layer_that_is_interrupted_while_it_is_laid_is_none(seeded, store, monkeypatch, step):
    """As by the time-out of a test."""
    before = seeded.before
    seeded.write("update team set name = 'half a layer'")

    def interrupt(*_):
        monkeypatch.undo()
        raise TimeoutError

    monkeypatch.setattr(f"seatrial.resources.kinds.postgres.reset.{step}", interrupt)
    with pytest.raises(TimeoutError):
        seeded.copy.push()
    seeded.copy.undo()
    assert seeded.content() == before
    assert layers_on(store) == []
    lay(seeded, "delete from team where id = 7")
    seeded.write("delete from team where id = 8")
    seeded.undo()
    seeded.copy.pop()
    assert seeded.content() == before


def test_what_a_fixture_has_prepared_is_no_part_of_its_layer_and_keeps_nobody_waiting(seeded):
    with seeded.connect() as fixture:
        fixture.execute("begin; truncate player; prepare transaction 'left'")
        fixture.execute("insert into team (name) values ('of the layer')")
    seeded.copy.settle()
    assert seeded.copy.changed()
    seeded.copy.push()
    with seeded.connect() as test:
        assert test.execute("select gid from pg_prepared_xacts").fetchall() == []
    seeded.copy.pop()
    assert seeded.content() == seeded.before


def test_undo_leads_to_the_layer_and_pop_to_what_was_below(seeded, store):
    below = lay(
        seeded,
        "insert into player (team_id, name) values (1, 'of the layer')",
        "update team set name = 'changed by the layer' where id in (2, 3)",
        "delete from team where id = 4",
        "insert into note (text) values ('unlogged')",
    )
    assert seeded.before != below
    for _ in range(3):
        seeded.write(
            "insert into player (team_id, name) values (1, 'of a test')",
            "update team set name = 'changed by a test' where id in (1, 2, 10)",
            "delete from player where name = 'of the layer'",
            "delete from team where id in (20, 3)",
            "insert into note (text) values ('of a test')",
            "update note set text = 'changed'",
        )
        assert seeded.undo().path == seeded.path
    assert seeded.undo().path == "nothing"
    seeded.copy.pop()
    assert seeded.content() == below
    seeded.before = below
    seeded.write("update team set n = 1 where id < 10", "insert into team (name) values ('x')")
    assert seeded.undo().path == seeded.path
    assert layers_on(store) == []


def test_ids_go_on_after_the_layers_own_in_every_test(seeded):
    lay(seeded, "insert into player (team_id, name) values (1, 'a'), (1, 'b')")
    for _ in range(2):
        with seeded.connect() as connection:
            row = connection.execute("insert into player (name) values ('c') returning id").fetchone()
        assert row == (3,)
        seeded.undo()
    seeded.copy.pop()
    with seeded.connect() as connection:
        assert connection.execute("insert into player (name) values ('c') returning id").fetchone() == (1,)


def test_what_is_written_to_unlogged_tables_alone_is_a_layer_or_late(seeded):
    seeded.copy.mark()
    assert not seeded.copy.changed()
    before = lay(seeded, "insert into note (text) values ('of the layer')")
    seeded.write("insert into note (text) values ('late')")
    assert seeded.copy.changed()
    if seeded.path == "log":
        assert not seeded.copy.ready()
        assert seeded.copy.late_writes() == ("note", "note_id_seq")
    seeded.undo()
    assert seeded.copy.ready() == (seeded.path == "log")
    assert not seeded.copy.changed()
    seeded.copy.pop()
    assert seeded.content() == before


def test_layers_lie_on_layers(seeded, store):
    bottom = lay(seeded, "update team set n = 1")
    middle = lay(seeded, "update team set n = 2 where id <= 25", "insert into player (name) values ('p')")
    top = lay(seeded, "truncate player", "update team set n = 3 where id = 1")
    for below in (top, middle, bottom):
        seeded.write("update team set n = 9", "insert into player (name) values ('t')")
        seeded.undo()
        seeded.write("insert into team (name) values ('t')")
        seeded.copy.renew()
        assert seeded.content() == seeded.before
        seeded.copy.pop()
        assert seeded.content() == below
        seeded.before = below
    assert layers_on(store) == []


def test_a_schema_that_a_layer_changed_is_the_baseline_of_its_tests(seeded):
    below = lay(
        seeded,
        "create table extra (id serial primary key, text text)",
        "insert into extra (text) values ('seed')",
        "alter table team add column colour text default 'red'",
    )
    seeded.write("insert into extra (text) values ('of a test')", "update team set colour = 'blue'")
    assert seeded.undo().path == seeded.path
    seeded.write("alter table extra add column more int")
    assert "more" in seeded.needs_clone().what
    seeded.copy.pop()
    assert seeded.content() == below


def test_a_rolled_back_write_and_a_connection_that_stays_open_are_no_part_of_a_layer(seeded):
    with seeded.connect(autocommit=False) as held:
        held.execute("insert into player (name) values ('never committed')")
        lay(seeded, "insert into player (name) values ('committed')")
        with pytest.raises(psycopg.OperationalError):
            held.execute("select 1")
    with seeded.connect() as connection:
        assert connection.execute("select name from player").fetchall() == [("committed",)]
    seeded.copy.pop()


def test_a_role_that_a_layer_created_goes_with_it(bench_on, embedded_store):
    bench = bench_on(embedded_store, SCHEMA)
    try:
        lay(bench, "create role of_a_layer", "grant select on team to of_a_layer")
        bench.write("create role of_a_test", "insert into player (name) values ('x')")
        assert any("of_a_test" in note for note in bench.undo().notes)
        with bench.connect() as connection:
            assert connection.execute("select from pg_roles where rolname = 'of_a_layer'").fetchall()
        bench.copy.pop()
        with bench.connect() as connection:
            assert not connection.execute("select from pg_roles where rolname = 'of_a_layer'").fetchall()
    finally:
        embedded_store.drop(bench.name)


def test_dropping_the_copy_drops_its_layers(seeded, store):
    lay(seeded, "update team set n = 1")
    assert layers_on(store)
    store.drop(seeded.name)
    assert layers_on(store) == []


def test_the_layers_of_a_run_that_died_are_swept_by_the_next(bench_on, endpoint, spec):
    died = Postgres().open(endpoint, spec)
    bench = bench_on(died, SCHEMA)
    lay(bench, "update team set n = 1")
    bench.write("update team set n = 2 where id = 1")
    bench.undo()
    (template, *_) = layers_on(died)
    died._admin.close()  # as the end of its process does: the run's lock is free
    store = Postgres().open(endpoint, spec)
    try:
        assert store._databases.find(template) is None
    finally:
        died.close()
        store.close()
