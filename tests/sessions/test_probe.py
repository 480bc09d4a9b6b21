"""What a dependency yields is found out without a connection."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import AsyncGenerator, AsyncIterator, Generator, Iterator
from typing import Annotated, Any, Generic, TypeVar

import pytest
import sqlmodel
from fastapi import Depends, Request
from sqlalchemy import create_engine
from sqlalchemy.ext.asyncio import AsyncSession, async_scoped_session, async_sessionmaker, create_async_engine
from sqlalchemy.orm import Session, sessionmaker
from sqlmodel.ext.asyncio.session import AsyncSession as SQLModelAsyncSession

from seatrial.sessions.dependencies.probe import probe

NOWHERE = create_engine("postgresql+psycopg://nowhere.invalid/none")
ASYNC_NOWHERE = create_async_engine("postgresql+asyncpg://nowhere.invalid/none")
make = sessionmaker(NOWHERE, expire_on_commit=False)
make_async = async_sessionmaker(ASYNC_NOWHERE, expire_on_commit=False)


class TeamSession(AsyncSession):
    pass


def test_a_generator_is_driven_to_its_first_value_and_closed() -> None:
    log = []

    def get_db() -> Any:
        with make(autoflush=False) as session:
            try:
                yield session
                log.append("commit")
            finally:
                log.append("close")

    style = probe(get_db)
    assert (style.sqlalchemy, style.is_async, style.bind) == (True, False, NOWHERE)
    assert issubclass(style.session_class or object, Session)
    assert style.options["expire_on_commit"] is False
    assert style.options["autoflush"] is False
    assert log == ["close"]


def test_an_async_generator_is_driven_even_where_a_loop_runs() -> None:
    async def get_db() -> Any:
        async with make_async() as session:
            yield session

    async def caller() -> Any:
        return probe(get_db)

    for style in (probe(get_db), asyncio.run(caller())):
        assert (style.sqlalchemy, style.is_async, style.bind) == (True, True, ASYNC_NOWHERE.sync_engine)
        assert style.options["expire_on_commit"] is False


def test_functions_coroutines_and_callable_objects() -> None:
    class Provide:
        async def __call__(self) -> AsyncIterator[AsyncSession]:
            yield make_async()

    async def coroutine() -> Any:
        return make_async()

    assert not probe(make).is_async
    assert probe(coroutine).is_async
    assert probe(Provide()).is_async


def test_sqlmodels_sessions() -> None:
    def get_db() -> Any:
        with sqlmodel.Session(NOWHERE) as session:
            yield session

    async def get_async_db() -> Any:
        async with SQLModelAsyncSession(ASYNC_NOWHERE) as session:
            yield session

    assert probe(get_db).session_class is sqlmodel.Session
    assert probe(get_async_db).session_class is SQLModelAsyncSession


def test_a_scoped_async_session_is_seen_through() -> None:
    scoped = async_scoped_session(make_async, scopefunc=lambda: 1)
    style = probe(lambda: scoped)
    assert style.is_async
    assert style.bind is ASYNC_NOWHERE.sync_engine


def with_arguments(request: Request) -> Iterator[Session]:
    yield make()


def with_defaults(
    settings: Any = Depends(lambda: None),  # noqa: B008  # the spelling that is tested
) -> Generator[Session, None, None]:
    yield make()


async def annotated(request: Request) -> AsyncGenerator[TeamSession, None]:
    yield TeamSession()


async def plain(request: Request) -> Annotated[TeamSession, "a mark"]:
    return TeamSession()


def not_a_session(request: Request) -> Iterator[int]:
    yield 1


async def says_nothing(request: Request):
    yield make_async()


def says_any(request: Request) -> Iterator[Any]:
    yield make()


def says_object(request: Request) -> object:
    return make()


T = TypeVar("T")


class Unit(Generic[T]):
    pass


def a_unit(request: Request) -> Unit[int]:
    return Unit()


@pytest.mark.parametrize(
    ("dependency", "sqlalchemy", "is_async", "session_class"),
    [
        (with_arguments, True, False, Session),
        (with_defaults, True, False, Session),
        (annotated, True, True, TeamSession),
        (plain, True, True, TeamSession),
        (not_a_session, False, False, None),
        (says_nothing, True, True, None),
        (says_any, True, False, None),
        (says_object, True, False, None),
        (a_unit, False, False, None),
    ],
)
def test_one_with_arguments_is_judged_by_its_annotation_and_then_its_flavour(
    dependency: Any, sqlalchemy: bool, is_async: bool, session_class: Any
) -> None:
    style = probe(dependency)
    assert (style.sqlalchemy, style.is_async, style.session_class) == (sqlalchemy, is_async, session_class)
    assert "arguments" in style.how


def test_one_that_says_nothing_yields_no_session_where_nobody_imported_sqlalchemys_half(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """A dependency of asyncpg, with a request for its argument: its module is there, and needed no SQLAlchemy."""
    monkeypatch.delitem(sys.modules, "sqlalchemy.ext.asyncio")
    style = probe(says_nothing)
    assert (style.sqlalchemy, style.is_async) == (False, True)


def test_one_that_raises_is_judged_by_its_annotation_and_says_so() -> None:
    def get_db() -> Iterator[Session]:
        raise LookupError("not yet")
        yield make()

    style = probe(get_db)
    assert style.session_class is Session
    assert "LookupError" in style.how


def test_an_async_one_that_raises_is_judged_so_as_well() -> None:
    async def get_db() -> AsyncIterator[AsyncSession]:
        raise LookupError("no settings")
        yield

    assert probe(get_db).is_async
    assert probe(get_db).how == "it raised LookupError when it was tried; its annotation says so"


def test_what_is_no_session_is_told_by_its_type() -> None:
    style = probe(lambda: 1)
    assert not style.sqlalchemy
    assert "int" in style.how


def test_one_that_takes_whatever_it_is_given_is_run() -> None:
    def get_db(*args: Any, **kwargs: Any) -> Any:
        yield make()

    assert probe(get_db).bind is NOWHERE


def test_the_sync_half_of_an_async_session_may_be_the_apps_own() -> None:
    class Half(Session):
        pass

    maker = async_sessionmaker(ASYNC_NOWHERE, sync_session_class=Half)
    assert probe(maker).options["sync_session_class"] is Half
    assert "sync_session_class" not in probe(make_async).options


def test_a_session_that_has_connected_when_it_is_returned_gives_its_connection_back() -> None:
    engine, async_engine = create_engine("sqlite://"), create_async_engine("sqlite+aiosqlite://")
    kept: list[Any] = []

    def get_db() -> Any:
        kept.append(Session(engine))
        kept[-1].connection()
        return kept[-1]

    async def get_async_db() -> Any:
        kept.append(AsyncSession(async_engine))
        await kept[-1].connection()
        return kept[-1]

    for dependency in (get_db, get_async_db):
        assert probe(dependency).sqlalchemy
        assert not kept[-1].in_transaction()
    engine.dispose()
    asyncio.run(async_engine.dispose())


def test_routing_is_seen() -> None:
    class Routing(Session):
        def get_bind(self, *args: Any, **kwargs: Any) -> Any:
            return NOWHERE

    assert probe(Routing).routed
    assert not probe(make).routed
