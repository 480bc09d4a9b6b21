"""The three ways in which rollback fixtures fail in the wild: ours holds in each, sync and async."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager
from types import SimpleNamespace
from typing import Any

import pytest
from sqlalchemy import create_engine, select
from sqlalchemy.exc import IntegrityError
from sqlalchemy.ext.asyncio import AsyncSession, async_sessionmaker, create_async_engine
from sqlalchemy.orm import Session, sessionmaker

from .conftest import RealCopy, User

SYNC = ["psycopg", "psycopg2"]
ASYNC = ["asyncpg", "psycopg"]


@pytest.fixture(params=[(driver, where) for driver in SYNC for where in ("here", "elsewhere")], ids="-".join)
def sync_app(request: Any, copy: RealCopy) -> Iterator[Any]:
    """An app's dependency, on an engine of this database, or on one that the harness has to lead here."""
    driver, where = request.param
    engine = create_engine(copy.address.url(driver) if where == "here" else f"postgresql+{driver}://nowhere/none")
    make = sessionmaker(engine, expire_on_commit=False)

    def get_db() -> Iterator[Session]:
        with make() as session:
            yield session

    yield SimpleNamespace(get_db=get_db)
    engine.dispose()


@pytest.fixture
def joined(sync_app: Any, sessions_of: Callable[..., Any]) -> Any:
    """A rollback test: its own session, and the app's."""
    sessions = sessions_of(sync_app.get_db)
    sessions.begin(joined=True)
    app = contextmanager(sessions.dependency() or sync_app.get_db)
    return SimpleNamespace(db=sessions.session(), app=app, end=sessions.end)


def test_an_app_that_commits_leaves_nothing_behind(joined: Any, copy: RealCopy) -> None:
    with joined.app() as session:
        session.add(User(email="a"))
        session.commit()
    assert [user.email for user in joined.db.scalars(select(User))] == ["a"]
    assert copy.emails() == []
    assert joined.end() == ()
    assert copy.emails() == []


def test_rows_of_fixtures_survive_the_rollback_of_the_app(joined: Any, copy: RealCopy) -> None:
    joined.db.add(User(email="fixture"))
    joined.db.commit()
    with joined.app() as session:
        session.add(User(email="a"))
        session.flush()
        session.rollback()
    assert [user.email for user in joined.db.scalars(select(User))] == ["fixture"]
    assert joined.end() == ()
    assert copy.emails() == []


def test_after_an_expected_integrity_error_commits_still_hold_and_leave_nothing(joined: Any, copy: RealCopy) -> None:
    joined.db.add(User(email="fixture"))
    joined.db.commit()
    with joined.app() as session:
        session.add(User(email="fixture"))
        with pytest.raises(IntegrityError):
            session.commit()
        session.rollback()
        session.add(User(email="later"))
        session.commit()
    assert {user.email for user in joined.db.scalars(select(User))} == {"fixture", "later"}
    assert joined.end() == ()
    assert copy.emails() == []


@pytest.fixture(params=[(driver, where) for driver in ASYNC for where in ("here", "elsewhere")], ids="-".join)
def async_app(request: Any, copy: RealCopy) -> Any:
    driver, where = request.param
    url = copy.address.url(driver) if where == "here" else f"postgresql+{driver}://nowhere/none"
    engine = create_async_engine(url)
    make = async_sessionmaker(engine, expire_on_commit=False)

    async def get_db() -> AsyncIterator[AsyncSession]:
        async with make() as session:
            yield session

    return get_db


def run_async(test: Callable[..., Any], get_db: Any, sessions: Any) -> tuple[str, ...]:
    """Run `test(db, app)` in a loop that outlives it, as a test runner's does."""
    sessions.begin(joined=True)
    app = asynccontextmanager(sessions.dependency() or get_db)
    loop = asyncio.new_event_loop()
    try:
        loop.run_until_complete(test(sessions.session(), app))
        return sessions.end()
    finally:
        loop.close()


async def emails(db: AsyncSession) -> set[str]:
    return {user.email for user in await db.scalars(select(User))}


def test_an_async_app_that_commits_leaves_nothing_behind(
    async_app: Any, sessions_of: Callable[..., Any], copy: RealCopy
) -> None:
    async def test(db: AsyncSession, app: Any) -> None:
        async with app() as session:
            session.add(User(email="a"))
            await session.commit()
        assert await emails(db) == {"a"}
        assert copy.emails() == []

    assert run_async(test, async_app, sessions_of(async_app)) == ()
    assert copy.emails() == []


def test_rows_of_async_fixtures_survive_the_rollback_of_the_app(
    async_app: Any, sessions_of: Callable[..., Any], copy: RealCopy
) -> None:
    async def test(db: AsyncSession, app: Any) -> None:
        db.add(User(email="fixture"))
        await db.commit()
        async with app() as session:
            session.add(User(email="a"))
            await session.flush()
            await session.rollback()
        assert await emails(db) == {"fixture"}

    assert run_async(test, async_app, sessions_of(async_app)) == ()
    assert copy.emails() == []


def test_after_an_async_integrity_error_commits_still_hold_and_leave_nothing(
    async_app: Any, sessions_of: Callable[..., Any], copy: RealCopy
) -> None:
    async def test(db: AsyncSession, app: Any) -> None:
        db.add(User(email="fixture"))
        await db.commit()
        async with app() as session:
            session.add(User(email="fixture"))
            with pytest.raises(IntegrityError):
                await session.commit()
            await session.rollback()
            session.add(User(email="later"))
            await session.commit()
        assert await emails(db) == {"fixture", "later"}

    assert run_async(test, async_app, sessions_of(async_app)) == ()
    assert copy.emails() == []


def test_a_project_on_sqlite_gets_the_same(tmp_path: Any) -> None:
    from seatrial.resources.protocol import Address
    from seatrial.sessions.choose import open_sessions

    from .conftest import Base

    path = tmp_path / "app.db"
    engine = create_engine(f"sqlite:///{path}")
    Base.metadata.create_all(engine)
    here: Any = SimpleNamespace(address=Address(scheme="sqlite", database=str(path)))
    sessions: Any = open_sessions(here, {"sync": "pysqlite", "async": "aiosqlite"}, lambda: Session(engine))
    sessions.begin(joined=True)
    db = sessions.session()
    db.add(User(email="fixture"))
    db.commit()
    with Session(engine) as app:
        app.add(User(email="fixture"))
        with pytest.raises(IntegrityError):
            app.commit()
        app.rollback()
        app.add(User(email="later"))
        app.commit()
    assert {user.email for user in db.scalars(select(User))} == {"fixture", "later"}
    assert sessions.end() == ()
    sessions.close()
    with Session(engine) as after:
        assert after.scalars(select(User)).all() == []
    engine.dispose()
