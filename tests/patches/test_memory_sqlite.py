"""In-memory SQLite fixtures, as the most copied recipe writes them, work; without the patch they do not."""

from __future__ import annotations

import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from fastapi import Depends, FastAPI
from fastapi.testclient import TestClient
from sqlalchemy import create_engine, inspect, text
from sqlalchemy.exc import OperationalError
from sqlalchemy.ext.asyncio import create_async_engine
from sqlalchemy.orm import DeclarativeBase, Mapped, Session, mapped_column
from sqlalchemy.pool import NullPool, QueuePool, SingletonThreadPool, StaticPool

from seatrial.patches.engines.memory_sqlite import memory_sqlite
from seatrial.patches.protocol import Patch


@pytest.fixture
def patch() -> Iterator[Patch]:
    patch = memory_sqlite()
    patch.apply()
    yield patch
    patch.undo()


class Base(DeclarativeBase):
    pass


class User(Base):
    __tablename__ = "users"
    id: Mapped[int] = mapped_column(primary_key=True)
    email: Mapped[str]


def get_db() -> Iterator[Session]:
    raise AssertionError("the recipe replaces it")
    yield


app = FastAPI()


@app.post("/users", status_code=201)
def create_user(email: str, db: Session = Depends(get_db)) -> dict[str, Any]:  # noqa: B008, FAST002  # the recipe's spelling
    user = User(email=email)
    db.add(user)
    db.commit()
    return {"id": user.id}


@app.get("/users/{number}")
def read_user(number: int, db: Session = Depends(get_db)) -> dict[str, Any]:  # noqa: B008, FAST002  # the recipe's spelling
    user = db.get_one(User, number)
    return {"email": user.email}


def recipe() -> None:
    """The fixtures and the test of the recipe, in one piece: one session, shared with the app's threads."""
    engine = create_engine("sqlite:///:memory:")
    Base.metadata.create_all(engine)
    session = Session(engine)
    app.dependency_overrides[get_db] = lambda: session
    try:
        client = TestClient(app)
        response = client.post("/users", params={"email": "test@example.com"})
        assert response.status_code == 201
        number = response.json()["id"]
        user = session.query(User).filter_by(id=number).first()
        assert user is not None
        assert user.email == "test@example.com"
        assert client.get(f"/users/{number}").json() == {"email": "test@example.com"}
    finally:
        app.dependency_overrides.clear()
        session.rollback()
        session.close()
        engine.dispose()


def test_the_recipe_works(patch: Patch) -> None:
    recipe()


@pytest.mark.filterwarnings("ignore")  # the other thread's connection is SQLAlchemy's to clean up, and it can't
def test_without_the_patch_the_recipe_fails() -> None:
    with pytest.raises(OperationalError, match="no such table"):
        recipe()


@pytest.mark.parametrize(
    "url",
    ["sqlite://", "sqlite:///:memory:", "sqlite:///file:mine?mode=memory&uri=true", "sqlite:///file::memory:?uri=true"],
)
def test_every_thread_sees_the_database_of_its_engine(patch: Patch, url: str) -> None:
    engine = create_engine(url)
    with engine.begin() as connection:
        connection.execute(text("CREATE TABLE mine (id int)"))
    assert in_a_thread(lambda: inspect(engine).get_table_names()) == ["mine"]
    engine.dispose()


def test_each_engine_has_a_database_of_its_own(patch: Patch) -> None:
    first, second = create_engine("sqlite://"), create_engine("sqlite://")
    with first.begin() as connection:
        connection.execute(text("CREATE TABLE mine (id int)"))
    assert inspect(second).get_table_names() == []
    first.dispose()
    second.dispose()


def test_an_engine_that_names_its_pool_is_as_it_was(patch: Patch) -> None:
    assert type(create_engine("sqlite://", poolclass=NullPool).pool) is NullPool
    chosen = create_engine("sqlite://", poolclass=SingletonThreadPool)
    with chosen.connect() as connection:
        driver: Any = connection.connection.driver_connection
        with pytest.raises(Exception, match="thread"):
            in_a_thread(lambda: driver.execute("SELECT 1"))
    chosen.dispose()


def test_files_and_named_databases_are_as_they_were(patch: Patch, tmp_path: Any) -> None:
    assert type(create_engine(f"sqlite:///{tmp_path / 'a.db'}").pool) is QueuePool
    assert type(create_engine("sqlite:///file:/name?vfs=memdb&uri=true").pool) is QueuePool


def test_async_engines_share_one_connection_as_they_do_without_us(patch: Patch) -> None:
    assert isinstance(create_async_engine("sqlite+aiosqlite://").sync_engine.pool, StaticPool)
    assert isinstance(
        create_async_engine("sqlite+aiosqlite:///file:a?mode=memory&uri=true").sync_engine.pool, StaticPool
    )


def test_undone_it_is_gone(patch: Patch) -> None:
    patch.apply()
    patch.undo()
    assert type(create_engine("sqlite://").pool) is SingletonThreadPool
    patch.undo()
    patch.apply()
    assert type(create_engine("sqlite://").pool) is StaticPool


def test_it_holds_until_the_first_of_two_is_undone_as_well(patch: Patch) -> None:
    second = memory_sqlite()
    second.apply()
    second.undo()
    assert type(create_engine("sqlite://").pool) is StaticPool
    patch.undo()
    assert type(create_engine("sqlite://").pool) is SingletonThreadPool


def test_it_waits_for_sqlalchemy_to_be_imported() -> None:
    """Applying it costs no import, and a `create_engine` imported later, or before, is patched all the same."""
    script = """
        import sys
        from seatrial.patches.engines.memory_sqlite import memory_sqlite
        patch = memory_sqlite()
        patch.apply()
        assert not any(name.startswith("sqlalchemy") for name in sys.modules)
        from sqlalchemy import create_engine
        assert type(create_engine("sqlite://").pool).__name__ == "StaticPool"
        patch.undo()
        assert type(create_engine("sqlite://").pool).__name__ == "SingletonThreadPool"
    """
    run_script(script)


def run_script(script: str) -> None:
    import textwrap

    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", textwrap.dedent(script)], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr


def in_a_thread(work: Callable[[], Any]) -> Any:
    results: list[Any] = []

    def run() -> None:
        try:
            results.append(work())
        except BaseException as error:  # noqa: BLE001  # it is raised again in the test
            results.append(error)

    thread = threading.Thread(target=run)
    thread.start()
    thread.join()
    if isinstance(results[0], BaseException):
        raise results[0]
    return results[0]
