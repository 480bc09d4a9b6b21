"""The statements that drivers send are seen, with the line of the project that issued them; ours are not."""

from __future__ import annotations

import asyncio
import inspect
from pathlib import Path

import asyncpg
import psycopg
import psycopg_pool
import pytest
from sqlalchemy import create_engine, text
from sqlalchemy.ext.asyncio import create_async_engine

from seatrial.harness.asked.watch import Watch
from seatrial.patches.applied import Applied
from seatrial.patches.lending.psycopg import stale_psycopg
from seatrial.patches.statements import SeenStatements
from seatrial.sessions.pools import Pools

HERE = Path(__file__)


@pytest.fixture
def sent(copy):
    watch = Watch({copy.address.database: "db"})
    patch = SeenStatements(watch.statement, HERE.parent)
    patch.apply()
    watch.begin("test_it")
    yield lambda: [(each.sql, each.where) for each in watch.statements]
    patch.undo()


def line(offset: int = 0) -> str:
    """The caller's line, as a statement's `where` tells it."""
    return f"{HERE.name}:{inspect.stack()[1].lineno + offset}"


def test_sqlalchemy_is_seen_on_engines_that_exist_already_and_later(copy, sent):
    engine = create_engine(copy.address.url("psycopg"))
    with engine.connect() as connection:
        connection.execute(text("select 1"))
        assert sent() == [("select 1", line(-1))]
    engine.dispose()


def test_an_async_session_s_statement_is_told_with_the_line_that_awaited_it(copy, sent):
    async def work():
        engine = create_async_engine(copy.address.url("asyncpg"))
        async with engine.connect() as connection:
            await connection.execute(text("select 1"))
            expected = line(-1)
        await engine.dispose()
        return expected

    expected = asyncio.run(work())
    assert sent() == [("select 1", expected)]


def test_psycopg_by_itself_is_seen(copy, sent):
    with psycopg.connect(copy.address.url()) as connection:
        connection.execute("select 1")
        connection.execute(b"select 2")
        with connection.cursor() as cursor:
            cursor.executemany("insert into pets values (%s, 1)", [])
    assert sent() == [
        ("select 1", line(-5)),
        ("select 2", line(-5)),
        ("insert into pets values (%s, 1)", line(-4)),
    ]


def test_what_psycopg_copies_is_seen(copy, sent):
    with psycopg.connect(copy.address.url()) as connection, connection.cursor() as cursor:
        with cursor.copy("copy pets to stdout") as rows:
            list(rows)
        with cursor.copy(statement="copy (select 1) to stdout") as rows:
            list(rows)
        expected = line(-4), line(-2)
    assert sent() == [("copy pets to stdout", expected[0]), ("copy (select 1) to stdout", expected[1])]


def test_a_statement_that_is_given_by_its_name_is_seen(copy, sent):
    """Which is another one in some of the methods."""

    async def work():
        connection = await asyncpg.connect(copy.address.url())
        await connection.fetch(query="select 3")
        await connection.executemany(command="insert into pets values ($1, 1)", args=[])
        await connection.close()

    with psycopg.connect(copy.address.url()) as connection, connection.cursor() as cursor:
        cursor.execute(query="select 1")
        with cursor.copy(statement="copy pets to stdout") as rows:
            list(rows)
    asyncio.run(work())
    assert [sql for sql, _ in sent()] == [
        "select 1",
        "copy pets to stdout",
        "select 3",
        "insert into pets values ($1, 1)",
    ]


def test_of_psycopg_s_pools_only_the_app_s_own_statements_are_seen(copy, sent):
    """We ask each of their connections whether it is alive when it is opened, in the midst of a request of the app's."""
    pools = Pools()
    with Applied([stale_psycopg(pools)]):
        pools.watch(copy.address)
        with psycopg_pool.ConnectionPool(copy.address.url(), min_size=1) as pool, pool.connection() as connection:
            connection.execute("select 1")

        async def work():
            async with (
                psycopg_pool.AsyncConnectionPool(copy.address.url(), min_size=1, open=False) as pool,
                pool.connection() as connection,
            ):
                await connection.execute("select 2")

        asyncio.run(work())
        pools.restore(copy.address)
        pools.gather(copy.address)
    assert [sql for sql, _ in sent()] == ["select 1", "select 2"]


def test_asyncpg_by_itself_and_its_pool_are_seen(copy, sent):
    async def work():
        async with asyncpg.create_pool(copy.address.url(), min_size=1) as pool:
            assert await pool.fetchval("select 1") == 1
            async with pool.acquire() as connection:
                await connection.execute("select 2")

    asyncio.run(work())
    assert [sql for sql, _ in sent()] == ["select 1", "select 2"]
    assert {where.partition(":")[0] for _, where in sent()} == {HERE.name}


def test_nothing_is_seen_after_the_patch_is_undone(copy):
    before = psycopg.Cursor.execute
    seen = []
    patch = SeenStatements(lambda *told: seen.append(told), HERE.parent)
    patch.apply()
    patch.apply()
    patch.undo()
    assert psycopg.Cursor.execute is before
    with psycopg.connect(copy.address.url()) as connection:
        connection.execute("select 1")
    engine = create_engine(copy.address.url("psycopg"))
    with engine.connect() as connection:
        connection.execute(text("select 1"))
    engine.dispose()
    assert seen == []
