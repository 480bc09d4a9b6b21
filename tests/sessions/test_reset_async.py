"""Async sessions: the test's own lives in the loop of the test, whoever ends that loop, and is closed in time."""

from __future__ import annotations

import asyncio
import contextlib
import gc
import threading
from collections.abc import AsyncIterator, Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from sqlalchemy import select, text
from sqlalchemy.ext.asyncio import AsyncSession, async_sessionmaker, create_async_engine

from .conftest import RealCopy, User

pytestmark = pytest.mark.parametrize("driver", ["asyncpg", "psycopg"])


@pytest.fixture
def app(driver: str, copy: RealCopy) -> Any:
    """The app's own sessions."""
    return async_sessionmaker(create_async_engine(copy.address.url(driver)))


@pytest.fixture
def sessions(app: Any, sessions_of: Callable[..., Any]) -> Any:
    return sessions_of(app)


async def emails(db: AsyncSession) -> set[str]:
    return set(await db.scalars(select(User.email)))


async def add(session: AsyncSession, email: str) -> None:
    session.add(User(email=email))
    await session.commit()


@pytest.mark.parametrize("joined", [False, True])
def test_a_session_that_never_connects_needs_no_loop(sessions: Any, joined: bool) -> None:
    sessions.begin(joined=joined)
    assert isinstance(sessions.session(), AsyncSession)
    assert sessions.end() == ()


@pytest.mark.parametrize("joined", [False, True])
def test_a_loop_that_outlives_the_test_closes_the_session(sessions: Any, joined: bool, copy: RealCopy) -> None:
    loop = asyncio.new_event_loop()
    try:
        for _ in range(3):
            sessions.begin(joined=joined)
            assert loop.run_until_complete(emails(sessions.session())) == set()
            (pid,) = sessions.backends()
            assert sessions.end() == ()
            assert not is_connected(copy, pid)
    finally:
        loop.close()


@pytest.mark.parametrize("joined", [False, True])
def test_a_loop_that_ends_before_our_fixture_closes_the_session(sessions: Any, joined: bool, copy: RealCopy) -> None:
    sessions.begin(joined=joined)
    db = sessions.session()

    async def test() -> int:
        await add(db, "a")
        (pid,) = sessions.backends()
        return int(pid)

    pid = asyncio.run(test())
    assert is_connected(copy, pid) == joined  # what is joined lives on a loop of ours
    assert sessions.end() == ()
    assert not is_connected(copy, pid)
    assert copy.emails() == ([] if joined else ["a"])


def test_a_raw_commit_is_told_although_the_loop_has_ended_before(sessions: Any) -> None:
    sessions.begin(joined=True)
    db = sessions.session()
    asyncio.run(db.execute(text("COMMIT")))
    assert len(sessions.end()) == 1


def test_a_loop_in_another_thread_closes_the_session(sessions: Any, copy: RealCopy) -> None:
    loop = asyncio.new_event_loop()
    thread = threading.Thread(target=loop.run_forever)
    thread.start()
    try:
        sessions.begin(joined=False)
        asyncio.run_coroutine_threadsafe(emails(sessions.session()), loop).result()
        (pid,) = sessions.backends()
        assert sessions.end() == ()
        assert not is_connected(copy, pid)
    finally:
        loop.call_soon_threadsafe(loop.stop)
        thread.join()
        loop.close()


def test_an_error_in_the_middle_of_a_transaction_leaves_nothing_open(sessions: Any, copy: RealCopy) -> None:
    async def test() -> None:
        db.add(User(email="pending"))
        await db.flush()
        raise LookupError

    loop = asyncio.new_event_loop()
    sessions.begin(joined=False)
    db = sessions.session()
    with pytest.raises(LookupError):
        loop.run_until_complete(test())
    (pid,) = sessions.backends()
    sessions.end()
    loop.close()
    assert not is_connected(copy, pid)
    assert copy.emails() == []


@pytest.mark.parametrize("gives", ["session", "factory"])
def test_an_app_that_leads_elsewhere_is_sent_here_on_its_own_loop(
    driver: str, sessions_of: Callable[..., Any], copy: RealCopy, gives: str
) -> None:
    nowhere = async_sessionmaker(create_async_engine(f"postgresql+{driver}://nowhere/none"))

    async def get_db() -> AsyncIterator[Any]:
        if gives == "factory":
            yield nowhere
            return
        async with nowhere() as session:
            yield session

    sessions = sessions_of(get_db)
    app_loop = asyncio.new_event_loop()

    async def request(email: str) -> int:
        # Closed here, as frameworks do: left to the collector, its session may outlive the loop.
        async with contextlib.aclosing(sessions.dependency()()) as dependency:
            given = await anext(dependency)
            async with contextlib.nullcontext(given) if gives == "session" else given() as session:
                await add(session, email)
                return int(await session.scalar(text("SELECT pg_backend_pid()")))

    pids = []
    for email in ("a", "b"):
        sessions.begin(joined=False)
        db = sessions.session()
        pids.append(app_loop.run_until_complete(request(email)))
        assert email in asyncio.run(emails(db))
        sessions.end()
    assert pids[0] == pids[1]  # the app has a pool

    copy.replace()
    sessions.invalidate()
    sessions.begin(joined=False)
    app_loop.run_until_complete(request("c"))
    sessions.end()
    assert copy.emails() == ["c"]
    sessions.close()
    app_loop.close()


@pytest.mark.parametrize("first", ["test", "app"])
def test_in_rollback_the_app_may_be_on_another_loop(sessions: Any, app: Any, copy: RealCopy, first: str) -> None:
    """Also one that waits for the test, or that the test waits for, standing still."""
    sessions.begin(joined=True)
    db = sessions.session()
    test_loop = asyncio.new_event_loop()
    if first == "test":
        test_loop.run_until_complete(add(db, "test"))

    async def request() -> set[str]:
        async with app() as session:
            await add(session, "app")
            assert await session.scalar(text("SELECT 1")) == 1
            streamed = await session.stream(text("SELECT email FROM users ORDER BY email"))
            return {row.email async for row in streamed}

    async def test() -> set[str]:
        with ThreadPoolExecutor() as pool:
            return pool.submit(asyncio.run, request()).result()  # the test's own loop stands still meanwhile

    assert test_loop.run_until_complete(test()) == ({"app", "test"} if first == "test" else {"app"})
    assert test_loop.run_until_complete(emails(db)) == ({"app", "test"} if first == "test" else {"app"})
    assert sessions.end() == ()
    assert copy.emails() == []
    test_loop.close()


def test_tasks_take_turns(sessions: Any, app: Any) -> None:
    sessions.begin(joined=True)
    db = sessions.session()

    async def request(number: int) -> None:
        for each in range(4):
            async with app() as session:
                session.add(User(email=f"{number}-{each}"))
                await session.flush()
                await emails(session)
                await (session.rollback() if each % 2 else session.commit())

    async def test() -> set[str]:
        await asyncio.gather(*(request(number) for number in range(4)))
        return await emails(db)

    assert asyncio.run(test()) == {f"{number}-{each}" for number in range(4) for each in (0, 2)}
    assert sessions.end() == ()


# A connection whose task was cancelled may be given up by the driver, and left to the garbage collector.
@pytest.mark.filterwarnings("ignore:unclosed:ResourceWarning")
def test_a_cancelled_request_leaves_the_rest_of_the_test_whole(sessions: Any, app: Any) -> None:
    sessions.begin(joined=True)
    db = sessions.session()

    async def request() -> None:
        async with app() as session:
            session.add(User(email="cancelled"))
            await session.flush()
            await session.execute(text("SELECT pg_sleep(60)"))

    async def test() -> set[str]:
        await add(db, "before")
        task = asyncio.create_task(request())
        await asyncio.sleep(0.2)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        return await emails(db)

    assert asyncio.run(test()) == {"before"}
    assert sessions.end() == ()
    gc.collect()  # now, where its warning is ignored: a later test would be blamed for it


def is_connected(copy: RealCopy, pid: int) -> bool:
    """Whether the server still has this connection; ending takes it a moment."""
    with copy.connect() as other:
        other.execute("SELECT pg_sleep(0.05)")
        return other.execute("SELECT 1 FROM pg_stat_activity WHERE pid = %s", (pid,)).fetchone() is not None
