"""Prepared statements and cursors, which are one connection's own although all share one."""

from __future__ import annotations

import asyncio
from typing import Any

import asyncpg
import psycopg
import pytest


def test_prepared_statements_of_two_connections_do_not_meet(sessions: Any, url: str) -> None:
    with (
        psycopg.connect(url, prepare_threshold=0) as one,
        psycopg.connect(url, prepare_threshold=0) as other,
    ):
        for _ in range(2):
            assert one.execute("SELECT 1").fetchone() == (1,)
            assert other.execute("SELECT 'two'").fetchone() == ("two",)
        one.rollback()  # psycopg deallocates all of its statements
        assert other.execute("SELECT 'two'").fetchone() == ("two",)

    async def work() -> None:
        one, other = [await asyncpg.connect(url, statement_cache_size=0) for _ in range(2)]
        first, second = await one.prepare("SELECT 1"), await other.prepare("SELECT 'two'")
        for _ in range(2):
            assert (await first.fetchval(), await second.fetchval()) == (1, "two")
            assert (await one.fetchval("SELECT $1::int", 3), await other.fetchval("SELECT $1::text", "x")) == (3, "x")
        await one.close()
        await other.close()

    asyncio.run(work())
    assert sessions.end() == ()


def test_what_sql_prepares_is_its_connections_and_goes_with_it(sessions: Any, url: str) -> None:
    for number in (1, 2):
        with psycopg.connect(url, autocommit=True) as one, psycopg.connect(url, autocommit=True) as other:
            one.execute(f"PREPARE mine AS SELECT {number}")
            other.execute('/* so is this */ prepare "Mine" (int) as select $1; prepare mine as select 0')
            for _ in range(2):
                assert one.execute("EXECUTE mine").fetchone() == (number,)
                assert other.execute('EXECUTE "Mine"(7)').fetchone() == (7,)
            other.execute("DEALLOCATE PREPARE mine")
            with pytest.raises(psycopg.errors.InvalidSqlStatementName, match='"mine" does not exist'):
                other.execute("EXECUTE mine")
    assert sessions.end() == ()
    sessions.begin(joined=True)
    with (
        psycopg.connect(url) as connection,
        pytest.raises(psycopg.errors.InvalidSqlStatementName, match='"mine" does not exist'),
    ):
        connection.execute("EXECUTE mine")
    assert sessions.end() == ()


def test_cursors_of_two_connections_do_not_meet(sessions: Any, url: str) -> None:
    with psycopg.connect(url) as one, psycopg.connect(url) as other:
        with one.cursor("c") as cursor, other.cursor("c") as another:
            cursor.itersize = another.itersize = 2
            cursor.execute("SELECT generate_series(1, 5)")
            another.execute("SELECT generate_series(11, 15)")
            assert [row for (row,) in cursor] == [1, 2, 3, 4, 5]
            assert [row for (row,) in another] == [11, 12, 13, 14, 15]
        one.execute('DECLARE "C c" CURSOR FOR SELECT 1')
        with pytest.raises(psycopg.errors.InvalidCursorName, match='"C c" does not exist'), other.transaction():
            other.execute('FETCH FROM "C c"')
        one.execute("INSERT INTO users (email) VALUES ('a')")
        one.execute("DECLARE rows CURSOR FOR SELECT email FROM users FOR UPDATE")
        one.execute("FETCH NEXT IN rows")
        one.execute("UPDATE users SET email = 'b' WHERE CURRENT OF rows")
        one.execute("CLOSE rows")
        with pytest.raises(psycopg.errors.InvalidCursorName, match='"rows" does not exist'):
            one.execute("CLOSE rows")
    assert sessions.end() == ()


def test_a_function_s_cursor_is_fetched_by_its_own_name(sessions: Any, url: str) -> None:
    with psycopg.connect(url) as connection:
        connection.execute(
            "CREATE FUNCTION opened(c refcursor) RETURNS refcursor LANGUAGE plpgsql AS "
            "'BEGIN OPEN c FOR SELECT 7; RETURN c; END'"
        )
        connection.execute("SELECT opened('mine')")
        assert connection.execute("FETCH ALL FROM mine").fetchall() == [(7,)]
    assert sessions.end() == ()


@pytest.mark.parametrize("end", ["COMMIT", "ROLLBACK"])
def test_a_cursor_ends_with_its_transaction_unless_it_is_held(sessions: Any, url: str, end: str) -> None:
    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute("DECLARE held CURSOR WITH HOLD FOR SELECT 1")
        connection.execute("BEGIN")
        connection.execute("DECLARE c CURSOR FOR SELECT 1")
        connection.execute(end)
        with pytest.raises(psycopg.errors.InvalidCursorName, match='"c" does not exist'):
            connection.execute("FETCH c")
        assert connection.execute("FETCH held").fetchall() == [(1,)]
        connection.execute("CLOSE ALL")
        with pytest.raises(psycopg.errors.InvalidCursorName, match='"held" does not exist'):
            connection.execute("FETCH held")
    assert sessions.end() == ()


def test_close_all_leaves_what_other_connections_read(sessions: Any, url: str) -> None:
    with psycopg.connect(url) as one, psycopg.connect(url) as other, one.cursor() as plain, other.cursor("c") as cursor:
        cursor.execute("SELECT generate_series(1, 3)")
        plain.execute("CLOSE ALL")
        assert plain.statusmessage == "CLOSE CURSOR ALL"
        assert len(cursor.fetchall()) == 3
    assert sessions.end() == ()


def test_an_asyncpg_cursor_ends_with_its_transaction(sessions: Any, url: str) -> None:
    async def work() -> None:
        connection = await asyncpg.connect(url)
        async with connection.transaction():
            cursor = await connection.cursor("SELECT generate_series(1, 3)")
            assert len(await cursor.fetch(1)) == 1
        async with connection.transaction():
            with pytest.raises(asyncpg.InvalidCursorNameError):
                await cursor.fetch(1)
        await connection.close()

    asyncio.run(work())
    assert sessions.end() == ()
