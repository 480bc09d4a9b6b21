"""A connection knows whether its open transaction has written something, whatever driver it is of."""

from __future__ import annotations

import asyncio
import sqlite3
from contextlib import closing

import aiosqlite
import asyncpg
import psycopg
import psycopg2
import psycopg2.extras
import pytest
from psycopg.rows import dict_row
from sqlalchemy import create_engine
from sqlalchemy.orm import Session
from tests.sessions.conftest import Base, User

from seatrial.sessions.connections.uncommitted import pending, wrote, wrote_async

DEEDS = {
    "nothing": ("", False),
    "reads": ("select * from users", False),
    "writes": ("insert into users (email) values ('a')", True),
    "alters": ("alter table users add column more int", True),
}


@pytest.mark.parametrize("deed", DEEDS)
@pytest.mark.parametrize("driver", ["psycopg", "psycopg2"])
def test_a_connection_to_postgresql_has_written_when_its_transaction_has_a_number(copy, driver, deed):
    statement, expected = DEEDS[deed]
    url = copy.address.url()
    connection = (
        psycopg.connect(url, row_factory=dict_row)
        if driver == "psycopg"
        else psycopg2.connect(url, cursor_factory=psycopg2.extras.RealDictCursor)
    )
    with closing(connection), connection.cursor() as cursor:
        if statement:
            cursor.execute(statement)
        assert wrote(connection) is expected
        assert wrote(connection) is expected, "asking writes nothing"
        connection.commit()
        assert not wrote(connection)
    assert not wrote(connection)


@pytest.mark.parametrize("driver", ["asyncpg", "psycopg"])
@pytest.mark.parametrize("deed", DEEDS)
def test_so_do_async_ones(copy, driver, deed):
    statement, expected = DEEDS[deed]

    async def work() -> None:
        url = copy.address.url()
        connection = await (asyncpg.connect(url) if driver == "asyncpg" else psycopg.AsyncConnection.connect(url))
        await connection.execute("begin")
        if statement:
            await connection.execute(statement)
        assert await wrote_async(connection) is expected
        await connection.execute("commit")
        assert not await wrote_async(connection)
        await connection.close()

    asyncio.run(work())


def test_a_transaction_that_has_failed_can_not_be_committed_any_more(copy):
    with copy.connect() as connection:
        with pytest.raises(psycopg.Error):
            connection.execute("insert into nonsense values (1)")
        assert not wrote(connection)
        connection.rollback()


def test_one_of_sqlite_that_has_begun_and_only_read_has_written_nothing():
    with closing(sqlite3.connect(":memory:", isolation_level=None)) as connection:
        connection.execute("begin")
        connection.execute("select * from sqlite_master").fetchall()
        assert not wrote(connection)
        connection.execute("create table t (id int)")
        connection.execute("insert into t values (1)")
        assert wrote(connection)
        connection.execute("commit")
        assert not wrote(connection)


def test_so_has_one_of_aiosqlite():
    async def work() -> None:
        async with aiosqlite.connect(":memory:") as connection:
            await connection.execute("create table t (id int)")
            assert not await wrote_async(connection)
            await connection.execute("insert into t values (1)")
            assert await wrote_async(connection)

    asyncio.run(work())


def test_one_of_psycopg_in_a_pipeline_is_not_asked(copy):
    with psycopg.connect(copy.address.url()) as connection, connection.pipeline():
        connection.execute("insert into users (email) values ('a')")
        assert not wrote(connection)
        connection.execute("insert into users (email) values ('b')")
        connection.commit()
    assert copy.emails() == ["a", "b"]


def test_an_object_that_is_set_to_what_it_was_is_not_to_be_written():
    engine = create_engine("sqlite://")
    Base.metadata.create_all(engine)
    with Session(engine, autoflush=False) as session:
        user = User(email="a")
        assert not pending(session)
        session.add(user)
        assert pending(session)
        session.commit()
        user.email = user.email[:]
        assert not pending(session)
        user.email = "b"
        assert pending(session)
        session.commit()
        session.delete(user)
        assert pending(session)
    engine.dispose()
