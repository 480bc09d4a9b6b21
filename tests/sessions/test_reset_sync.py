"""Sync sessions where the app really commits: its own connections, and one of the test's."""

from __future__ import annotations

import gc
from collections.abc import Callable, Iterator
from contextlib import suppress
from typing import Any

import psycopg
import pytest
from sqlalchemy import create_engine, event, select, text
from sqlalchemy.orm import Session, scoped_session, sessionmaker
from sqlmodel import Session as SQLModelSession

from seatrial.errors import IsolationError

from .conftest import RealCopy, User


@pytest.fixture(params=["psycopg", "psycopg2"])
def engine(request: Any, copy: RealCopy) -> Iterator[Any]:
    engine = create_engine(copy.address.url(request.param))
    yield engine
    engine.dispose()


def emails(session: Any) -> set[str]:
    return set(session.scalars(select(User.email)))


def test_an_app_that_is_here_already_is_left_alone(engine: Any, sessions_of: Callable[..., Any]) -> None:
    def get_db() -> Iterator[Session]:
        with Session(engine) as session:
            yield session

    sessions = sessions_of(get_db)
    sessions.begin(joined=False)
    assert sessions.dependency() is None


def test_an_app_that_leads_elsewhere_is_sent_here(sessions_of: Callable[..., Any], copy: RealCopy) -> None:
    elsewhere = create_engine("sqlite://")

    def get_db() -> Iterator[Session]:
        with Session(elsewhere) as session:
            yield session

    sessions = sessions_of(get_db)
    sessions.begin(joined=False)
    for session in sessions.dependency()():
        session.add(User(email="a"))
        session.commit()
    assert copy.emails() == ["a"]
    elsewhere.dispose()


@pytest.mark.parametrize("joined", [False, True], ids=["reset", "rollback"])
@pytest.mark.parametrize("leads", ["here", "elsewhere"])
def test_an_app_whose_dependency_gives_a_factory_gets_one_that_leads_here(
    engine: Any, sessions_of: Callable[..., Any], copy: RealCopy, leads: str, joined: bool
) -> None:
    elsewhere = create_engine("sqlite://")
    factory = sessionmaker(engine if leads == "here" else elsewhere, class_=SQLModelSession, autoflush=False)
    sessions = sessions_of(lambda: factory)
    sessions.begin(joined=joined)
    replacement = sessions.dependency()
    ours = factory if replacement is None else replacement()
    with ours.begin() as session:
        assert isinstance(session, SQLModelSession)
        assert not session.autoflush
        session.add(User(email="a"))
    db = sessions.session()
    assert (type(db).__mro__[1], db.autoflush) == (SQLModelSession, False)
    assert emails(db) == {"a"}
    sessions.end()
    assert copy.emails() == ([] if joined else ["a"])
    assert factory.kw["bind"] is (engine if leads == "here" else elsewhere), "the app's own is as it was"
    elsewhere.dispose()


def test_a_request_that_forgets_to_commit_shows_it(engine: Any, sessions_of: Callable[..., Any]) -> None:
    sessions = sessions_of(lambda: Session(engine))
    sessions.begin(joined=False)
    with Session(engine) as app:
        app.add(User(email="forgotten"))
        app.flush()
        assert emails(sessions.session()) == set()


def test_sessions_that_route_and_lead_elsewhere_are_refused(sessions_of: Callable[..., Any]) -> None:
    elsewhere = create_engine("postgresql+psycopg://nowhere/none")
    sessions = sessions_of(lambda: Session(binds={User: elsewhere}))
    sessions.begin(joined=False)
    with pytest.raises(IsolationError, match="several engines"):
        sessions.dependency()()


def test_the_session_has_the_apps_class_and_options(engine: Any, sessions_of: Callable[..., Any]) -> None:
    class TeamSession(Session):
        pass

    make = sessionmaker(engine, class_=TeamSession, expire_on_commit=False, autoflush=False)
    sessions = sessions_of(make)
    sessions.begin(joined=False)
    db = sessions.session()
    assert isinstance(db, TeamSession)
    assert (db.expire_on_commit, db.autoflush) == (False, False)
    assert db.bind.dialect.driver == engine.dialect.driver


def test_a_class_with_an_init_of_its_own_gives_way_to_the_librarys(
    engine: Any, sessions_of: Callable[..., Any]
) -> None:
    class Tenant(Session):
        def __init__(self, tenant: str) -> None:
            super().__init__(engine)

    sessions = sessions_of(lambda: Tenant("a"))
    sessions.begin(joined=False)
    assert emails(sessions.session()) == set()


def test_scoped_sessions_are_seen_through(engine: Any, sessions_of: Callable[..., Any]) -> None:
    registry = scoped_session(sessionmaker(engine))
    sessions = sessions_of(lambda: registry)
    sessions.begin(joined=True)
    registry.add(User(email="scoped"))
    registry.commit()
    assert emails(sessions.session()) == {"scoped"}
    registry.remove()
    assert sessions.end() == ()


def test_the_connection_is_kept_and_as_good_as_new(engine: Any, sessions_of: Callable[..., Any]) -> None:
    sessions = sessions_of(lambda: Session(engine))
    pids = []
    for _ in range(3):
        sessions.begin(joined=False)
        db = sessions.session()
        pids.append(db.scalar(text("SELECT pg_backend_pid()")))
        assert db.scalar(text("SHOW search_path")) == '"$user", public'
        assert db.scalar(text("SELECT count(*) FROM pg_locks WHERE locktype = 'advisory'")) == 0
        assert db.scalar(text("SELECT to_regclass('pg_temp.mine')")) is None
        db.execute(text("SET search_path = nowhere"))
        db.execute(text("SET application_name = 'it''s \\mine'"))
        db.execute(text("SELECT pg_advisory_lock(1)"))
        db.execute(text("CREATE TEMP TABLE mine (id int)"))
        db.execute(text("LISTEN mine"))
        db.commit()
        assert sessions.end() == ()
    assert len(set(pids)) == 1


def test_what_the_apps_pool_sets_on_a_connection_holds_in_each_test(
    engine: Any, sessions_of: Callable[..., Any]
) -> None:
    @event.listens_for(engine, "connect")
    def settings(connection: Any, record: Any) -> None:
        cursor = connection.cursor()
        cursor.execute("SET application_name = 'the ''app'' \\ of ours'")
        cursor.execute("SET ROLE pg_monitor")
        connection.commit()

    sessions = sessions_of(lambda: Session(engine))
    for _ in range(2):
        sessions.begin(joined=False)
        db = sessions.session()
        assert db.scalar(text("SHOW application_name")) == "the 'app' \\ of ours"
        assert db.scalar(text("SELECT current_user")) == "pg_monitor"
        db.execute(text("RESET ROLE"))
        db.execute(text("RESET ALL"))
        db.commit()
        sessions.end()


def test_nothing_is_left_in_a_transaction(engine: Any, sessions_of: Callable[..., Any], copy: RealCopy) -> None:
    sessions = sessions_of(lambda: Session(engine))
    sessions.begin(joined=False)
    db = sessions.session()
    db.add(User(email="pending"))
    db.flush()
    pid = db.scalar(text("SELECT pg_backend_pid()"))
    sessions.end()
    with copy.connect() as other:
        (state,) = other.execute("SELECT state FROM pg_stat_activity WHERE pid = %s", (pid,)).fetchone() or ()
    assert state == "idle"
    assert copy.emails() == []


# The collection that it asks for meets what other tests of this process have left as well.
@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
def test_a_connection_that_the_test_keeps_open_never_comes_back(engine: Any, sessions_of: Callable[..., Any]) -> None:
    sessions = sessions_of(lambda: Session(engine))
    sessions.begin(joined=False)
    leaked = sessions.session().bind.connect()
    pid = leaked.scalar(text("SELECT pg_backend_pid()"))
    sessions.end()
    sessions.begin(joined=False)
    assert sessions.session().scalar(text("SELECT pg_backend_pid()")) != pid
    leaked.close()
    del leaked
    gc.collect()
    sessions.end()
    sessions.begin(joined=False)
    with sessions.session().bind.connect() as one, sessions.session().bind.connect() as other:
        assert pid not in {each.scalar(text("SELECT pg_backend_pid()")) for each in (one, other)}


def test_what_a_test_hangs_on_its_session_is_not_there_in_the_next(
    engine: Any, sessions_of: Callable[..., Any]
) -> None:
    sessions, heard = sessions_of(lambda: Session(engine)), []
    sessions.begin(joined=False)
    db = sessions.session()
    db.info["a"] = db.note = 1
    event.listen(db, "after_begin", lambda *_: heard.append(1))
    db.execute(text("SELECT 1"))
    sessions.end()
    sessions.begin(joined=False)
    assert sessions.session() is db
    db.execute(text("SELECT 1"))
    assert (db.info, hasattr(db, "note"), heard) == ({}, False, [1])


def test_after_a_swap_of_the_database_the_next_test_works(
    engine: Any, sessions_of: Callable[..., Any], copy: RealCopy
) -> None:
    for joined in (False, True, False):
        sessions = sessions_of(lambda: Session(engine))
        for _ in range(2):
            sessions.begin(joined=joined)
            assert emails(sessions.session()) == set()
            sessions.end()
            copy.replace()
            sessions.invalidate()


def test_a_psycopg_connection_is_the_value_where_nothing_speaks_of_sqlalchemy(
    sessions_of: Callable[..., Any], copy: RealCopy
) -> None:
    sessions = sessions_of()
    assert not sessions.joinable
    sessions.begin(joined=False)
    db = sessions.session()
    assert isinstance(db, psycopg.Connection)
    assert list(sessions.backends()) == [db.info.backend_pid]
    db.execute("INSERT INTO users (email) VALUES ('uncommitted')")
    sessions.end()
    assert copy.emails() == []


def test_a_plain_connection_is_one_object_and_as_new_for_each_test(
    copy: RealCopy, sessions_of: Callable[..., Any]
) -> None:
    sessions = sessions_of()
    db = sessions.session()
    first = db.info.backend_pid
    for spoil in (lambda: db.execute("SELECT broken"), db.close, lambda: None, copy.replace, lambda: None):
        with suppress(psycopg.Error):
            spoil()
        if spoil == copy.replace:
            sessions.invalidate()
        sessions.end()
        sessions.begin(joined=False)
        assert sessions.session() is db
        assert db.execute("SELECT email, pg_backend_pid() FROM users").fetchall() == []
        assert (db.autocommit, db.row_factory) == (False, psycopg.rows.tuple_row)
        assert db.execute("SELECT to_regclass('pg_temp.mine')").fetchone() == (None,)
        db.execute("CREATE TEMP TABLE mine ()")
        db.execute("SELECT %s::int", [1], prepare=True)
        db.commit()
        db.autocommit = True
        db.row_factory = psycopg.rows.dict_row
        db.execute("SET search_path = nowhere")
    assert db.info.backend_pid != first


def test_how_a_wider_fixture_lets_a_plain_connection_behave_holds_for_its_tests(
    copy: RealCopy, sessions_of: Callable[..., Any]
) -> None:
    sessions = sessions_of()
    db = sessions.session()
    db.row_factory = psycopg.rows.dict_row
    db.execute("INSERT INTO users (email) VALUES ('never committed')")
    sessions.settle("module")
    for _ in range(2):
        sessions.begin(joined=False)
        assert db.execute("SELECT 1 AS one").fetchall() == [{"one": 1}]
        db.row_factory = psycopg.rows.tuple_row
        sessions.end()
    sessions.leave("module")
    assert db.execute("SELECT 1 AS one").fetchall() == [(1,)]
    assert copy.emails() == []


def test_without_a_dependency_the_session_is_sqlalchemys(sessions_of: Callable[..., Any]) -> None:
    sessions = sessions_of(uses_sqlalchemy=True)
    sessions.begin(joined=False)
    assert type(sessions.session()) is Session
    assert sessions.dependency() is None
    assert emails(sessions.session()) == set()
