"""Whoever still runs when a test is over gets a moment, is ended, and is told of."""

from __future__ import annotations

import contextlib
import threading
import time
from dataclasses import replace

import psycopg
import pytest

from seatrial.isolation import restore
from seatrial.resources.kinds.postgres import Postgres

TABLE = "create table t (id serial, v text); insert into t (v) values ('seed')"


def test_a_transaction_that_was_left_open_is_ended_and_named(bench) -> None:
    one = bench(TABLE)
    app = one.connect(autocommit=False)
    app.execute("set application_name = 'worker'")
    app.execute("update t set v = 'open'")
    (ended,) = one.undo().ended
    assert (ended.pid, ended.application, ended.state) == (app.info.backend_pid, "worker", "idle in transaction")
    assert "update t" in ended.query
    with pytest.raises(psycopg.OperationalError):
        app.execute("select 1")
    app.close()


def test_work_that_ends_within_the_moment_is_waited_for_and_undone(bench) -> None:
    one = bench(TABLE)
    app = one.connect()
    thread = threading.Thread(target=app.execute, args=("select pg_sleep(0.1); insert into t (v) values ('late')",))
    thread.start()
    time.sleep(0.03)
    undone = one.undo()
    thread.join()
    assert not undone.ended
    assert undone.rows == 1
    assert app.execute("select 1").fetchone() == (1,)
    app.close()


def test_connections_that_are_idle_stay_open(bench) -> None:
    one = bench(TABLE)
    with one.connect() as app:
        for _ in range(3):
            app.execute("insert into t (v) values ('x')")
            assert not one.undo().ended
            assert app.execute("select count(*) from t").fetchone() == (1,)


def test_a_lock_that_somebody_waits_for_does_not_hold_the_undo_up(bench) -> None:
    one = bench(TABLE)
    holder, waiter = one.connect(autocommit=False), one.connect()
    holder.execute("lock table t")

    def wait() -> None:
        with contextlib.suppress(psycopg.OperationalError):  # it may get the lock before it is ended itself
            waiter.execute("insert into t (v) values ('waits')")

    thread = threading.Thread(target=wait)
    thread.start()
    assert {ended.state for ended in one.undo().ended} <= {"active", "idle in transaction"}
    thread.join()
    holder.close()
    waiter.close()


def test_a_prepared_transaction_is_rolled_back_and_told(bench) -> None:
    one = bench(TABLE)
    one.write("begin; insert into t (v) values ('p'); prepare transaction 'left over'")
    assert one.undo().notes == ('the prepared transaction "left over" was rolled back',)


def test_a_prepared_transaction_does_not_stop_a_fresh_clone(bench) -> None:
    one = bench(TABLE)
    one.write("begin; create table other (id int); prepare transaction 'ddl'")
    one.copy.renew()
    assert one.content() == one.before


def test_a_write_after_the_undo_is_seen_as_late_and_undone(bench) -> None:
    one = bench(TABLE)
    one.undo()
    assert one.copy.late_writes() == ()
    one.write("insert into t (v) values ('late')")
    late = one.copy.late_writes()
    assert set(late) == ({"t", "t_id_seq"} if one.by_log else set())
    assert set(one.copy.late_writes()) == set(late)
    one.undo()
    assert one.copy.late_writes() == ()


def test_a_test_is_ready_to_begin_where_nobody_is_at_work_and_nothing_came_late(embedded_store, bench_on) -> None:
    one = bench_on(embedded_store, TABLE)
    one.undo()
    idle, busy = one.connect(), one.connect(autocommit=False)
    idle.execute("select 1")
    assert one.copy.ready()
    assert one.copy.used_since_checkout([]) == ()
    busy.execute("select 1")
    assert not one.copy.ready()
    busy.rollback()
    assert one.copy.ready()
    idle.execute("insert into t (v) values ('late')")
    assert not one.copy.ready()
    assert "t" in one.copy.late_writes()
    one.undo()
    assert one.copy.ready()
    idle.execute("insert into t (v) values ('in the test')")
    assert not one.copy.uncommitted_only()
    assert {used.pid for used in one.copy.used_since_checkout([])} == {idle.info.backend_pid}
    one.undo()
    idle.close()
    busy.close()
    embedded_store.drop(one.name)


def test_what_was_read_as_late_is_not_forgotten_by_the_next_undo(bench) -> None:
    one = bench(TABLE)
    one.write("delete from t")
    one.copy.late_writes()
    one.write("insert into t (v) values ('more')")
    one.undo()


def test_our_own_undo_is_no_late_write(bench) -> None:
    one = bench(TABLE)
    for _ in range(3):
        one.write("update t set v = 'x'")
        one.undo()
        assert one.copy.late_writes() == ()


def test_a_connection_of_ours_that_somebody_ends_is_no_late_write(bench) -> None:
    one = bench(TABLE)
    one.write("insert into t (v) values ('x')")
    one.undo()
    one.write(
        "select pg_terminate_backend(pid) from pg_stat_activity where datname = current_database() and pid <> pg_backend_pid()"
    )
    assert restore.late(one.copy) is None
    one.write("insert into t (v) values ('y')")
    assert one.undo().path == ("log" if one.by_log else "scan")


def test_connections_that_ran_something_since_the_mark_are_named(bench) -> None:
    one = bench(TABLE)
    before, after = one.connect(), one.connect()
    before.execute("select 1")
    time.sleep(0.01)
    one.copy.mark()
    after.execute("select 2")
    pids = {used.pid for used in one.copy.used_since_checkout([])}
    assert pids == {after.info.backend_pid}
    assert not one.copy.used_since_checkout([after.info.backend_pid])
    before.close()
    after.close()


def test_idle_connections_are_ended_where_they_are_to_be_recycled(bench) -> None:
    one = bench(TABLE)
    mine, theirs = one.connect(), one.connect()
    assert [ended.pid for ended in one.copy.end_idle([mine.info.backend_pid])] == [theirs.info.backend_pid]
    assert mine.execute("select 1").fetchone() == (1,)
    with pytest.raises(psycopg.OperationalError):
        theirs.execute("select 1")
    mine.close()


def test_an_idle_connection_that_our_role_may_not_end_keeps_none_of_the_others(reads, embedded, bench_on) -> None:
    one = bench_on(reads, TABLE)
    with psycopg.connect(
        replace(embedded.admin, database=one.copy.address.database).url(), autocommit=True
    ) as somebody:
        somebody.execute("select 1")
        theirs = one.connect()
        theirs.execute("select 1")
        assert [ended.pid for ended in one.copy.end_idle([])] == [theirs.info.backend_pid]
        assert somebody.execute("select 1").fetchone() == (1,)
        with pytest.raises(psycopg.OperationalError):
            theirs.execute("select 1")


def test_a_commit_inside_a_rollback_test_is_known(bench) -> None:
    one = bench(TABLE)
    with one.connect() as app:
        app.execute("begin; savepoint a; insert into t (v) values ('x'); release a; rollback")
        assert one.copy.uncommitted_only()
        app.execute("begin; savepoint a; insert into t (v) values ('x'); release a; commit")
        assert not one.copy.uncommitted_only()
    one.undo()


def test_whether_something_was_committed_is_not_waited_for_where_a_table_is_locked(bench) -> None:
    """Nobody is sure of it then, and the copy is replaced; what was prepared goes with it."""
    one = bench(TABLE)
    with one.connect() as app:
        app.execute("begin; truncate t; prepare transaction 'left'")
    assert not one.copy.uncommitted_only()
    one.copy.renew()
    assert one.content() == one.before


def test_a_commit_to_unlogged_tables_alone_is_one_too(bench) -> None:
    """The log says nothing of their rows; what was rolled back has left a sequence further on, which is no commit."""
    one = bench("create unlogged table u (id serial primary key, v text); insert into u (v) values ('seed')")
    with one.connect(autocommit=False) as connection:
        connection.execute("insert into u (v) values ('x')")
        connection.rollback()
    assert one.copy.uncommitted_only()
    one.write("update u set v = 'y'")
    assert not one.copy.uncommitted_only()
    one.undo()


def test_a_test_that_ends_every_connection_of_the_database_ours_included_is_undone(bench) -> None:
    one = bench(TABLE)
    one.undo()
    with one.connect() as app:
        app.execute("insert into t (v) values ('x')")
        app.execute(
            "select pg_terminate_backend(pid) from pg_stat_activity where datname = current_database() and pid <> pg_backend_pid()"
        )
    one.undo()


def test_a_replication_slot_of_a_test_is_dropped_and_that_of_the_app_stays(spec, another_server, bench_on) -> None:
    with another_server("wal_level=logical") as endpoint, contextlib.closing(Postgres().open(endpoint, spec)) as store:
        one = bench_on(store, "create table t (id int)")
        make = "select pg_create_logical_replication_slot('{}', 'test_decoding', {})"
        names = "select slot_name from pg_replication_slots order by slot_name"
        one.write(make.format("of_the_app", False))
        assert not one.copy.ready()
        one.copy.mark()
        for _ in range(2):
            with one.connect() as app:
                app.execute(make.format("passing", True))
                app.execute(make.format("of_the_test", False))
                app.execute("insert into t values (1)")
                assert one.undo().notes == ('the replication slot "of_the_test" was dropped',)
                assert app.execute(names).fetchall() == [("of_the_app",), ("passing",)]
            assert one.copy.ready()
        store.drop(one.name)


def test_ddl_committed_inside_a_rollback_test_is_known(bench) -> None:
    one = bench(TABLE)
    one.copy.mark()
    one.write("alter table t add column late int")
    assert not one.copy.uncommitted_only()
    one.needs_clone()


def test_a_connection_whose_transaction_has_failed_is_ended_and_told(bench) -> None:
    """Its temporary tables would live on, and whoever uses it in the next test would be told of an error before."""
    one = bench(TABLE)
    app = one.connect()
    app.execute("create temporary table scratch (id int)")
    app.execute("begin")
    with pytest.raises(psycopg.errors.DivisionByZero):
        app.execute("select 1 / 0")
    assert [ended.pid for ended in one.undo().ended] == [app.info.backend_pid]
    with pytest.raises(psycopg.OperationalError):
        app.execute("rollback")


def test_what_was_prepared_and_is_ended_by_its_app_while_we_look_is_no_error(bench) -> None:
    one = bench(TABLE)
    with one.connect() as app:
        app.execute("begin; insert into t (v) values ('x'); prepare transaction 'due'")
        fence = one.copy._now()._fence
        busy = fence.busy(())
        app.execute("commit prepared 'due'")
        assert fence.roll_back(busy, one.copy._link) == []
    assert one.undo().rows == 1


def test_while_somebody_holds_a_table_a_copy_may_have_changed(bench) -> None:
    one = bench(TABLE)
    with one.connect(autocommit=False) as app:
        app.execute("lock table t")
        assert one.copy.changed() == (not one.by_log)
