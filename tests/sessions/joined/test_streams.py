"""Rows that the server has: they end with their transaction, as on a connection of its own."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

import asyncpg
import pytest
from sqlalchemy import create_engine, func, select, text
from sqlalchemy.exc import DBAPIError
from sqlalchemy.ext.asyncio import AsyncSession, async_sessionmaker, create_async_engine
from sqlalchemy.orm import sessionmaker
from tests.sessions.conftest import RealCopy, User

from .conftest import emails


def streamed(session: Any) -> Any:
    """A result whose rows the server has, two of which were read."""
    rows = session.execute(text("SELECT generate_series(1, 9)"), execution_options={"yield_per": 2})
    assert [rows.fetchone(), rows.fetchone()] == [(1,), (2,)]
    return rows


async def streamed_on_a_loop(session: Any, most: int) -> Any:
    """The same of an async session, one of which was read."""
    query = text(f"SELECT generate_series(1, {most})")
    rows = await session.stream(query, execution_options={"yield_per": 2})
    assert await rows.fetchone() == (1,)
    return rows


@pytest.mark.parametrize("driver", ["psycopg", "psycopg2"])
@pytest.mark.parametrize("joined", [True, False])
@pytest.mark.parametrize("end", ["commit", "rollback"])
def test_what_is_streamed_ends_with_its_transaction_and_takes_nothing_along(
    copy: RealCopy, sessions_of: Callable[..., Any], driver: str, joined: bool, end: str
) -> None:
    engine = create_engine(copy.address.url(driver), pool_size=1, max_overflow=0)
    app = sessionmaker(engine)
    sessions = sessions_of(app)
    sessions.begin(joined=joined)
    with app() as session:
        rows = streamed(session)
        getattr(session, end)()
        with pytest.raises(DBAPIError):
            rows.all()
        session.rollback()
        rows = streamed(session)
        getattr(session, end)()
        rows.close()
        assert emails(session) == set()
        rows = streamed(session)
        assert len(rows.all()) == 7
    assert sessions.end() == ()
    engine.dispose()


@pytest.mark.parametrize("driver", ["psycopg", "asyncpg"])
@pytest.mark.parametrize("joined", [True, False])
@pytest.mark.parametrize("end", ["commit", "rollback"])
def test_so_it_does_on_a_loop(
    copy: RealCopy, sessions_of: Callable[..., Any], driver: str, joined: bool, end: str
) -> None:
    engine = create_async_engine(copy.address.url(driver))
    sessions = sessions_of(async_sessionmaker(engine))
    sessions.begin(joined=joined)

    async def work() -> None:
        async with AsyncSession(engine) as session:
            rows = await streamed_on_a_loop(session, 99)
            await getattr(session, end)()
            with pytest.raises((DBAPIError, asyncpg.PostgresError)):
                await rows.all()
            await session.rollback()
            rows = await streamed_on_a_loop(session, 99)
            await getattr(session, end)()
            await rows.close()
            assert await session.scalar(select(func.count()).select_from(User)) == 0
        await engine.dispose()

    asyncio.run(work())
    assert sessions.end() == ()


def test_a_stream_of_a_failed_transaction_leaves_others_alone(sessions: Any, app: Any) -> None:
    with app() as one, app() as other:
        with pytest.raises(DBAPIError):
            one.execute(text("SELECT 1 / 0"))
        with pytest.raises(DBAPIError):
            streamed(one)
        assert emails(other) == set()
    assert sessions.end() == ()


def test_a_stream_that_goes_with_the_rollback_of_another_session_is_told(sessions: Any, app: Any) -> None:
    with app() as one, app() as other:
        other.add(User(email="a"))
        other.flush()
        rows = streamed(one)
        other.add(User(email="b"))
        other.flush()
        other.rollback()
        with pytest.raises(DBAPIError):
            rows.all()
    (complaint,) = sessions.end()
    assert "with it went a cursor that another session was reading" in complaint


@pytest.mark.parametrize("joined", [True, False])
def test_rows_that_asyncpg_has_in_advance_can_be_read_after_a_commit(
    copy: RealCopy, sessions_of: Callable[..., Any], joined: bool
) -> None:
    engine = create_async_engine(copy.address.url("asyncpg"))
    sessions = sessions_of(async_sessionmaker(engine))
    sessions.begin(joined=joined)

    async def work() -> None:
        async with AsyncSession(engine) as session:
            rows = await streamed_on_a_loop(session, 9)
            await session.commit()
            assert [await rows.fetchone() for _ in range(8)] == [(each,) for each in range(2, 10)]
            with pytest.raises((DBAPIError, asyncpg.PostgresError)):
                await rows.all()
        await engine.dispose()

    asyncio.run(work())
    assert sessions.end() == ()
