"""What a pool has lent to a test is put back while the database is undone, and is nobody's till then."""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import threading
from collections.abc import Callable, Iterator
from typing import Any

import psycopg
import psycopg_pool
import pytest
from psycopg.rows import class_row, dict_row, scalar_row, tuple_row
from sqlalchemy import create_engine
from tests.fuse import BrokenOff
from tests.sessions.conftest import RealCopy

from seatrial.patches.applied import Applied
from seatrial.patches.lending import lent
from seatrial.patches.lending import psycopg as lending
from seatrial.patches.lending.psycopg import stale_psycopg
from seatrial.patches.stale_pools import stale_sqlalchemy
from seatrial.resources.first_state import Script, finish
from seatrial.sessions.pools import Pools

MARKED = "SET work_mem = '1234kB'; SELECT pg_advisory_lock(4711)"
STATE = (
    "SELECT current_setting('work_mem'), (SELECT count(*) FROM pg_locks WHERE locktype = 'advisory'), pg_backend_pid()"
)


@pytest.fixture
def pools(copy: RealCopy) -> Iterator[Pools]:
    pools = Pools()
    with Applied([stale_sqlalchemy(pools), stale_psycopg(pools)]):
        pools.watch(copy.address)
        yield pools


Uses = Callable[[str], Any]


@pytest.fixture(params=["psycopg", "psycopg2", "psycopg_pool"])
def uses(request: pytest.FixtureRequest, copy: RealCopy, pools: Pools) -> Iterator[Uses]:
    """Runs statements on the one connection of a pool of the app's, commits, and returns the last row."""
    if request.param == "psycopg_pool":
        with psycopg_pool.ConnectionPool(copy.address.url(), min_size=1, max_size=1) as pool:

            def by_pool(script: str) -> Any:
                with pool.connection() as connection:
                    cursor = connection.execute(script)
                    while cursor.nextset():
                        pass
                    return cursor.fetchone()

            yield by_pool
        return
    engine = create_engine(copy.address.url(request.param), pool_size=1, max_overflow=0)

    def by_engine(script: str) -> Any:
        with engine.begin() as connection:
            row = None
            for statement in script.split("; "):
                found = connection.exec_driver_sql(statement)
                row = found.one() if found.returns_rows else None
            return tuple(row) if row is not None else None

    yield by_engine
    engine.dispose()


def test_it_is_as_it_was_opened_once_it_is_gathered(uses: Uses, copy: RealCopy, pools: Pools) -> None:
    before = uses(STATE)
    uses(MARKED)
    assert uses(STATE) != before
    pools.restore(copy.address)
    pools.gather(copy.address)
    assert uses(STATE) == before


def test_it_is_gathered_though_the_end_before_was_broken_off_before_that(
    uses: Uses, copy: RealCopy, pools: Pools
) -> None:
    before = uses(STATE)
    uses(MARKED)
    pools.restore(copy.address)
    pools.restore(copy.address)
    pools.gather(copy.address)
    assert uses(STATE) == before


def test_held_is_what_was_not_back_in_its_pool_at_the_end_of_a_test(copy: RealCopy, pools: Pools) -> None:
    engine = create_engine(copy.address.url("psycopg"), pool_size=2)
    held = engine.connect()
    pid = held.exec_driver_sql("SELECT pg_backend_pid()").scalar_one()
    with engine.connect() as back:
        assert back.exec_driver_sql("SELECT pg_backend_pid()").scalar_one() != pid
    pools.restore(copy.address)
    pools.gather(copy.address)
    assert list(pools.held(copy.address)) == [pid]
    held.close()
    engine.dispose()


def test_who_asks_for_it_meanwhile_waits_for_that(uses: Uses, copy: RealCopy, pools: Pools) -> None:
    before = uses(STATE)
    uses(MARKED)
    pools.restore(copy.address)
    found: list[Any] = []
    other = threading.Thread(target=lambda: found.append(uses(STATE)))
    other.start()
    pools.gather(copy.address)
    other.join(30)
    assert found == [before]


def test_one_that_is_ended_is_replaced_by_its_pool(uses: Uses, copy: RealCopy, pools: Pools) -> None:
    pid = uses(STATE)[2]
    with psycopg.connect(copy.address.url(), autocommit=True) as other:
        other.execute("SELECT pg_terminate_backend(%s, 5000)", [pid])
    pools.restore(copy.address)
    pools.gather(copy.address)
    assert uses(STATE)[2] != pid


def test_one_that_is_ended_on_its_way_is_replaced_by_its_pool(uses: Uses, copy: RealCopy, pools: Pools) -> None:
    pid = uses(STATE)[2]
    pools.restore(copy.address)
    with psycopg.connect(copy.address.url(), autocommit=True) as other:
        other.execute("SELECT pg_terminate_backend(%s, 5000)", [pid])
    pools.gather(copy.address)
    try:
        assert uses(STATE)[2] != pid
    except Exception:  # noqa: BLE001  # in time to be put back, and ended only then: as ever without `pre_ping`
        assert uses(STATE)[2] != pid


def test_a_thread_that_is_not_done_with_it_is_waited_for(copy: RealCopy, pools: Pools) -> None:
    engine = create_engine(copy.address.url("psycopg"), pool_size=1, max_overflow=0, isolation_level="AUTOCOMMIT")
    with engine.connect() as connection:
        driver = connection.connection.driver_connection
    over = threading.Event()
    found: list[Any] = []

    def go_on() -> None:
        while not over.is_set():
            found.append(driver.execute("SELECT 'mine'").fetchone())

    other = threading.Thread(target=go_on)
    other.start()
    try:
        for _ in range(200):
            with engine.connect():
                pass
            pools.restore(copy.address)
            pools.gather(copy.address)
    finally:
        over.set()
        other.join(30)
    assert set(found) == {("mine",)}
    with engine.connect() as connection:
        assert connection.connection.driver_connection is driver
    engine.dispose()


def test_one_whose_pool_resets_it_in_a_thread_of_its_own_is_kept(copy: RealCopy, pools: Pools) -> None:
    def reset(connection: Any) -> None:
        connection.execute("SELECT pg_sleep(0.005)")
        connection.rollback()

    with psycopg_pool.ConnectionPool(copy.address.url(), min_size=1, max_size=1, reset=reset) as pool:
        found = []
        for _ in range(10):
            with pool.connection() as connection:
                found.append(connection.execute(STATE).fetchone())
                connection.execute("SET work_mem = '1234kB'")
            pools.restore(copy.address)
            assert pools.held(copy.address) == []
            pools.gather(copy.address)
    assert found == found[:1] * 10


def test_one_whose_pool_resets_it_in_a_task_of_its_own_is_kept(copy: RealCopy, pools: Pools) -> None:
    async def reset(connection: Any) -> None:
        await connection.execute("SELECT pg_sleep(0.005)")
        await connection.rollback()

    async def use(pool: Any) -> Any:
        async with pool.connection() as connection:
            found = await (await connection.execute(STATE)).fetchone()
            await connection.execute("SET work_mem = '1234kB'")
            return found

    with asyncio.Runner() as runner:
        pool = psycopg_pool.AsyncConnectionPool(copy.address.url(), min_size=1, max_size=1, reset=reset, open=False)
        runner.run(pool.open())
        found = []
        for _ in range(10):
            found.append(runner.run(use(pool)))
            pools.restore(copy.address)
            assert pools.held(copy.address) == []
            pools.gather(copy.address)
        runner.run(pool.close())
    assert found == found[:1] * 10


IN_TOKYO = "SET timezone = 'Asia/Tokyo'"
ZONE = "SELECT current_setting('timezone') AS zone, pg_backend_pid() AS pid"


@pytest.mark.parametrize("rows", [dict_row, scalar_row, class_row(dict)])
def test_whatever_rows_an_app_reads_what_its_configure_has_set_is_put_back(
    copy: RealCopy, pools: Pools, rows: Any
) -> None:
    def configure(connection: Any) -> None:
        connection.execute(IN_TOKYO)
        connection.commit()

    with psycopg_pool.ConnectionPool(
        copy.address.url(), min_size=1, max_size=1, timeout=10, kwargs={"row_factory": rows}, configure=configure
    ) as pool:
        found = []
        for _ in range(2):
            with pool.connection() as connection:
                found.append(connection.cursor(row_factory=tuple_row).execute(ZONE).fetchone())
                connection.execute("SET timezone = 'Europe/Rome'")
            pools.restore(copy.address)
            pools.gather(copy.address)
    assert found[0] == found[1]
    assert found[0][0] == "Asia/Tokyo"


@pytest.mark.parametrize("rows", [dict_row, scalar_row, class_row(dict)])
def test_so_it_is_on_a_loop(copy: RealCopy, pools: Pools, rows: Any) -> None:
    async def configure(connection: Any) -> None:
        await connection.execute(IN_TOKYO)
        await connection.commit()

    async def use(pool: Any) -> Any:
        async with pool.connection() as connection:
            cursor = connection.cursor(row_factory=tuple_row)
            await cursor.execute(ZONE)
            found = await cursor.fetchone()
            await connection.execute("SET timezone = 'Europe/Rome'")
        return found

    async def opened() -> Any:
        pool = psycopg_pool.AsyncConnectionPool(
            copy.address.url(),
            min_size=1,
            max_size=1,
            timeout=10,
            kwargs={"row_factory": rows},
            configure=configure,
            open=False,
        )
        await pool.open()
        return pool

    with asyncio.Runner() as runner:
        pool = runner.run(opened())
        found = []
        for _ in range(2):
            found.append(runner.run(use(pool)))
            pools.restore(copy.address)
            pools.gather(copy.address)
        runner.run(pool.close())
    assert found[0] == found[1]
    assert found[0][0] == "Asia/Tokyo"


def test_what_takes_a_running_loop_too_long_is_given_up(
    copy: RealCopy, pools: Pools, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(lent, "SECONDS", 0.1)
    going_on = asyncio.Event()

    async def reset(connection: Any) -> None:
        await going_on.wait()
        await connection.rollback()

    async def use(pool: Any) -> None:
        await pool.open()
        async with pool.connection() as connection:
            await connection.execute("SELECT 1")

    async def is_given_up() -> None:
        while any(task.get_coro().__qualname__ == "Lent._waited" for task in asyncio.all_tasks()):  # noqa: ASYNC110  # a task that is cancelled tells nobody
            await asyncio.sleep(0.01)

    async def close(pool: Any) -> None:
        going_on.set()
        await pool.close()

    loop = asyncio.new_event_loop()
    thread = threading.Thread(target=loop.run_forever)
    thread.start()
    try:
        pool = psycopg_pool.AsyncConnectionPool(copy.address.url(), min_size=1, max_size=1, reset=reset, open=False)
        asyncio.run_coroutine_threadsafe(use(pool), loop).result(30)
        pools.restore(copy.address)
        asyncio.run_coroutine_threadsafe(is_given_up(), loop).result(30)
        asyncio.run_coroutine_threadsafe(close(pool), loop).result(30)
    finally:
        loop.call_soon_threadsafe(loop.stop)
        thread.join(30)
        loop.close()


def test_whoever_borrows_one_before_it_is_had_keeps_his_transaction(
    copy: RealCopy, pools: Pools, monkeypatch: pytest.MonkeyPatch
) -> None:
    in_pool, borrowed = lending._is_in_pool, list[Any]()

    def borrow_first(connection: Any) -> bool:
        if not borrowed:
            borrowed.append(pool.getconn())
            borrowed[0].execute("CREATE TEMPORARY TABLE mine ()")
        return in_pool(connection)

    with psycopg_pool.ConnectionPool(copy.address.url(), min_size=1, max_size=1) as pool:
        with pool.connection() as connection:
            connection.execute("SELECT 1")
        monkeypatch.setattr(lending, "_is_in_pool", borrow_first)
        pools.restore(copy.address)
        pools.gather(copy.address)
        assert borrowed[0].execute("SELECT count(*) FROM mine").fetchone() == (0,)
        pool.putconn(borrowed[0])


def test_only_what_nobody_can_use_till_then_is_said_to_be_on_its_way(copy: RealCopy, pools: Pools) -> None:
    engine = create_engine(copy.address.url("psycopg"), pool_size=2, max_overflow=0)
    with engine.connect() as held:
        held.exec_driver_sql("SELECT 1")
        with engine.connect() as other:
            driver = other.connection.driver_connection
        pools.restore(copy.address)
        assert pools.returning(copy.address) == [driver.info.backend_pid]
        assert driver.lock.locked()
        pools.gather(copy.address)
        assert pools.returning(copy.address) == []
        assert not driver.lock.locked()
    engine.dispose()


@contextlib.contextmanager
def interrupted() -> Iterator[None]:
    """What runs longer than a moment is broken off."""

    def interrupt(*_: object) -> None:
        raise BrokenOff

    usual = signal.signal(signal.SIGALRM, interrupt)
    signal.setitimer(signal.ITIMER_REAL, 0.3)
    try:
        with pytest.raises(BrokenOff):
            yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, usual)


def test_none_is_kept_nor_lent_as_it_is_where_a_time_out_breaks_the_gathering_off(copy: RealCopy, pools: Pools) -> None:
    engines = [create_engine(copy.address.url("psycopg"), pool_size=1, max_overflow=0) for _ in range(3)]
    found: list[Any] = []

    def use(marks: bool = False) -> None:
        for engine in engines:
            with engine.connect() as connection:
                found.append(connection.exec_driver_sql("SELECT current_setting('work_mem'), pg_backend_pid()").one())
                if marks:
                    connection.exec_driver_sql("SET work_mem = '1234kB'")
                    connection.commit()

    use(marks=True)
    before, stopped = [work_mem for work_mem, _ in found], found[1][1]
    found.clear()
    os.kill(stopped, signal.SIGSTOP)
    try:
        with interrupted():
            pools.restore(copy.address)
            pools.gather(copy.address)
    finally:
        os.kill(stopped, signal.SIGCONT)
    pools.gather(copy.address)
    thread = threading.Thread(target=use, daemon=True)
    thread.start()
    thread.join(30)
    assert [work_mem for work_mem, _ in found] == before
    for engine in engines:
        engine.dispose()


def test_what_a_time_out_breaks_off_before_the_server_has_it_is_not_taken_for_done(copy: RealCopy) -> None:
    class Breaks(str):
        """It breaks off whoever sends it for the first time."""

        __slots__ = ("times",)
        times: int

        def encode(self, *args: Any) -> bytes:
            self.times = getattr(self, "times", 0) + 1
            if self.times == 1:
                raise BrokenOff
            return super().encode(*args)

    with psycopg.connect(copy.address.url()) as connection:
        connection.execute("SET work_mem = '1234kB'")
        connection.commit()
        script = Script(connection, Breaks("RESET work_mem"))
        with pytest.raises(BrokenOff):
            script.send()
        assert finish(script, connection.close)
        assert connection.execute("SELECT current_setting('work_mem')").fetchone() != ("1234kB",)
