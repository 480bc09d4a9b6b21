"""What all else stands on: rows given back without end, readers that are no writers, clones aside, roles, crashes.

Pools that survive a fence and a swap are in `tests/hard_cases/test_connections.py`, for each driver. What each of
these costs is measured by `benchmarks/gate.py`.
"""

from __future__ import annotations

import os
import signal
import threading
import time
from concurrent.futures import ThreadPoolExecutor

import psycopg
import pytest
from tests.fuse import BrokenOff

from seatrial.errors import NeedsClone
from seatrial.resources.kinds.postgres import Postgres
from seatrial.resources.kinds.postgres.finding.log import LogReader

SEEDED = (
    "create table t (id serial primary key, v text); insert into t (v) select 'v' || g from generate_series(1, 20000) g"
)


def role_state(one, role: str) -> tuple[object, ...]:
    with one.connect() as app:
        return app.execute(
            """select current_setting('work_mem'), (select count(*) from pg_roles where rolname = %s
            and rolconfig = '{work_mem=9MB}' and exists(select from pg_auth_members where member = pg_roles.oid))""",
            [role],
        ).fetchone()


def log_position(endpoint) -> int:
    with psycopg.connect(endpoint.admin.url()) as admin:
        return int(admin.execute("select pg_current_wal_insert_lsn() - '0/0'").fetchone()[0])


def test_the_same_rows_of_a_large_table_are_given_back_without_end(embedded_store, bench_on) -> None:
    """Each time in place, whatever VACUUM has recycled meanwhile; CLUSTER of so many rows takes a clone, and on it goes."""
    one = bench_on(embedded_store, SEEDED + "; alter table t cluster on t_pkey")
    for number in range(2):
        for statement in (
            "update t set v = 'changed' where id in (1, 9000, 20000)",
            "update t set id = id + 100000 where id between 8995 and 9005",
            "delete from t where id in (1, 2, 9000)",
            "delete from t where id % 100 = 0",
            "vacuum t",
            "insert into t (v) select 'new' from generate_series(1, 500)",
            "vacuum (freeze) t",
        ):
            one.write(statement)
            assert one.undo().path == ("nothing" if "vacuum" in statement else "log")
        one.write("cluster t", "update t set v = 'changed' where id = 1")
        assert "rewritten" in one.needs_clone().what, number
    embedded_store.drop(one.name)


@pytest.mark.parametrize("checksums", [True, False])
def test_a_reader_is_no_writer_though_it_sets_hint_bits_that_are_logged(
    spec, another_server, bench_on, checksums: bool
) -> None:
    settings = () if checksums else ("wal_log_hints=on", "full_page_writes=on")
    with another_server(*settings, checksums=checksums) as endpoint:
        store = Postgres().open(endpoint, spec)
        one = bench_on(store, SEEDED)
        one.write("update t set v = v where id < 2000")
        assert one.undo().path == "log"
        one.copy.late_writes()
        with psycopg.connect(endpoint.admin.url(), autocommit=True) as admin:
            admin.execute("checkpoint")
        before = log_position(endpoint)
        one.write("select count(v) from t", "vacuum t")
        assert log_position(endpoint) > before + 8192
        undone = one.copy.undo()
        assert (undone.path, undone.tables) == ("nothing", ())
        store.drop(one.name)
        store.close()


def test_a_clone_writes_next_to_nothing_into_the_log_that_all_workers_read(embedded, embedded_store, bench_on) -> None:
    one = bench_on(embedded_store, SEEDED + "".join(f"; create table t{n} (id serial primary key)" for n in range(20)))
    before = log_position(embedded)
    one.copy.renew()
    assert log_position(embedded) - before < 40_000
    embedded_store.drop(one.name)


def test_clones_of_other_workers_do_not_make_a_test_look_like_a_writer(embedded_store, bench_on) -> None:
    mine, other = bench_on(embedded_store, SEEDED), bench_on(embedded_store, SEEDED)
    mine.undo()
    other.write("insert into t (v) values ('x')")
    other.copy.renew()
    assert mine.copy.late_writes() == ()
    assert mine.undo().path == "nothing"
    embedded_store.drop(mine.name)
    embedded_store.drop(other.name)


def test_while_clones_are_made_in_the_background_the_log_that_is_read_stays_small(
    embedded, embedded_store, spec, bench_on
) -> None:
    """One worker's tests write and are undone; another one's take a clone each, and order the next."""
    mine = bench_on(embedded_store, SEEDED)
    store = Postgres().open(embedded, spec)
    other = bench_on(store, SEEDED)
    mine.undo()  # what making the other one has logged is read here
    clones, over = 0, threading.Event()

    def work() -> None:
        nonlocal clones
        while not over.is_set():
            other.copy.renew()
            clones += 1

    read, rounds = 0, 0
    with ThreadPoolExecutor(1) as pool:
        cloning = pool.submit(work)
        try:
            while clones < 3:
                mine.write("insert into t (v) values ('x')", "delete from t where id = 7")
                undone = mine.undo()
                assert (undone.path, undone.rows) == ("log", 2)
                assert mine.copy.late_writes() == ()
                read, rounds = read + int(undone.read.split()[0]), rounds + 1
        finally:
            over.set()
        cloning.result()
    assert read < 20_000 * (clones + 1) + 10_000 * rounds
    store.drop(other.name)
    store.close()
    embedded_store.drop(mine.name)


def one_of_several(one, number: int, role: str, together: threading.Barrier) -> None:
    """A test that changes what belongs to the whole server, while others do: they end one by one."""
    untouched = role_state(one, "")
    one.write(
        f"create role {role}",
        f"grant pg_monitor to {role}",
        f"alter role {role} set work_mem = '9MB'",
        f"alter database {one.name} set work_mem = '{number + 1}MB'",
    )
    for leaving in range(together.parties):
        together.wait()
        if leaving == number:
            one.undo()
            assert role_state(one, role) == untouched
        elif leaving < number:
            assert role_state(one, role) == (f"{number + 1}MB", 1)


def test_workers_that_change_roles_and_settings_at_once_lose_their_own_and_keep_the_others(
    embedded, spec, bench_on
) -> None:
    workers, rounds = 3, 3
    together = threading.Barrier(workers, timeout=90)
    stores = [Postgres().open(embedded, spec) for _ in range(workers)]
    copies = [bench_on(store, "create table t (id int)") for store in stores]

    def work(number: int) -> None:
        try:
            for turn in range(rounds):
                one_of_several(copies[number], number, f"gate_{number}_{turn}", together)
        except threading.BrokenBarrierError:
            return  # another one failed, and says why
        except BaseException:
            together.abort()
            raise

    with ThreadPoolExecutor(workers) as pool:
        for running in [pool.submit(work, number) for number in range(workers)]:
            running.result()
    assert not together.broken
    for store, one in zip(stores, copies, strict=True):
        store.drop(one.name)
        store.close()
    with psycopg.connect(embedded.admin.url()) as admin:
        assert admin.execute("select rolname from pg_roles where rolname like 'gate%'").fetchall() == []


def test_after_a_crash_of_the_server_a_clone_is_asked_for_and_is_the_baseline(spec, another_server, bench_on) -> None:
    with another_server() as endpoint:
        store = Postgres().open(endpoint, spec)
        one = bench_on(store, SEEDED)
        one.write("insert into t (v) values ('x')")
        one.undo()
        app = one.connect()
        app.execute("insert into t (v) values ('y')")
        os.kill(app.info.backend_pid, signal.SIGKILL)
        with pytest.raises(psycopg.OperationalError):
            app.execute("select 1")
        app.close()
        while one.copy.late_writes() != ("the log of before is gone",):
            time.sleep(0.01)
        with pytest.raises(NeedsClone):
            one.copy.undo()
        one.copy.renew()
        assert one.content() == one.before
        one.write("insert into t (v) values ('z')")
        assert one.undo().path == "log"
        store.drop(one.name)
        store.close()


def test_one_connection_reads_the_log_and_undoes(embedded_store, bench_on) -> None:
    """Where our role may declare what reads it; a second process of the server would wake up for each test."""
    if not embedded_store.abilities.near:
        pytest.skip("before PostgreSQL 17 event triggers would hear how the function is declared")
    one = bench_on(embedded_store, SEEDED)
    hub = embedded_store._reader

    def last_asked() -> object:
        return embedded_store._admin.rows(f"select query_start from pg_stat_activity where pid = {hub.pid}")

    one.undo()  # the database was made meanwhile, which is the whole server's business
    before = last_asked()
    one.write("insert into t (v) values ('x')")
    assert one.copy.undo().path == "log"
    assert one.copy.ready()
    assert last_asked() == before
    embedded_store.drop(one.name)


def test_the_log_is_read_the_same_way_where_only_a_commit_flushes_it(embedded_store, bench_on) -> None:
    """As on PostgreSQL 16, whose pg_logical_emit_message can't flush."""
    one = bench_on(embedded_store, SEEDED)
    copy = one.copy
    copy._clone._log = LogReader(
        copy._source.reader, copy._clone.oid, copy._clone._log.position, near=None, flushes=False
    )
    copy._clone._at_once = None
    for _ in range(2):
        one.write("insert into t (v) values ('x')", "delete from t where id < 5")
        assert one.undo().path == "log"
        assert one.copy.late_writes() == ()
        one.write("select count(*) from t")
        assert one.undo().path == "nothing"
    embedded_store.drop(one.name)


def test_a_copy_that_needs_a_clone_gets_the_one_that_is_ready(embedded, spec, bench_on) -> None:
    """Which was made, and marked, in the background meanwhile: that is nothing that the test did to the server."""
    store = Postgres().open(embedded, spec)
    one = bench_on(store, SEEDED)

    def oids(names: str) -> list[int]:
        return [oid for (oid,) in store._admin.rows(f"select oid::bigint from pg_database where datname ~ '{names}'")]

    one.write("create table first_of_all (id int)")
    one.needs_clone()
    for number in range(3):
        while not any(spares._ready.qsize() for spares in store._spares.values()):
            time.sleep(0.01)
        ready = oids("^seatrial_s_")
        assert one.copy.ready()
        one.write(f"create table extra_{number} (id int)")
        one.needs_clone()
        assert oids(f"^{one.name}$") == ready
    store.drop(one.name)
    store.close()


def test_clones_that_were_made_in_the_background_are_the_baseline_and_nothing_is_left_of_them(
    embedded, spec, bench_on
) -> None:
    store = Postgres().open(embedded, spec)
    one = bench_on(store, SEEDED)
    for number in range(6):
        one.write(f"create table extra_{number} (id int)", "insert into t (v) values ('x')")
        one.needs_clone()
        one.write("delete from t where id < 9")
        assert one.undo().path == "log"
        while not store._spares[one.key]._ready.qsize():
            time.sleep(0.01)
    store.drop(one.name)
    store.close()
    with psycopg.connect(embedded.admin.url()) as admin:
        left = admin.execute(
            "select datname from pg_database where datname ~ '^seatrial_[sx]_' or datname = %s", (one.name,)
        )
        assert left.fetchall() == []


def test_a_copy_that_lay_idle_while_the_log_went_on_asks_for_a_clone(embedded_store, bench_on) -> None:
    one = bench_on(embedded_store, SEEDED)
    one.copy._clone._log.position = "0/100028"  # in a segment that the server has removed long ago
    assert one.copy.late_writes() == ("the log of before is gone",)
    with pytest.raises(NeedsClone, match="could not be undone in place"):
        one.copy.undo()
    one.copy.renew()
    one.write("insert into t (v) values ('x')")
    assert one.undo().path == "log"
    embedded_store.drop(one.name)


def test_a_connection_of_ours_that_is_interrupted_is_of_use_again(store) -> None:
    def interrupt(*_: object) -> None:
        raise BrokenOff

    usual = signal.signal(signal.SIGALRM, interrupt)
    signal.setitimer(signal.ITIMER_REAL, 0.2)
    try:
        with pytest.raises(BrokenOff):
            store._admin.rows("select pg_sleep(60)")
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, usual)
    assert store._admin.rows("select 1") == [(1,)]
