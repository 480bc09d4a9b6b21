"""What projects do today, each as fast as it can be written; on a server with Seatrial's settings (no fsync)."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from typing import Any

from . import workloads
from .peer import Peer
from .scene import PLAIN, Scene

STRATEGIES = ("file_copy", "wal_log")
AGAIN = ", seed rows loaded again"


@contextmanager
def peers(scene: Scene) -> Iterator[list[Peer]]:
    """All of them. What empties tables takes seeded rows along, and has to load them again."""
    with ExitStack() as stack:
        found = [_bare(scene, stack), _recipe(scene, stack)]
        found += [_delete(scene, stack), _truncate(scene, stack), _create_all(scene, stack)]
        found += [_template(scene, stack, strategy) for strategy in STRATEGIES]
        yield found


def _engine(scene: Scene, stack: ExitStack, database: str) -> Any:
    from sqlalchemy import create_engine

    engine = create_engine(scene.address(database).url("psycopg"), pool_size=1, max_overflow=0)
    stack.callback(engine.dispose)
    return engine


def _by_app(engine: Any) -> Callable[[], None]:
    def work() -> None:
        with engine.begin() as connection:
            workloads.six(connection.exec_driver_sql)

    return work


def _bare(scene: Scene, stack: ExitStack) -> Peer:
    connection = stack.enter_context(scene.connect(scene.own("bare")))
    return Peer(
        name="bare BEGIN, ROLLBACK",
        does="psycopg, one connection; the test must never commit",
        before=lambda: connection.execute("BEGIN"),
        work=lambda: workloads.six(connection.execute),
        after=lambda: connection.execute("ROLLBACK"),
        tidy=lambda: connection.execute("vacuum"),
    )


def _recipe(scene: Scene, stack: ExitStack) -> Peer:
    from sqlalchemy import text
    from sqlalchemy.orm import Session

    engine = _engine(scene, stack, scene.own("recipe"))
    vacuum = stack.enter_context(scene.connect(engine.url.database))
    held: list[Any] = []

    def before() -> None:
        connection = engine.connect()
        outer = connection.begin()
        held[:] = Session(bind=connection, join_transaction_mode="create_savepoint"), outer, connection

    def work() -> None:
        session = held[0]
        workloads.six(lambda statement: session.execute(text(statement)))
        session.commit()

    def after() -> None:
        session, outer, connection = held
        session.close()
        outer.rollback()
        connection.close()

    return Peer(
        name="SQLAlchemy recipe",
        does="outer transaction, Session(join_transaction_mode='create_savepoint')",
        before=before,
        work=work,
        after=after,
        tidy=lambda: vacuum.execute("vacuum"),
    )


def _emptying(scene: Scene, stack: ExitStack, name: str, does: str, script: str, tests: int) -> Peer:
    database = scene.own(name.split(maxsplit=1)[0].lower())
    connection = stack.enter_context(scene.connect(database))
    seed = _seed(scene)
    return Peer(
        name=name + AGAIN * bool(seed),
        does=does,
        work=_by_app(_engine(scene, stack, database)),
        after=lambda: connection.execute(f"{script}; {seed}"),
        tidy=lambda: connection.execute("vacuum"),
        tests=1 if seed else tests,
        rare=bool(seed),
    )


def _seed(scene: Scene) -> str:
    """What loads the seeded rows, in the fastest way that SQL has."""
    return workloads.SEED.format(rows=scene.rows) if scene.rows else ""


def _delete(scene: Scene, stack: ExitStack) -> Peer:
    script = "; ".join(f"delete from {table.name}" for table in reversed(scene.metadata.sorted_tables))
    does = "one script of DELETEs on a connection that is kept; ids run on"
    return _emptying(scene, stack, "DELETE of all tables", does, script, 10)


def _truncate(scene: Scene, stack: ExitStack) -> Peer:
    names = ", ".join(table.name for table in scene.metadata.sorted_tables)
    does = "one TRUNCATE ... RESTART IDENTITY on a connection that is kept"
    return _emptying(scene, stack, "TRUNCATE of all tables", does, f"truncate {names} restart identity", 2)


def _create_all(scene: Scene, stack: ExitStack) -> Peer:
    database = scene.own("create_all")
    engine = _engine(scene, stack, database)
    vacuum = stack.enter_context(scene.connect(database))
    scene.metadata.drop_all(engine)
    seed = _seed(scene)

    def before() -> None:
        scene.metadata.create_all(engine)
        vacuum.execute(seed)

    return Peer(
        name="create_all, drop_all" + AGAIN * bool(seed),
        does="SQLAlchemy's, around each test",
        before=before if seed else lambda: scene.metadata.create_all(engine),
        work=_by_app(engine),
        after=lambda: scene.metadata.drop_all(engine),
        tidy=lambda: vacuum.execute("vacuum"),
        tests=1,
        rare=bool(seed),
    )


def _template(scene: Scene, stack: ExitStack, strategy: str) -> Peer:
    database = scene.own(strategy)
    admin = stack.enter_context(scene.connect("postgres"))
    engine = _engine(scene, stack, database)

    def after() -> None:
        admin.execute(f"drop database {database} with (force)")
        admin.execute(f"create database {database} template {PLAIN} strategy {strategy}")

    def reconnect() -> None:
        engine.dispose()
        with engine.connect():
            pass

    return Peer(
        name=f"CREATE DATABASE ... TEMPLATE, {strategy}",
        does="DROP DATABASE WITH (FORCE), CREATE DATABASE; the app's pool is thrown away",
        work=_by_app(engine),
        after=after,
        reconnect=reconnect,
        tests=1,
    )
