"""Several connections, pools, threads, processes and late writers; pools that are never asked whether they are alive."""

from __future__ import annotations

import asyncio
import pkgutil
import queue
import subprocess
import sys
import threading
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress

import pytest
from tests.fuse import BrokenOff

from seatrial import events

from .apps import JOINABLE

ORDER = "insert into orders (customer_id) values (1) returning id"
GONE = r"terminat|clos|lost|reset by peer|released|another operation"
"""What drivers say of a connection that the server has ended; asyncpg the last, where it has not yet met the end."""
WORKER = """
import sys, psycopg
with psycopg.connect(sys.argv[1], autocommit=True) as connection:
    for line in sys.stdin:
        connection.execute(line)
        print("done", flush=True)
"""


def pid_of(app) -> int:
    return app.commit("select pg_backend_pid()")[0][0]


def test_several_connections_that_interleave_are_undone_together(committing):
    with committing.one_test():
        held = [committing.app.hold() for _ in range(4)]
        for each in held:
            each.run(ORDER)
        for number, each in enumerate(held):
            each.run("insert into line (order_id, product_id, amount) select max(id), 1, 1 from orders where id > 5")
            each.commit() if number % 2 else each.rollback()


def test_several_pools_of_different_drivers_on_one_database_are_undone_together(sea, app_of):
    with sea.one_test("reset", "plain") as test:
        app_of("psycopg").commit(ORDER)
        app_of("asyncpg").commit("update orders set customer_id = 2 where id = 6", ORDER)
        with sea.connect("plain") as other:
            other.execute("delete from customer where id = 2")
    assert (test.told, test.paths["plain"].path) == ([], "log")


def test_eight_threads_at_once_are_undone_from_the_log(app, sea):
    with sea.one_test("reset", app.resource) as test, ThreadPoolExecutor(8) as pool:
        buy = "update product set stock = stock - 1 where id = 1 and stock > 0"
        list(pool.map(lambda _: app.commit(ORDER, buy), range(8)))
        assert app.commit("select stock from product where id = 1") == [(2,)]
    assert (test.told, test.paths[app.resource].path) == ([], "log")


def test_threads_of_a_rollback_test_take_turns_on_its_one_connection(sea, app_of):
    app = app_of("sqlalchemy")
    with sea.one_test("rollback", "db") as test, ThreadPoolExecutor(4) as pool:
        list(pool.map(lambda _: app.commit(ORDER), range(4)))
        assert app.commit("select count(*) from orders") == [(9,)]
    assert (test.told, test.paths["db"].path) == ([], "rollback")


def test_tasks_of_a_rollback_test_take_turns_on_its_one_connection(sea, app_of, app_loop):
    app = app_of("sqlalchemy-async")

    async def buy() -> None:
        async with app.engine.begin() as connection:
            await connection.exec_driver_sql(ORDER)

    async def all_at_once() -> None:
        await asyncio.gather(*(buy() for _ in range(4)))

    with sea.one_test("rollback", "adb") as test:
        app_loop.run(all_at_once())
        assert app.commit("select count(*) from orders") == [(9,)]
    assert (test.told, test.paths["adb"].path) == ([], "rollback")


def test_a_task_queue_in_a_thread_that_is_still_at_work_is_waited_for_a_moment(app, sea):
    jobs: queue.Queue[str | None] = queue.Queue()

    def work() -> None:
        while (job := jobs.get()) is not None:
            app.commit("select pg_sleep(0.02)", job)
            jobs.task_done()

    worker = threading.Thread(target=work)
    worker.start()
    with sea.one_test("reset", app.resource) as test:
        jobs.put(ORDER)
        jobs.join()
        jobs.put("select 1")
    jobs.put(None)
    worker.join()
    assert (test.told, test.paths[app.resource].rows) == ([], 1)


@pytest.fixture
def worker_process(sea):
    with subprocess.Popen(
        [sys.executable, "-c", WORKER, sea.url("db")], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as process:

        def run(statement: str) -> None:
            process.stdin.write(statement + "\n")
            process.stdin.flush()
            assert process.stdout.readline() == "done\n"

        yield run
        process.stdin.close()


@pytest.mark.parametrize("isolation", ["reset", "rollback"])
def test_a_task_queue_in_another_process_is_undone_and_refused_only_by_rollback(sea, worker_process, isolation):
    with sea.one_test(isolation, "db") as test:
        worker_process("insert into orders (customer_id) values (1)")
    assert bool(test.told) == (isolation == "rollback")
    with sea.one_test(isolation, "db") as test:
        pass
    assert test.seen(events.LateWrite) == []


def test_a_write_after_the_tests_end_is_undone_and_charged_to_the_test_that_started_it(app, sea):
    with sea.one_test("reset", app.resource) as first:
        pass
    app.commit(ORDER)
    with sea.one_test("reset", app.resource) as second:
        assert app.commit("select count(*) from orders") == [(5,)]
        assert app.commit(ORDER) == [(6,)]
    (late,) = second.seen(events.LateWrite)
    assert (late.test, set(late.tables)) == (first.id, {"orders", "orders_id_seq"})


def test_the_last_statement_of_a_connection_that_was_ended_is_told_without_its_password(app_of, sea):
    app = app_of("sqlalchemy")
    with sea.one_test("reset", "db") as test:
        held = app.hold()
        held.run(ORDER)
        held.run("select 1 where 'password=hunter22' = 'x'")
    (ended,) = test.seen(events.ConnectionEnded)
    assert "password=***" in ended.query
    assert "hunter22" not in ended.query


@pytest.mark.parametrize("isolation", ["rollback", "clone"])
def test_a_write_after_the_tests_end_is_undone_whatever_the_next_isolation(sea, app_of, isolation):
    with sea.one_test("reset", "db") as first:
        pass
    app_of("sqlalchemy").commit("delete from line")
    with sea.one_test(isolation, "db") as second:
        assert app_of("sqlalchemy").commit("select count(*) from line") == [(5,)]
        app_of("sqlalchemy").commit(ORDER)
    (late,) = second.seen(events.LateWrite)
    assert (second.told, late.test) == ([], first.id)


def test_a_transaction_that_outlives_its_test_is_ended_and_named(app, sea):
    with sea.one_test("reset", app.resource) as test:
        held = app.hold()
        held.run(ORDER)
        ((pid,),) = held.run("select pg_backend_pid()")
    (ended,) = test.seen(events.ConnectionEnded)
    assert (ended.test, ended.pid, "idle in transaction" in ended.state) == (test.id, pid, True)
    with pytest.raises(Exception, match=GONE):
        held.commit()
    with sea.one_test("reset", app.resource):
        assert app.commit("select count(*) from orders") == [(5,)]


@pytest.mark.parametrize("driver", JOINABLE)
def test_a_transaction_that_outlives_its_rollback_test_can_do_nothing_in_the_next(sea, app_of, driver):
    app = app_of(driver)
    with sea.one_test("rollback", app.resource):
        held = app.hold()
        held.run(ORDER)
    with sea.one_test("rollback", app.resource) as test:
        with pytest.raises(Exception, match=r"a connection of a test that is over was used|lost|clos|released"):
            held.run(ORDER)
        with suppress(Exception):  # a driver whose connection was ended says so once more
            held.rollback()
        assert app.commit("select count(*) from orders") == [(5,)]
    assert test.told == []


def test_a_pool_survives_a_fence_without_pre_ping(app, sea):
    with sea.one_test("reset", app.resource) as test:
        held = app.hold()
        held.run(ORDER)
        app.commit(ORDER)
    assert len(test.seen(events.ConnectionEnded)) == 1
    for _ in range(2):
        with sea.one_test("reset", app.resource) as test:
            several = [app.hold() for _ in range(3)]
            assert [one.run("select count(*) from orders") for one in several] == [[(5,)]] * 3
            for one in several:
                one.commit()
        assert test.seen(events.ConnectionEnded) == []
    with pytest.raises(Exception, match=GONE):  # noqa: PT012 - drivers notice at either
        held.rollback()
        held.run("select 1")


def test_a_pool_survives_a_swap_of_the_database_without_pre_ping(app, sea):
    with sea.one_test("reset", app.resource) as test:
        several = [app.hold() for _ in range(3)]
        for one in several:
            one.run(ORDER)
            one.commit()
        app.commit("create table made_by_a_test (id int)")
    assert (test.told, test.paths[app.resource].path) == ([], "clone")
    for _ in range(2):
        with sea.one_test("reset", app.resource) as test:
            several = [app.hold() for _ in range(3)]
            assert [one.run("select to_regclass('made_by_a_test')::text") for one in several] == [[(None,)]] * 3
            for one in several:
                one.commit()
        assert test.told == []


def test_a_pool_keeps_its_connections_and_prepared_statements_where_nothing_was_fenced_or_swapped(lone, sea):
    """Ten runs are enough for psycopg to prepare a statement; asyncpg prepares at once."""
    pids, prepared = set(), []
    for _ in range(3):
        with sea.one_test("reset", lone.resource):
            pids.add(pid_of(lone))
            for number in range(10):
                assert lone.commit(ORDER) == [(6 + number,)]
            prepared += lone.commit(
                "select count(*) from pg_prepared_statements where starts_with(statement, 'insert')"
            )
    assert (len(pids), prepared) == (1, [(1,)] * 3)


def test_a_pool_of_many_idle_connections_survives_a_swap_at_once(sea, app_of):
    """psycopg's pool waits after each failed check, twice as long each time: one by one takes longer than its timeout."""
    app = app_of("psycopg")
    for _ in range(2):
        with sea.one_test("clone", "plain"):
            several = [app.hold() for _ in range(6)]
            for one in several:
                one.run(ORDER)
                one.commit()


def test_a_cached_plan_does_not_outlive_the_schema_that_it_was_made_for(app, sea):
    """A test that alters a table is not the end of `select *` in the tests that follow."""
    for _ in range(2):
        with sea.one_test("reset", app.resource):
            for _ in range(7):
                assert len(app.commit("select * from without_key")[0]) == 1
        with sea.one_test("reset", app.resource) as test, sea.connect(app.resource) as other:
            other.execute("alter table without_key add column more int")
        assert test.paths[app.resource].path == "clone"


def test_notifications_are_delivered_within_a_test_that_commits(committing, sea):
    with committing.one_test(), sea.connect(committing.app.resource) as listener:
        listener.execute("listen news")
        committing.app.commit(ORDER, "select pg_notify('news', 'an order')")
        assert [note.payload for note in listener.notifies(timeout=5, stop_after=1)] == ["an order"]


def test_notifications_of_a_rollback_test_are_never_delivered(joinable, sea):
    """NOTIFY is sent by the commit, and there is none: a documented limit of the mode."""
    with sea.connect(joinable.resource) as listener:
        listener.execute("listen news")
        with sea.one_test("rollback", joinable.resource) as test:
            joinable.commit(ORDER, "select pg_notify('news', 'an order')")
        assert list(listener.notifies(timeout=0.1)) == []
    assert test.told == []


def test_advisory_locks_of_a_transaction_end_with_it(way):
    with way.one_test():
        way.app.commit("select pg_advisory_xact_lock(7)", ORDER)


LEFT = {
    "session setting": ("set work_mem = '7MB'", "select setting from pg_settings where name = 'work_mem'"),
    "search_path": ("set search_path = tenant_a", "select current_setting('search_path')"),
    "role": ("set role pg_monitor", "select current_user::text"),
    "LISTEN": ("listen news", "select count(*) from pg_listening_channels()"),
    "advisory lock": (
        "select pg_advisory_lock(7)",
        "select count(*) from pg_locks where locktype = 'advisory' and pid = pg_backend_pid()",
    ),
    "temporary table": ("create temp table passing (id int)", "select to_regclass('pg_temp.passing')::text"),
}
"""What a connection may keep: how it is made, and how it is seen."""


@pytest.mark.parametrize("what", LEFT)
def test_a_pooled_connection_keeps_nothing_of_the_test_before(lone, sea, what):
    make, look = LEFT[what]
    with sea.one_test("reset", lone.resource):
        before = lone.alone(look)
        lone.alone(make)
    with sea.one_test("reset", lone.resource):
        assert lone.alone(look) == before


@pytest.mark.parametrize("what", LEFT)
def test_the_tests_own_session_keeps_nothing_of_the_test_before(sea, app_of, what):
    make, look = LEFT[what]
    pids, seen = set(), []
    for _ in range(2):
        with sea.one_test("reset", "db") as test:
            session = sea.harness.session("db")
            connection = session.connection(execution_options={"isolation_level": "AUTOCOMMIT"})
            pids.add(connection.exec_driver_sql("select pg_backend_pid()").scalar())
            seen.append(connection.exec_driver_sql(look).scalar())
            connection.exec_driver_sql(make)
        assert test.told == []
    assert (len(pids), seen[0]) == (1, seen[1])


def test_a_transaction_that_began_after_the_check_in_is_ended_before_the_next_test_and_charged_to_its_own(app, sea):
    with sea.one_test("reset", app.resource) as first:
        pass
    held = app.hold()
    ((pid,),) = held.run("select pg_backend_pid()")
    with sea.one_test("reset", app.resource) as second:
        with pytest.raises(Exception, match=GONE):
            held.run(ORDER)
        assert app.commit("select count(*) from orders") == [(5,)]
    assert [(one.test, one.pid) for one in second.seen(events.ConnectionEnded)] == [(first.id, pid)]


@pytest.mark.parametrize("driver", ["sqlalchemy", "psycopg"])
def test_a_test_is_told_that_a_connection_which_the_one_before_still_holds_wrote_into_it(sea, app_of, driver):
    app = app_of(driver)
    with sea.one_test("reset", app.resource):
        held = app.hold()
        held.run(ORDER)
        held.run("COMMIT")
        ((pid,),) = held.run("select pg_backend_pid()")
        held.run("ROLLBACK")
    with sea.one_test("reset", app.resource) as disturbed:
        held.run(ORDER)
        held.run("COMMIT")
    with sea.one_test("reset", app.resource) as next_one:
        assert app.commit("select count(*) from orders") == [(5,)]
    held.rollback()
    assert [(one.pid, one.query) for one in disturbed.seen(events.Disturbed)] == [(pid, "COMMIT")]
    assert next_one.seen(events.Disturbed) == []


@pytest.mark.parametrize(
    "step",
    [
        "harness.borders.ending.Ending.end",
        "isolation.restore.undo",
        "sessions.pools.Pools.restore",
        "sessions.pools.Pools.gather",
    ],
)
@pytest.mark.parametrize("driver", ["sqlalchemy", "sqlalchemy-async", "psycopg"])
def test_a_check_in_that_a_time_out_breaks_off_leaves_no_connection_as_it_was(app_of, sea, monkeypatch, step, driver):
    app_of("sqlalchemy")  # its resource is the first to be checked in
    app = app_of(driver)
    locks = "select count(*) from pg_locks where pid = pg_backend_pid() and locktype = 'advisory'"
    state = f"select current_setting('work_mem'), ({locks})"
    place = f"seatrial.{step}"
    with sea.one_test("reset", app.resource):
        before = app.commit(state)
    usual = pkgutil.resolve_name(place)

    def interrupt(*arguments, **options):
        usual(*arguments, **options)
        raise BrokenOff

    with pytest.raises(BrokenOff), sea.one_test("reset", app.resource):  # noqa: PT012 - it breaks off at its end
        app.commit("set work_mem = '1234kB'", "select pg_advisory_lock(4711)", ORDER)
        monkeypatch.setattr(place, interrupt)
    monkeypatch.undo()
    found = []
    with sea.one_test("reset", app.resource):
        thread = threading.Thread(target=lambda: found.append(app.commit(state)), daemon=True)
        thread.start()
        thread.join(20)
        assert found == [before]
