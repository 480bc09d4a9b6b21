"""In rollback every engine on the test's database joins, whoever made it: no dependency has to lead to it."""

from __future__ import annotations

import asyncio
import gc
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from sqlalchemy import create_engine, event, inspect, select, text
from sqlalchemy.ext.asyncio import AsyncSession, create_async_engine
from sqlalchemy.orm import Session, scoped_session, sessionmaker

from seatrial.errors import IsolationError
from seatrial.patches.applied import Applied
from seatrial.patches.engines.made import made_engines
from seatrial.patches.stale_pools import stale_sqlalchemy
from seatrial.resources.kinds.sqlite.places import Memory
from seatrial.sessions.connections.engines import is_on
from seatrial.sessions.connections.known import Engines
from seatrial.sessions.joining.joined import Joined
from seatrial.sessions.pools import Pools

from .conftest import RealCopy, User


@pytest.fixture
def engines() -> Iterator[Engines]:
    engines = Engines()
    patch = made_engines(engines)
    patch.apply()
    yield engines
    patch.undo()


@pytest.fixture
def engine(copy: RealCopy, engines: Engines) -> Iterator[Callable[..., Any]]:
    """Makes engines of the app's on the copy."""
    made = []

    def make(driver: str = "psycopg", **options: Any) -> Any:
        made.append(create_engine(copy.address.url(driver), **options))
        return made[-1]

    yield make
    for each in made:
        each.dispose()


@pytest.fixture
def sessions(sessions_of: Callable[..., Any], engines: Engines) -> Any:
    """No dependency is named."""
    return sessions_of(uses_sqlalchemy=True, engines=engines)


def add(engine: Any, email: str) -> None:
    with Session(engine) as session:
        session.add(User(email=email))
        session.commit()


def emails(session: Any) -> set[str]:
    return set(session.scalars(select(User.email)))


@pytest.mark.parametrize("driver", ["psycopg", "psycopg2"])
def test_engines_from_before_and_from_within_the_test_join_and_each_sees_the_others(
    engine: Any, sessions: Any, copy: RealCopy, driver: str
) -> None:
    before = engine(driver)
    sessions.begin(joined=True)
    within = engine(driver)
    add(before, "before")
    add(within, "within")
    scoped = scoped_session(sessionmaker(before))
    scoped.add(User(email="scoped"))
    scoped.commit()
    assert emails(scoped) == emails(sessions.session()) == {"before", "within", "scoped"}
    scoped.remove()
    with within.begin() as connection:
        assert connection.scalar(text("SELECT count(*) FROM users")) == 3
    assert sessions.end() == ()
    assert copy.emails() == []
    add(before, "real")
    add(within, "real, too")
    assert copy.emails() == ["real", "real, too"]


def test_an_engine_joins_in_each_test_anew(engine: Any, sessions: Any, copy: RealCopy) -> None:
    app = engine()
    for _ in range(2):
        sessions.begin(joined=True)
        add(app, "a")
        assert emails(sessions.session()) == {"a"}
        assert sessions.end() == ()
    assert copy.emails() == []


def test_the_session_takes_over_the_driver_of_an_engine_that_the_test_makes(engine: Any, sessions: Any) -> None:
    """It is there before the engine, as in a test that asks for `db` first and for `client` then."""
    sessions.begin(joined=True)
    db = sessions.session()
    db.add(User(email="pending"))
    app = engine("psycopg2")
    db.commit()
    add(app, "app")
    assert emails(db) == {"pending", "app"}
    assert db.get_bind().dialect.driver == "psycopg2"
    assert sessions.end() == ()


def test_an_engine_of_another_driver_than_the_running_transaction_is_refused(
    engine: Any, sessions: Any, copy: RealCopy
) -> None:
    sessions.begin(joined=True)
    assert emails(sessions.session()) == set()
    app = engine("psycopg2")
    with pytest.raises(IsolationError, match="uses psycopg2") as refused:
        add(app, "a")
    assert "reset" in refused.value.fix
    sessions.end()
    add(app, "real")
    assert copy.emails() == ["real"]
    sessions.begin(joined=True)  # and from the next test on its driver is the test's, too
    add(app, "joined")
    assert emails(sessions.session()) == {"real", "joined"}
    assert sessions.end() == ()


def test_the_driver_of_an_engine_that_was_there_is_the_tests_though_one_of_another_is_made_first_thing(
    engine: Any, sessions: Any
) -> None:
    app = engine()
    sessions.begin(joined=True)
    other = engine("psycopg2")
    add(app, "app")
    with pytest.raises(IsolationError, match="uses psycopg2"):
        add(other, "other")
    assert emails(sessions.session()) == {"app"}
    assert sessions.end() == ()


def test_joined_tests_use_one_connection_after_the_other_test(engine: Any, sessions: Any) -> None:
    app, found = engine(), set()
    for _ in range(3):
        sessions.begin(joined=True)
        with Session(app) as session:
            found.add(session.scalar(text("SELECT pg_backend_pid()")))
        assert sessions.end() == ()
    assert len(found) == 1


@pytest.mark.parametrize("level", ["SERIALIZABLE", "AUTOCOMMIT"])
def test_an_engine_of_another_isolation_level_than_the_running_transaction_is_refused(
    engine: Any, sessions: Any, copy: RealCopy, level: str
) -> None:
    app, other = engine(), engine(isolation_level=level)
    sessions.begin(joined=True)
    add(app, "joined")
    with pytest.raises(IsolationError, match=f"is in {level}, .* in READ COMMITTED") as refused:
        add(other, "other")
    assert "reset" in refused.value.fix
    assert emails(sessions.session()) == {"joined"}
    assert sessions.end() == ()
    add(other, "real")
    assert copy.emails() == ["real"]


def test_an_engine_that_names_the_level_of_the_running_transaction_joins(engine: Any, sessions: Any) -> None:
    app, other = engine(), engine(isolation_level="READ COMMITTED")
    sessions.begin(joined=True)
    add(app, "app")
    add(other, "other")
    assert emails(sessions.session()) == {"app", "other"}
    assert sessions.end() == ()


def test_the_test_is_like_an_engine_that_has_transactions_though_one_in_autocommit_was_made_first(
    engine: Any, sessions: Any
) -> None:
    engine(isolation_level="AUTOCOMMIT")
    app = engine()
    sessions.begin(joined=True)
    add(app, "app")
    assert emails(sessions.session()) == {"app"}
    assert sessions.end() == ()


def test_the_test_gets_connections_like_the_apps(engine: Any, sessions: Any) -> None:
    """What the app's engine makes of each connection holds for the one that app and test share."""

    def name(connection: Any, record: Any) -> None:
        connection.execute("SET application_name TO 'the app'")
        connection.commit()

    event.listen(engine(), "connect", name)
    sessions.begin(joined=True)
    assert sessions.session().scalar(text("SHOW application_name")) == "the app"
    assert sessions.end() == ()


def test_an_engine_that_never_connected_knows_its_server(engine: Any, sessions: Any) -> None:
    engine()
    app = engine()
    sessions.begin(joined=True)
    add(app, "a")
    assert app.dialect.server_version_info >= (14,)
    assert inspect(app).default_schema_name == "public"
    assert sessions.end() == ()


def test_engines_on_other_databases_are_left_alone(copy: RealCopy, engines: Engines, sessions: Any) -> None:
    elsewhere = create_engine("sqlite://")
    pool = elsewhere.pool
    sessions.begin(joined=True)
    assert elsewhere.pool is pool
    with elsewhere.begin() as connection:
        connection.execute(text("CREATE TABLE t (id int)"))
    sessions.end()
    assert inspect(elsewhere).has_table("t")
    elsewhere.dispose()


def test_the_test_is_on_its_own_database_though_the_app_made_an_engine_on_another_one_first(
    copy: RealCopy, engine: Any, sessions: Any
) -> None:
    first = create_engine(f"{copy.address.url('psycopg2').rpartition('/')[0]}/postgres")
    app = engine()
    sessions.begin(joined=True)
    add(app, "app")
    assert sessions.session().scalar(text("SELECT current_database()")) == copy.address.database
    assert emails(sessions.session()) == {"app"}
    assert sessions.end() == ()
    first.dispose()


def test_engines_that_are_gone_are_not_kept_alive(engines: Engines, copy: RealCopy) -> None:
    engine = create_engine(copy.address.url("psycopg"))
    assert engines.on(copy.address) == [engine]
    del engine
    gc.collect()
    assert engines.on(copy.address) == []


def test_an_async_engine_that_nobody_names_joins_as_well(
    sessions_of: Callable[..., Any], engines: Engines, copy: RealCopy
) -> None:
    sessions = sessions_of(uses_sqlalchemy=True, is_async=True, engines=engines)

    async def test() -> None:
        sessions.begin(joined=True)
        within = create_async_engine(copy.address.url("asyncpg"))
        for engine, email in ((before, "before"), (within, "within")):
            async with AsyncSession(engine) as session:
                session.add(User(email=email))
                await session.commit()
        assert set(await sessions.session().scalars(select(User.email))) == {"before", "within"}
        for engine in (before, within):
            await engine.dispose()

    before = create_async_engine(copy.address.url("asyncpg"))
    asyncio.run(test())
    assert sessions.end() == ()
    assert copy.emails() == []


def test_a_joined_connection_is_closed_by_its_app_though_the_real_one_lives_on_another_loop(
    sessions_of: Callable[..., Any], engines: Engines, copy: RealCopy, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The pools' patch leaves those of other loops to these: what the app did not commit would be there for a while."""
    pools, given_up = Pools(), list[Joined]()

    def give_up(joined: Joined) -> None:
        given_up.append(joined)

    monkeypatch.setattr(Joined, "terminate", give_up)
    with Applied([stale_sqlalchemy(pools)]):
        pools.watch(copy.address)
        sessions = sessions_of(uses_sqlalchemy=True, is_async=True, engines=engines, pools=pools)

        async def test() -> None:
            sessions.begin(joined=True)
            async with AsyncSession(create_async_engine(copy.address.url("asyncpg"))) as session:
                session.add(User(email="flushed"))
                await session.flush()
            assert set(await sessions.session().scalars(select(User.email))) == set()

        asyncio.run(test())
        assert (sessions.end(), given_up) == ((), [])


def test_an_async_engine_of_another_isolation_level_is_refused(
    sessions_of: Callable[..., Any], engines: Engines, copy: RealCopy
) -> None:
    sessions = sessions_of(uses_sqlalchemy=True, is_async=True, engines=engines)

    async def test() -> None:
        other = create_async_engine(copy.address.url("asyncpg"), isolation_level="AUTOCOMMIT")
        app = create_async_engine(copy.address.url("asyncpg"))
        sessions.begin(joined=True)
        async with AsyncSession(app) as session:
            session.add(User(email="joined"))
            await session.commit()
        with pytest.raises(IsolationError, match="is in AUTOCOMMIT"):
            await other.connect()
        assert set(await sessions.session().scalars(select(User.email))) == {"joined"}
        for engine in (app, other):
            await engine.dispose()

    asyncio.run(test())
    assert sessions.end() == ()
    assert copy.emails() == []


def test_an_engine_on_a_sqlite_database_in_memory_is_found_by_its_name():
    """It did not join a rollback: what it committed was told to be written past the test's transaction."""
    address = Memory("mine").address
    assert is_on(create_engine(address.url()), address)
    assert not is_on(create_engine(Memory("other").address.url()), address)
    assert not is_on(create_engine("sqlite:////mine"), address)
