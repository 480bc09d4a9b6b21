"""What was undone before is undone in one round trip, and whatever is not like it is left to the plan."""

from __future__ import annotations

import threading
from collections.abc import Sequence
from dataclasses import dataclass

import psycopg
import pytest
from tests.fuse import BrokenOff

from seatrial.errors import NeedsClone
from seatrial.resources.kinds.postgres.connection import Link
from seatrial.resources.kinds.postgres.finding.log import Written
from seatrial.resources.kinds.postgres.finding.search import MOST_BLOCKS

from .conftest import Bench

SCHEMA = """
create table "Of ""mine" (id serial primary key, v text, big text);
create table child (id bigserial primary key, parent int references "Of ""mine", v text);
create table seeded (id serial primary key, v text);
create table watched (id serial primary key);
insert into seeded (v) values ('a'), ('b');
create function stay() returns trigger language plpgsql as $$ begin return null; end $$;
create trigger stays before delete on watched for each row execute function stay();
alter table watched enable always trigger stays;
"""
WORK = (
    """insert into "Of ""mine" (v) values ('x'), ('y')""",
    'insert into child (parent) select id from "Of ""mine"',
)


@pytest.fixture
def one(embedded_store, bench_on) -> Bench:
    if not embedded_store.abilities.near:
        pytest.skip("before PostgreSQL 17 event triggers would hear how the function is declared")
    return bench_on(embedded_store, SCHEMA)


@pytest.fixture
def learnt(one: Bench) -> Bench:
    """It has undone `WORK` once."""
    one.write(*WORK)
    assert one.copy.undo_at_once() is None
    assert one.undo().path == "log"
    return one


def test_what_was_undone_before_takes_one_round_trip(learnt: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    trips = []
    run = Link.run
    monkeypatch.setattr(Link, "run", lambda self, script, *a, **k: trips.append(script) or run(self, script, *a, **k))
    for _ in range(3):
        learnt.write(*WORK)
        trips.clear()
        undone = learnt.copy.undo_at_once()
        assert len(trips) == 1
        assert (undone.path, undone.rows) == ("log", 4)
        assert set(undone.tables) == {'Of "mine', "child", 'Of "mine_id_seq', "child_id_seq"}
        assert learnt.content() == learnt.before
        assert learnt.copy.late_writes() == ()


def test_a_test_that_only_reads_takes_one_as_well(learnt: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    with learnt.connect() as connection:
        connection.execute("select * from child")
    trips = []
    run = Link.run
    monkeypatch.setattr(Link, "run", lambda self, script, *a, **k: trips.append(script) or run(self, script, *a, **k))
    learnt.copy.ready()
    trips.clear()
    assert learnt.copy.undo_at_once().path == "nothing"
    assert len(trips) == 1


def begin(one: Bench) -> None:
    """A test begins, when no spare clone is being made any more: to make one is written for the whole server."""
    while not one.undo() or not one.copy.ready() or one.copy._clone.pending:
        pass


ROLLED_BACK = f"begin; {'; '.join(WORK)}; update seeded set v = 'z'; create table t (id serial); rollback"


def test_after_a_rollback_it_takes_one_round_trip_to_put_sequences_back(
    one: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    one.write(*WORK)  # our connection is open from the first undo on
    trips = []
    run = Link.run
    monkeypatch.setattr(Link, "run", lambda self, script, *a, **k: trips.append(script) or run(self, script, *a, **k))
    for work, path in ((ROLLED_BACK, "log"), (ROLLED_BACK, "log"), ("select 1", "nothing")):
        begin(one)
        one.write(work)
        trips.clear()
        undone = one.copy.undo_at_once(rolled_back=True)
        assert len(trips) == 1
        assert (undone.path, undone.rows) == (path, 0)
        assert set(undone.tables) == ({'Of "mine_id_seq', "child_id_seq"} if work == ROLLED_BACK else set())
        assert one.content() == one.before
        assert one.copy.late_writes() == ()


@pytest.mark.parametrize(
    "more",
    [
        "insert into child (v) values ('x')",
        "insert into child (v) values ('x'); delete from child",
        "update seeded set v = 'z' where id = 1",
        "alter table child add column more int",
        "create role seatrial_late; drop role seatrial_late",
    ],
)
def test_what_was_committed_beside_a_rollback_is_left_to_a_second_look(one: Bench, more: str) -> None:
    one.write(*WORK)
    begin(one)
    one.write(ROLLED_BACK, more)
    assert one.copy.undo_at_once(rolled_back=True) is None
    assert one.copy.uncommitted_only() == ("role" in more)  # that is in no database
    try:
        one.undo()
    except NeedsClone:
        one.copy.renew()
    assert one.content() == one.before


def test_who_is_still_in_a_transaction_after_a_rollback_is_left_to_a_second_look(one: Bench) -> None:
    one.write(*WORK)
    begin(one)
    with one.connect(autocommit=False) as app:
        app.execute(WORK[0])
        assert one.copy.undo_at_once(rolled_back=True) is None
        assert not one.copy.uncommitted_only()
    one.undo()


@pytest.mark.parametrize(
    ("more", "path"),
    [
        ("insert into seeded (v) values ('c')", "log"),
        ("delete from seeded", "log"),
        ("insert into watched default values", "log"),
        ('truncate "Of ""mine" cascade', "log"),
        ("vacuum full child", "log"),
        ("select lo_create(0)", "log"),
        ("create temporary table t (id int)", "log"),
        ("select setval('seeded_id_seq', 99)", "log"),
    ],
)
def test_whatever_else_is_written_is_undone_by_a_plan(learnt: Bench, more: str, path: str) -> None:
    for _ in range(2):
        learnt.write(*WORK, more)
        assert learnt.undo().path == path
    learnt.write(*WORK)
    assert learnt.undo().path == "log"


def test_tables_that_are_truncated_in_each_test_take_no_more_to_know_of_each_time(learnt: Bench) -> None:
    known = []
    for _ in range(3):
        learnt.write("truncate child", *WORK)
        assert learnt.undo().path == "log"
        known.append(len(learnt.copy._clone._at_once._known))
    assert known == known[:1] * 3
    learnt.write(*WORK)
    assert learnt.copy.undo_at_once().rows == 4
    assert learnt.content() == learnt.before


@pytest.mark.parametrize(
    ("extension", "index"),
    [("bloom", "using bloom (n)"), ("vector", "using hnsw (point vector_l2_ops)")],
)
def test_an_index_of_an_extensions_own_sort_takes_no_undo(embedded_store, bench_on, extension: str, index: str) -> None:
    if not embedded_store.abilities.near:
        pytest.skip("before PostgreSQL 17 event triggers would hear how the function is declared")
    point = "point vector(2)" if extension == "vector" else "point text"
    one = bench_on(
        embedded_store, f"create extension {extension}; create table t (n int, {point}); create index on t {index}"
    )
    begin(one)
    for number in range(3):
        one.write("insert into t select n, '[1,2]' from generate_series(1, 20) n")
        if number == 2:
            assert one.copy.undo_at_once().rows == 20
        assert one.undo().path == ("nothing" if number == 2 else "log")
    one.write("reindex table t", "insert into t values (1, '[1,2]')")
    assert one.undo().path == "log"


def test_a_change_of_the_schema_is_not_undone_at_once(learnt: Bench) -> None:
    learnt.write(*WORK, "alter table child add column more int")
    learnt.needs_clone()
    learnt.write(*WORK)
    assert learnt.undo().path == "log"


def test_values_that_are_kept_out_of_their_table_are_undone_at_once_too(learnt: Bench) -> None:
    long = """insert into "Of ""mine" (big) select string_agg(md5(g::text), '') from generate_series(1, 400) g"""
    learnt.write(long)
    assert learnt.copy.undo_at_once() is None
    assert learnt.undo().path == "log"
    learnt.write(long)
    assert learnt.copy.undo_at_once().rows == 1
    assert learnt.content() == learnt.before


def test_nothing_is_undone_while_anybody_is_in_a_transaction(learnt: Bench) -> None:
    with learnt.connect(autocommit=False) as open_:
        learnt.write(*WORK)
        open_.execute("insert into child (v) values ('open')")
        assert learnt.copy.undo_at_once() is None
        assert learnt.content() != learnt.before
        assert [ended.pid for ended in learnt.copy.undo().ended] == [open_.info.backend_pid]
        assert learnt.content() == learnt.before
        open_.close()


@dataclass
class Back:
    """A connection that is at work meanwhile."""

    connection: psycopg.Connection
    pids: Sequence[int] = ()
    times: int = 0

    def returning(self) -> Sequence[int]:
        return self.pids

    def send(self) -> None:
        self.times += 1
        self.connection.execute(b"select pg_sleep(0.05)")

    def gather(self) -> None:
        raise AssertionError


def test_who_is_put_back_meanwhile_is_not_at_work(learnt: Bench) -> None:
    with learnt.connect() as connection:
        back = Back(connection, pids=[connection.info.backend_pid])
        for _ in range(5):
            learnt.write(*WORK)
            assert learnt.copy.undo_at_once(back).rows == 4
            assert learnt.content() == learnt.before
        assert back.times == 5


def test_it_is_nobody_elses_until_the_answer_is_there(learnt: Bench) -> None:
    client = learnt.copy.client()
    for _ in range(2):
        client.value.execute("set work_mem = '1234kB'")
        client.value.commit()
        returning = client.begin_to_renew()
        learnt.write(*WORK)
        assert learnt.copy.undo_at_once(returning).rows == 4
        assert client.value.lock.locked()
        returning.gather()
        assert client.value.execute("show work_mem").fetchone() != ("1234kB",)
        client.value.rollback()
    client.close()


def test_others_are_whatever_is_done_meanwhile(learnt: Bench) -> None:
    with learnt.connect() as connection, learnt.connect(autocommit=False) as open_:
        learnt.write(*WORK)
        open_.execute("insert into child (v) values ('open')")
        assert learnt.copy.undo_at_once(Back(connection, pids=[connection.info.backend_pid])) is None
        assert learnt.content() != learnt.before
        open_.rollback()
    assert learnt.undo().path == "log"


@pytest.mark.parametrize("step", ["undo_at_once", "undo", "late_writes", "ready"])
def test_what_was_read_is_not_lost_where_a_time_out_breaks_off(
    learnt: Bench, monkeypatch: pytest.MonkeyPatch, step: str
) -> None:
    def break_off(*_: object) -> None:
        monkeypatch.undo()
        raise BrokenOff

    learnt.write(*WORK, "delete from seeded")
    monkeypatch.setattr(Written, "add", break_off)
    with pytest.raises(BrokenOff):
        getattr(learnt.copy, step)()
    assert not learnt.copy.ready()
    if step == "undo":
        learnt.needs_clone()
    else:
        assert learnt.undo().path == "log"


def test_what_breaks_off_while_the_server_works_leaves_no_answer_to_the_next_question(learnt: Bench) -> None:
    class Broken(Back):
        def send(self) -> None:
            raise BrokenOff

    with learnt.connect() as connection:
        learnt.write(*WORK)
        with pytest.raises(BrokenOff):
            learnt.copy.undo_at_once(Broken(connection))
    learnt.copy.late_writes()
    learnt.copy.undo()
    assert learnt.content() == learnt.before
    for _ in range(2):
        learnt.write(*WORK)
        assert learnt.undo().rows == 4


def test_what_is_committed_while_the_fence_waits_is_undone(learnt: Bench) -> None:
    with learnt.connect() as slow, learnt.connect() as other:
        text = "do $$ begin perform pg_sleep(0.05); insert into child (v) values ('late'); end $$"
        busy = threading.Thread(target=slow.execute, args=(text,))
        busy.start()
        running = "select 1 from pg_stat_activity where pid = %s and state = 'active'"
        while not other.execute(running, (slow.info.backend_pid,)).fetchone():
            pass
        learnt.write(*WORK)
        learnt.copy.undo_at_once()
        learnt.copy.undo()
        busy.join()
    assert learnt.content() == learnt.before


def test_an_undo_that_is_refused_changes_nothing_and_is_left_to_the_plan(
    learnt: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    learnt.write(*WORK)
    prepared = learnt.copy._clone._at_once._prepared
    name = next(name for name in prepared if name.startswith("undo_"))
    monkeypatch.setitem(prepared, name, "AS SELECT 1 / 0")
    assert learnt.copy.undo_at_once() is None
    assert learnt.content() != learnt.before
    assert learnt.undo().path == "log"


def test_a_lost_connection_of_ours_is_no_reason_to_lose_an_undo(learnt: Bench) -> None:
    learnt.write(*WORK)
    learnt.copy._source.admin.run(f"select pg_terminate_backend({learnt.copy._link.pid}, 1000)")
    assert learnt.undo().path == "log"
    learnt.write(*WORK)
    assert learnt.undo().path == "log"


@pytest.mark.parametrize("asked", ["undo_at_once", "late_writes", "ready", "undo"])
def test_a_new_connection_of_ours_is_not_asked_for_what_went_with_the_old_one(
    learnt: Bench, monkeypatch, asked
) -> None:
    """The server would refuse it, and a test that fails would show that in its log."""
    refused = []
    send = Link._send

    def sent(*arguments):
        try:
            return send(*arguments)
        except psycopg.ProgrammingError as error:
            refused.append(error)
            raise

    monkeypatch.setattr(Link, "_send", sent)
    learnt.write(*WORK)
    link = learnt.copy._link
    link._connection.pgconn.finish()  # as when the end of it has been heard
    getattr(learnt.copy, asked)()
    learnt.undo()
    assert learnt.content() == learnt.before
    assert refused == []


def test_the_language_of_the_function_may_be_missing(embedded_store, bench_on) -> None:
    if not embedded_store.abilities.near:
        pytest.skip("before PostgreSQL 17 there is no function")
    one = bench_on(embedded_store, "create table t (id serial primary key); drop extension plpgsql")
    for _ in range(3):
        one.write("insert into t default values")
        assert one.copy.undo_at_once() is None
        assert one.undo().path == "log"


def test_a_table_that_the_log_says_nothing_of_is_still_looked_at(embedded_store, bench_on) -> None:
    one = bench_on(embedded_store, "create unlogged table u (id serial primary key); create table t (id int)")
    for _ in range(3):
        one.write("insert into t values (1)", "insert into u default values")
        assert one.undo().rows == 2


def test_a_layer_is_a_new_baseline_for_what_was_learnt(learnt: Bench) -> None:
    learnt.write("insert into child (v) values ('layer')")
    learnt.copy.push()
    layer = learnt.content()
    for _ in range(2):
        learnt.write(*WORK)
        learnt.copy.undo_at_once() or learnt.copy.undo()
        assert learnt.content() == layer
    learnt.copy.pop()
    assert learnt.content() == learnt.before


def test_tests_that_end_while_others_write_to_other_databases_are_undone(learnt: Bench, embedded_store) -> None:
    stop = threading.Event()

    def write_elsewhere() -> None:
        with psycopg.connect(embedded_store._admin._endpoint.admin.url(), autocommit=True) as connection:
            while not stop.is_set():
                connection.execute("select pg_logical_emit_message(false, 'noise', repeat('x', 9000))")

    noise = threading.Thread(target=write_elsewhere)
    noise.start()
    try:
        for _ in range(50):
            learnt.write(*WORK)
            assert learnt.copy.undo_at_once().rows == 4
            assert learnt.content() == learnt.before
    finally:
        stop.set()
        noise.join()


def test_who_comes_between_a_look_and_its_undo_is_seen(learnt: Bench) -> None:
    learnt.write(*WORK, "delete from seeded")
    assert learnt.copy.undo_at_once() is None
    # The check-in is broken off here, as by a time-out of the test's.
    with learnt.connect(autocommit=False) as open_:
        open_.execute("insert into child (v) values ('open')")
        assert "child" in learnt.copy.late_writes()
        assert [ended.pid for ended in learnt.undo().ended] == [open_.info.backend_pid]
        open_.close()


def test_a_table_that_was_locked_when_its_undo_was_to_be_prepared_is_undone_at_once_later(learnt: Bench) -> None:
    with learnt.connect(autocommit=False) as open_:
        open_.execute("lock table child")
        assert learnt.copy.undo_at_once() is None
    assert learnt.undo().path == "nothing"
    learnt.write(*WORK)
    assert learnt.copy.undo_at_once().rows == 4
    assert learnt.content() == learnt.before


def test_what_a_clone_undoes_faster_is_cloned(learnt: Bench) -> None:
    long = "insert into child (v) select repeat('x', 1900) from generate_series(1, 4 * {})"
    learnt.write(long.format(MOST_BLOCKS + 1))
    assert "blocks of child" in learnt.needs_clone().what
    for _ in range(2):
        learnt.write(*WORK)
        assert learnt.undo().rows == 4
    learnt.write(long.format(MOST_BLOCKS + 1))
    assert "blocks of child" in learnt.needs_clone().what
