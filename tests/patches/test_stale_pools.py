"""Pools without `pre_ping` work in the test after the one whose database was swapped behind their URL."""

from __future__ import annotations

import asyncio
import gc
import sqlite3
import threading
from collections.abc import Callable, Coroutine, Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

import asyncpg
import psycopg
import psycopg_pool
import pytest
from sqlalchemy import create_engine, text
from sqlalchemy.exc import DBAPIError
from sqlalchemy.ext.asyncio import AsyncEngine, create_async_engine
from tests.sessions.conftest import RealCopy

from seatrial.patches.applied import Applied
from seatrial.patches.lending.psycopg import stale_psycopg
from seatrial.patches.stale_pools import stale_asyncpg, stale_sqlalchemy
from seatrial.resources.protocol.servers import Address
from seatrial.sessions.pools import Pools

PID = "SELECT pg_backend_pid()"


@pytest.fixture
def pools() -> Iterator[Pools]:
    pools = Pools()
    with Applied([stale_sqlalchemy(pools), stale_psycopg(pools), stale_asyncpg(pools)]):
        yield pools


def swap(copy: RealCopy, pools: Pools) -> None:
    copy.replace()
    pools.invalidate(copy.address)


@pytest.mark.parametrize("driver", ["psycopg", "psycopg2"])
def test_a_sync_engine(copy: RealCopy, pools: Pools, driver: str) -> None:
    engine = create_engine(copy.address.url(driver))
    for _ in range(3):
        with engine.connect() as first, engine.connect() as second:
            kept = {first.scalar(text(PID)), second.scalar(text(PID))}
        with engine.connect() as first, engine.connect() as second:
            assert {first.scalar(text(PID)), second.scalar(text(PID))} == kept  # nothing is stale: they are kept
        swap(copy, pools)
    engine.dispose()


def test_without_the_patch_the_engine_fails(copy: RealCopy) -> None:
    engine = create_engine(copy.address.url("psycopg"))
    with engine.connect() as connection:
        connection.execute(text(PID))
    copy.replace()
    with engine.connect() as connection, pytest.raises(DBAPIError):
        connection.execute(text(PID))
    engine.dispose()


@pytest.mark.parametrize("driver", ["asyncpg", "psycopg"])
def test_an_async_engine(copy: RealCopy, pools: Pools, driver: str) -> None:
    engine = create_async_engine(copy.address.url(driver))

    async def test() -> None:
        async with engine.connect() as connection:
            await connection.execute(text(PID))

    with asyncio.Runner() as runner:
        for _ in range(3):
            runner.run(test())
            swap(copy, pools)
        runner.run(test())
        runner.run(engine.dispose())


@pytest.mark.parametrize("pinged", [False, True])
def test_an_async_engine_that_app_and_test_use_each_on_a_loop_of_its_own(
    copy: RealCopy, pools: Pools, pinged: bool
) -> None:
    """As a test that calls the service's own code beside `async_client`: a connection of asyncpg knows one loop only."""
    engine = create_async_engine(copy.address.url("asyncpg"), pool_pre_ping=pinged)
    pools.watch(copy.address)
    with _loop() as app, _loop() as test:
        for _ in range(3):
            mine, theirs = test(_pid(engine)), app(_pid(engine))
            assert mine != theirs
            assert app(_pid(engine)) == theirs  # it is kept for its own loop
            pools.restore(copy.address)
            pools.gather(copy.address)
            assert app(_pid(engine)) == theirs  # after the test, too: what it was opened in place of is not its affair
        app(_alone(engine))  # the others are closed
        app(engine.dispose())


@pytest.mark.parametrize("pinged", [False, True])
def test_an_async_engine_that_tests_use_each_on_a_loop_that_ends_with_it(
    copy: RealCopy, pools: Pools, pinged: bool
) -> None:
    """As those of pytest-asyncio: nothing of them is left open, for the server or for Python to complain of."""
    engine = create_async_engine(copy.address.url("asyncpg"), pool_pre_ping=pinged)
    pools.watch(copy.address)
    for _ in range(3):
        asyncio.run(_pid(engine))
        pools.restore(copy.address)
        pools.gather(copy.address)
    with asyncio.Runner() as runner:
        runner.run(_alone(engine))
        runner.run(engine.dispose())
    gc.collect()  # a warning here is an error


@pytest.mark.filterwarnings("ignore:unclosed:ResourceWarning", "ignore::pytest.PytestUnraisableExceptionWarning")
def test_an_async_engine_whose_loop_of_uvloop_has_ended(copy: RealCopy, pools: Pools) -> None:
    """Uvloop closes by itself what is open then; to close it once more would crash the interpreter."""
    uvloop = pytest.importorskip("uvloop")
    engine = create_async_engine(copy.address.url("asyncpg"))
    pools.watch(copy.address)
    for last in (False, False, True):
        with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
            runner.run(_alone(engine))
            if last:
                runner.run(engine.dispose())
        pools.restore(copy.address)
        pools.gather(copy.address)
    gc.collect()


def test_an_async_engine_that_is_disposed_of_on_another_loop(
    copy: RealCopy, pools: Pools, caplog: pytest.LogCaptureFixture
) -> None:
    """As by the app's lifespan, after a test has called the service's own code."""
    engine = create_async_engine(copy.address.url("asyncpg"))
    pools.watch(copy.address)
    with _loop() as app, _loop() as test:
        asyncio.run(_pid(engine))
        app(engine.dispose())
        test(_pid(engine))
        app(engine.dispose())
        app(_alone(engine))
        app(engine.dispose())
    gc.collect()
    assert caplog.text == ""


async def _pid(engine: AsyncEngine) -> Any:
    async with engine.connect() as connection:
        return await connection.scalar(text(PID))


async def _alone(engine: AsyncEngine) -> None:
    """Wait until the server has no connection to the database but one."""
    connected = text("SELECT count(*) FROM pg_stat_activity WHERE datname = current_database()")
    async with asyncio.timeout(20):
        while True:
            async with engine.connect() as connection:
                if await connection.scalar(connected) == 1:
                    return
            await asyncio.sleep(0.01)


@contextmanager
def _loop() -> Iterator[Callable[[Coroutine[Any, Any, Any]], Any]]:
    """What runs a coroutine on a loop in a thread of its own."""
    loop = asyncio.new_event_loop()
    thread = threading.Thread(target=loop.run_forever)
    thread.start()
    try:
        yield lambda work: asyncio.run_coroutine_threadsafe(work, loop).result(60)
    finally:
        loop.call_soon_threadsafe(loop.stop)
        thread.join()
        loop.close()


@pytest.mark.parametrize("is_async", [False, True], ids=["sqlite3", "aiosqlite"])
def test_an_engine_on_a_file_of_sqlite_that_another_has_replaced(tmp_path: Path, pools: Pools, is_async: bool) -> None:
    address = Address(scheme="sqlite", database=str(tmp_path / "copy.db"))

    def replace(content: str) -> None:
        with closing(sqlite3.connect(tmp_path / "new.db")) as fresh:
            fresh.executescript(f"CREATE TABLE holds (what text); INSERT INTO holds VALUES ('{content}')")
        (tmp_path / "new.db").replace(address.database)
        pools.invalidate(address)

    async def with_async() -> None:
        engine = create_async_engine(address.url("aiosqlite"))
        held = await engine.connect()
        assert await held.scalar(text("SELECT what FROM holds")) == "before"
        replace("after")
        await held.close()
        for _ in range(2):
            async with engine.connect() as connection:
                assert await connection.scalar(text("SELECT what FROM holds")) == "after"
        await engine.dispose()

    replace("before")
    if is_async:
        asyncio.run(with_async())
        return
    engine = create_engine(address.url())
    held = engine.connect()
    assert held.scalar(text("SELECT what FROM holds")) == "before"
    replace("after")
    held.close()
    for _ in range(2):
        with engine.connect() as connection:
            assert connection.scalar(text("SELECT what FROM holds")) == "after"
    engine.dispose()


def test_pools_of_other_databases_keep_their_connections(copy: RealCopy, server: Any, pools: Pools) -> None:
    engine = create_engine(server.url("psycopg"))
    with engine.connect() as connection:
        pid = connection.scalar(text(PID))
    pools.invalidate(copy.address)
    with engine.connect() as connection:
        assert connection.scalar(text(PID)) == pid
    engine.dispose()


def test_a_name_of_this_machine_is_the_same_address(copy: RealCopy, pools: Pools) -> None:
    engine = create_engine(copy.address.url("psycopg").replace("127.0.0.1", "localhost"))
    with engine.connect() as connection:
        connection.execute(text(PID))
    swap(copy, pools)
    with engine.connect() as connection:
        connection.execute(text(PID))
    engine.dispose()


def test_a_psycopg_pool(copy: RealCopy, pools: Pools) -> None:
    asked = []
    with psycopg_pool.ConnectionPool(copy.address.url(), min_size=2, check=asked.append, open=True) as pool:
        for _ in range(2):
            with pool.connection() as connection:
                connection.execute(PID)
            swap(copy, pools)
        with pool.connection() as connection:
            connection.execute(PID)
    assert asked  # the check of the app's own is asked too


def test_a_psycopg_pool_beside_another_run_of_the_same_process(copy: RealCopy, pools: Pools) -> None:
    for _ in range(50):
        pools.invalidate(copy.address)  # the other run counts its moments otherwise
    mine = Pools()
    mine.watch(copy.address)
    with (
        Applied([stale_psycopg(mine)]),
        psycopg_pool.ConnectionPool(copy.address.url(), min_size=1, max_size=1) as pool,
    ):
        for _ in range(3):
            with pool.connection() as connection:
                connection.execute(PID)
            swap(copy, mine)


def test_an_async_psycopg_pool(copy: RealCopy, pools: Pools) -> None:
    async def test() -> None:
        async with psycopg_pool.AsyncConnectionPool(copy.address.url(), min_size=2, open=False) as pool:
            for _ in range(2):
                async with pool.connection() as connection:
                    await connection.execute(PID)
                swap(copy, pools)
            async with pool.connection() as connection:
                await connection.execute(PID)

    asyncio.run(test())


def test_a_psycopg_pool_that_fills_is_in_no_transaction_where_its_event_loop_pauses(
    copy: RealCopy, pools: Pools
) -> None:
    """As between two fixtures: whoever is in a transaction by then is ended."""
    seen = []

    class Watched(psycopg.AsyncCursor[Any]):
        async def execute(self, *args: Any, **options: Any) -> Any:
            done = await super().execute(*args, **options)
            seen.append(self.connection.info.transaction_status)
            return done

    async def use() -> None:
        url, options = copy.address.url(), {"cursor_factory": Watched}
        async with psycopg_pool.AsyncConnectionPool(url, kwargs=options, min_size=2, open=False) as pool:
            await pool.wait()
            async with pool.connection() as connection:
                assert not connection.autocommit

    asyncio.run(use())
    assert seen[:2] == [psycopg.pq.TransactionStatus.IDLE] * 2


def test_an_asyncpg_pool(copy: RealCopy, pools: Pools) -> None:
    async def test() -> None:
        async with asyncpg.create_pool(copy.address.url(), min_size=2, max_size=2) as pool:
            for _ in range(2):
                assert await pool.fetchval(PID)
                swap(copy, pools)
            assert await asyncio.gather(pool.fetchval(PID), pool.fetchval(PID))

    asyncio.run(test())


def test_undone_nothing_of_it_is_left() -> None:
    before = (psycopg_pool.ConnectionPool.__init__, asyncpg.pool.PoolConnectionHolder.acquire)
    pools = Pools()
    with Applied([stale_sqlalchemy(pools), stale_psycopg(pools), stale_asyncpg(pools)]):
        assert create_engine("postgresql+psycopg://nowhere/none").pool.dispatch.checkout
        assert psycopg_pool.ConnectionPool.__init__ is not before[0]
    assert (psycopg_pool.ConnectionPool.__init__, asyncpg.pool.PoolConnectionHolder.acquire) == before
    assert not create_engine("postgresql+psycopg://nowhere/none").pool.dispatch.checkout


def test_a_run_inside_another_takes_none_of_its_listeners_away(pools: Pools) -> None:
    checkouts = len(create_engine("postgresql+psycopg://nowhere/none").pool.dispatch.checkout)
    with Applied([stale_sqlalchemy(Pools())]):
        assert len(create_engine("postgresql+psycopg://nowhere/none").pool.dispatch.checkout) == checkouts + 1
    assert len(create_engine("postgresql+psycopg://nowhere/none").pool.dispatch.checkout) == checkouts
