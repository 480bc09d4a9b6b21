"""One outer transaction shared by a test and its app: what it holds, what it tells, what it refuses."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import AsyncIterator, Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from sqlalchemy import create_engine, event, func, select, text
from sqlalchemy.exc import DBAPIError, IntegrityError
from sqlalchemy.ext.asyncio import AsyncSession, create_async_engine
from sqlalchemy.orm import Session
from tests.sessions.conftest import Pet, RealCopy, Toy, User

from seatrial.errors import IsolationError
from seatrial.sessions.joining import outer
from seatrial.sessions.joining.outer import Outer
from seatrial.sessions.joining.turns import Threads

from .conftest import emails


def test_all_that_uses_the_engine_joins_and_not_only_the_dependency(
    sessions: Any, engine: Any, app: Any, copy: RealCopy
) -> None:
    with engine.begin() as connection:
        connection.execute(text("INSERT INTO users (email) VALUES ('core')"))
    with app.begin() as background:
        background.add(User(email="background"))
    assert emails(sessions.session()) == {"core", "background"}
    assert sessions.end() == ()
    assert copy.emails() == []


def test_the_engine_is_as_it_was_after_the_test(sessions: Any, engine: Any, app: Any, copy: RealCopy) -> None:
    joined = engine.pool
    sessions.end()
    assert engine.pool is not joined
    with app.begin() as session:
        session.add(User(email="real"))
    assert copy.emails() == ["real"]


def test_the_test_may_roll_back_what_it_has_only_read(sessions: Any, app: Any) -> None:
    """In between the app has committed: that must stay, although its savepoint lay inside the reader's."""
    db = sessions.session()
    assert emails(db) == set()
    with app.begin() as session:
        session.add(User(email="a"))
    db.rollback()
    assert emails(db) == {"a"}
    assert sessions.end() == ()


def test_what_a_select_has_written_by_a_function_is_undone_by_its_own_rollback(
    sessions: Any, app: Any, copy: RealCopy
) -> None:
    sessions.end()
    with copy.connect() as real:
        real.execute(
            "CREATE FUNCTION join_us(who text) RETURNS text LANGUAGE sql AS "
            "'INSERT INTO users (email) VALUES (who) RETURNING email'"
        )
    sessions.begin(joined=True)
    with app() as one, app() as other:
        one.execute(text("SELECT join_us('a')"))
        other.execute(text("SELECT 1"))
        other.commit()
        one.rollback()
        assert emails(other) == set()
    assert sessions.end() == ()


def test_a_rollback_that_takes_with_it_what_the_app_committed_is_told(sessions: Any, app: Any) -> None:
    db = sessions.session()
    db.add(User(email="mine"))
    db.flush()
    with app.begin() as session:
        session.add(User(email="a"))
    db.rollback()
    (complaint,) = sessions.end()
    assert "rolled back" in complaint
    assert "committed" in complaint


@pytest.mark.parametrize("statement", ["COMMIT", "ROLLBACK", "END"])
def test_a_raw_commit_or_rollback_is_told(sessions: Any, app: Any, statement: str) -> None:
    with app() as session:
        session.add(User(email="a"))
        session.flush()
        session.execute(text(statement))
        session.commit()
    (complaint,) = sessions.end()
    assert "COMMIT or ROLLBACK" in complaint


def test_a_raw_commit_at_the_very_end_is_told(sessions: Any) -> None:
    sessions.session().execute(text("COMMIT"))
    assert len(sessions.end()) == 1


def test_after_a_raw_commit_the_next_test_starts_anew(sessions: Any) -> None:
    sessions.session().execute(text("COMMIT"))
    sessions.end()
    sessions.begin(joined=True)
    assert emails(sessions.session()) == set()
    assert sessions.end() == ()


def test_a_commit_checks_deferred_constraints(sessions: Any, app: Any) -> None:
    session = app()
    session.add(Pet(owner=77))
    session.flush()  # deferred: no error yet
    with pytest.raises(IntegrityError):
        session.commit()
    session.rollback()
    session.add(Pet(owner=1))
    session.flush()  # and still deferred for what comes after
    session.add(User(id=1, email="late"))
    session.commit()
    session.close()
    assert sessions.session().scalar(select(func.count(Pet.id))) == 1
    assert sessions.end() == ()


def test_a_test_may_drop_a_deferred_constraint_and_those_that_are_left_stay_deferred(sessions: Any, app: Any) -> None:
    session = app()
    session.execute(text("ALTER TABLE pets DROP CONSTRAINT pets_owner_fkey"))
    session.add(Pet(owner=77))
    session.commit()
    session.add(Toy(pet=78))
    session.flush()  # deferred: no error yet
    with pytest.raises(IntegrityError):
        session.commit()
    session.close()
    assert sessions.session().scalar(select(func.count(Pet.id))) == 1
    assert sessions.end() == ()


def test_nested_transactions_of_the_app_are_its_own(sessions: Any, app: Any) -> None:
    with app() as session:
        session.add(User(email="outside"))
        nested = session.begin_nested()
        session.add(User(email="outside"))
        with pytest.raises(IntegrityError):
            session.flush()
        nested.rollback()
        session.add(User(email="after"))
        session.commit()
    assert emails(sessions.session()) == {"outside", "after"}
    assert sessions.end() == ()


def test_a_failed_transaction_is_rolled_back_while_another_session_reads(sessions: Any, app: Any) -> None:
    with app() as one, app() as reader:
        one.add(User(email="a"))
        one.flush()
        assert emails(reader) == {"a"}
        with pytest.raises(DBAPIError):
            one.execute(text("SELECT * FROM nope"))
        one.rollback()
        assert emails(one) == emails(reader) == set()
    assert sessions.end() == ()


def test_a_nested_transaction_that_has_failed_is_rolled_back_while_another_session_reads(
    sessions: Any, app: Any
) -> None:
    with app() as one, app() as reader:
        one.add(User(email="a"))
        nested = one.begin_nested()
        one.add(User(email="b"))
        one.flush()
        assert emails(reader) == {"a", "b"}
        with pytest.raises(DBAPIError):
            one.execute(text("SELECT * FROM nope"))
        nested.rollback()
        assert emails(one) == emails(reader) == {"a"}
        one.commit()
        assert emails(reader) == {"a"}
    assert sessions.end() == ()


def test_the_commit_of_a_failed_transaction_is_a_rollback_while_another_session_reads(
    sessions: Any, engine: Any, app: Any
) -> None:
    with app() as reader, engine.connect() as one:
        one.execute(text("INSERT INTO users (email) VALUES ('a')"))
        assert emails(reader) == {"a"}
        with pytest.raises(DBAPIError):
            one.execute(text("SELECT * FROM nope"))
        with pytest.raises(DBAPIError):
            one.execute(text("INSERT INTO users (email) VALUES ('b')"))
        one.commit()
        assert emails(reader) == set()
    assert sessions.end() == ()


def test_a_second_session_of_the_same_request_may_commit_inside_the_first(sessions: Any, app: Any) -> None:
    with app() as first:
        first.add(User(email="first"))
        first.flush()
        with app.begin() as audit:
            audit.add(User(email="audit"))
        first.commit()
    assert emails(sessions.session()) == {"first", "audit"}
    assert sessions.end() == ()


def test_two_writing_sessions_that_end_crosswise_are_refused(sessions: Any, app: Any) -> None:
    first, second = app(), app()
    first.add(User(email="first"))
    first.flush()
    second.add(User(email="second"))
    second.flush()
    with pytest.raises(IsolationError, match="opened later") as refused:
        first.commit()
    assert "reset" in refused.value.fix
    second.close()
    first.close()
    sessions.end()


def test_threads_take_turns(sessions: Any, app: Any) -> None:
    """Requests in FastAPI's worker threads: each transaction waits until another's has ended."""
    start = threading.Barrier(4)

    def request(number: int) -> None:
        start.wait()
        for each in range(5):
            with app() as session:
                session.add(User(email=f"{number}-{each}"))
                session.flush()
                session.scalar(select(func.count(User.id)))
                session.rollback() if each % 2 else session.commit()

    with ThreadPoolExecutor(4) as pool:
        list(pool.map(request, range(4)))
    assert emails(sessions.session()) == {f"{number}-{each}" for number in range(4) for each in (0, 2, 4)}
    assert sessions.end() == ()


def test_the_tests_session_waits_for_a_thread_that_is_writing(sessions: Any, app: Any) -> None:
    written, go_on = threading.Event(), threading.Event()

    def work() -> None:
        with app() as session:
            session.add(User(email="thread"))
            session.flush()
            written.set()
            go_on.wait()
            session.commit()

    thread = threading.Thread(target=work)
    db = sessions.session()
    assert emails(db) == set()
    thread.start()
    written.wait()
    threading.Timer(0.05, go_on.set).start()
    db.add(User(email="test"))
    db.commit()
    thread.join()
    assert emails(db) == {"thread", "test"}
    assert sessions.end() == ()


def test_changing_the_isolation_level_is_refused(sessions: Any, app: Any) -> None:
    with app() as session, pytest.raises(IsolationError, match="rollback test") as refused:
        session.connection(execution_options={"isolation_level": "SERIALIZABLE"})
    assert "isolation_level was set to SERIALIZABLE" in str(refused.value)
    assert "reset" in refused.value.fix
    sessions.end()


@pytest.mark.parametrize("driver", ["psycopg", "psycopg2"])
def test_asking_for_the_isolation_level_that_the_transaction_has_is_granted(
    copy: RealCopy, sessions_of: Callable[..., Any], driver: str
) -> None:
    engine = create_engine(copy.address.url(driver))
    sessions = sessions_of(lambda: Session(engine))
    sessions.begin(joined=True)
    sessions.session().add(User(email="test"))
    sessions.session().commit()
    with Session(engine) as session:
        session.connection(execution_options={"isolation_level": "READ COMMITTED"})
        session.add(User(email="app"))
        session.commit()
    assert emails(sessions.session()) == {"test", "app"}
    assert sessions.end() == ()
    engine.dispose()


@pytest.mark.parametrize("driver", ["psycopg", "psycopg2"])
def test_where_the_engine_is_in_another_level_that_one_is_granted_and_read_committed_refused(
    copy: RealCopy, sessions_of: Callable[..., Any], driver: str
) -> None:
    engine = create_engine(copy.address.url(driver), isolation_level="SERIALIZABLE")
    sessions = sessions_of(lambda: Session(engine))
    sessions.begin(joined=True)
    assert sessions.session().scalar(text("SHOW transaction_isolation")) == "serializable"
    with Session(engine) as session:
        session.connection(execution_options={"isolation_level": "SERIALIZABLE"})
        session.add(User(email="app"))
        session.commit()
    with engine.connect() as connection, pytest.raises(IsolationError, match="was set to READ COMMITTED "):
        connection.execution_options(isolation_level="READ COMMITTED")
    assert emails(sessions.session()) == {"app"}
    assert sessions.end() == ()
    engine.dispose()


@pytest.mark.parametrize("driver", ["asyncpg", "psycopg"])
def test_asking_an_async_engine_for_a_level_is_granted_or_refused_as_for_a_sync_one(
    copy: RealCopy, sessions_of: Callable[..., Any], driver: str
) -> None:
    async def check() -> None:
        engine = create_async_engine(copy.address.url(driver))

        async def get_db() -> AsyncIterator[AsyncSession]:
            async with AsyncSession(engine) as session:
                yield session

        sessions = sessions_of(get_db)
        sessions.begin(joined=True)
        test = sessions.session()
        test.add(User(email="test"))
        await test.commit()
        async with AsyncSession(engine) as session:
            await session.connection(execution_options={"isolation_level": "READ COMMITTED"})
            session.add(User(email="app"))
            await session.commit()
        for level in ("SERIALIZABLE", "AUTOCOMMIT"):
            async with engine.connect() as connection:
                with pytest.raises(IsolationError, match="was set to"):
                    await connection.execution_options(isolation_level=level)
        for option in ("postgresql_readonly", "postgresql_deferrable"):
            async with engine.connect() as connection:
                with pytest.raises(IsolationError, match="was set to True"):
                    await connection.execution_options(**{option: True})
        assert set(await test.scalars(select(User.email))) == {"test", "app"}
        assert sessions.end() == ()
        await engine.dispose()

    asyncio.run(check())


@pytest.mark.parametrize(
    ("statement", "words"),
    [
        ("SET TRANSACTION ISOLATION LEVEL SERIALIZABLE", "the isolation level SERIALIZABLE"),
        ("SET SESSION CHARACTERISTICS AS TRANSACTION ISOLATION LEVEL REPEATABLE READ", "REPEATABLE READ"),
        ("SET SESSION CHARACTERISTICS AS TRANSACTION READ ONLY", "session in which all transactions are READ ONLY"),
        ("SET default_transaction_read_only = on", "session in which all transactions are READ ONLY"),
        ("set session default_transaction_read_only to 'true'", "session in which all transactions are READ ONLY"),
        ("LISTEN news", "LISTEN, which hears nothing"),
        ("PREPARE TRANSACTION 'x'", "two phases"),
    ],
)
def test_a_statement_that_the_transaction_of_the_test_can_not_hold_is_refused_and_told(
    sessions: Any, app: Any, statement: str, words: str
) -> None:
    with app() as session:
        with pytest.raises(IsolationError, match=words) as refused:
            session.execute(text(statement))
        assert "reset" in refused.value.fix
        session.execute(text("SET TRANSACTION ISOLATION LEVEL READ COMMITTED"))
        session.add(User(email="app"))
        session.commit()
    assert emails(sessions.session()) == {"app"}
    (complaint,) = sessions.end()
    assert words in complaint


def test_an_engine_in_autocommit_is_refused(copy: RealCopy, sessions_of: Callable[..., Any]) -> None:
    engine = create_engine(copy.address.url("psycopg"), isolation_level="AUTOCOMMIT")
    sessions = sessions_of(lambda: Session(engine))
    sessions.begin(joined=True)
    with pytest.raises(IsolationError, match="outer transaction"):
        emails(sessions.session())
    sessions.end()
    engine.dispose()


def test_two_phases_are_refused(sessions_of: Callable[..., Any]) -> None:
    elsewhere = create_engine("postgresql+psycopg://nowhere/none")

    def get_db() -> Session:
        return Session(elsewhere, twophase=True)

    sessions = sessions_of(get_db)
    sessions.begin(joined=True)
    with pytest.raises(IsolationError, match="two phases"):
        sessions.dependency()()
    sessions.end()


def test_engines_of_single_mappers_join(engine: Any, sessions_of: Callable[..., Any], copy: RealCopy) -> None:
    def get_db() -> Session:
        return Session(binds={User: engine})

    sessions = sessions_of(get_db)
    sessions.begin(joined=True)
    with sessions.dependency()() as session:
        session.add(User(email="a"))
        session.commit()
    assert emails(sessions.session()) == {"a"}
    assert sessions.end() == ()
    assert copy.emails() == []


def test_a_session_that_picks_its_engine_by_code_is_refused(engine: Any, sessions_of: Callable[..., Any]) -> None:
    class Routing(Session):
        def get_bind(self, *args: Any, **kwargs: Any) -> Any:
            return engine

    sessions = sessions_of(Routing)
    sessions.begin(joined=True)
    with pytest.raises(IsolationError, match="get_bind"):
        sessions.dependency()()
    sessions.end()


def test_who_asks_for_a_connection_after_its_test_is_told_so(sessions: Any, engine: Any) -> None:
    of_the_test = engine.pool
    sessions.end()
    with pytest.raises(IsolationError, match="over"):
        of_the_test.connect()


def test_queries_of_the_test_are_not_counted_as_the_apps(sessions: Any, engine: Any, app: Any) -> None:
    seen: list[str] = []
    event.listen(engine, "before_cursor_execute", lambda conn, cursor, statement, *rest: seen.append(statement))
    emails(sessions.session())
    assert seen == []
    with app() as session:
        emails(session)
    assert len(seen) == 1
    sessions.end()


def test_the_session_is_one_object_and_as_new_for_each_test(sessions: Any) -> None:
    first = sessions.session()
    first.add(User(email="left behind"))
    first.info["left"] = "behind"
    event.listen(first, "before_flush", lambda *_: pytest.fail("a listener of an earlier test"))
    sessions.end()
    for joined in (True, False, True):
        sessions.begin(joined=joined)
        assert sessions.session() is first
        assert (list(first.new), first.info) == ([], {})
        first.add(User(email="a"))
        first.flush()
        assert emails(first) == {"a"}
        sessions.end()


def test_between_tests_the_session_is_not_joined_and_its_objects_stay_until_their_owner_is_gone(
    sessions: Any, copy: RealCopy
) -> None:
    db = sessions.session()
    sessions.end()
    wide, never = User(email="wide"), User(email="never committed")
    db.add(wide)
    db.commit()
    db.add(never)
    db.flush()
    sessions.settle("module")
    assert copy.emails() == ["wide"]
    for _ in range(3):
        sessions.begin(joined=True)
        assert wide in db
        assert never not in db
        assert (wide.id, wide.email) == (1, "wide")
        wide.email = "changed"
        db.commit()
        assert emails(db) == {"changed"}
        db.delete(wide)
        db.commit()
        assert sessions.end() == ()
        assert copy.emails() == ["wide"]
    assert wide.email == "wide"
    sessions.leave("module")
    assert wide not in db


@pytest.mark.parametrize("first", ["given up", "rolled back"])
def test_an_undo_that_is_cancelled_in_the_middle_is_left_to_who_comes_next(
    engine: Any, monkeypatch: pytest.MonkeyPatch, first: str
) -> None:
    """A statement of who was cancelled may still have its turn, and begin with undoing what is given up."""
    shared = Outer(engine.raw_connection, Threads())
    real, app, test = shared.real(), object(), object()

    def send(owner: object, statement: str) -> Any:
        return shared.execute(owner, statement, lambda: real.cursor().execute(statement), by_test=owner is test)

    def cancelled(connection: Any, statement: str) -> None:
        raise asyncio.CancelledError

    send(app, "INSERT INTO users (email) VALUES ('of the app')")
    with monkeypatch.context() as patch:
        patch.setattr(outer, "_run", cancelled)
        if first == "given up":
            shared.give_up(app)
        with pytest.raises(asyncio.CancelledError):
            send(app, "SELECT 1") if first == "given up" else shared.rollback(app)
    shared.give_up(app)
    assert send(test, "SELECT email FROM users").fetchall() == []
    assert shared.finish() == ()


def test_only_the_own_connection_is_held(sessions: Any) -> None:
    pid = sessions.session().scalar(text("SELECT pg_backend_pid()"))
    assert list(sessions.backends()) == [pid]
    sessions.end()
    assert list(sessions.backends()) == [pid]
