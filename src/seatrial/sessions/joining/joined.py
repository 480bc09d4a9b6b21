"""A DBAPI connection whose transactions are savepoints of a test's outer transaction, and engines made of them."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager, suppress
from types import MappingProxyType
from typing import Any, TypeVar

from seatrial.errors import IsolationError
from seatrial.resources.first_state import OWN
from seatrial.sessions.connections.engines import twin
from seatrial.sessions.joining.cursors import JoinedCursor, Stream, at_home
from seatrial.sessions.joining.outer import Outer
from seatrial.sessions.joining.statements import control

SETTINGS = frozenset({"autocommit", "isolation_level", "read_only", "readonly", "deferrable"})
"""Attributes by which drivers change what a transaction is: refused, for they would change the outer one."""

NUMBERS = MappingProxyType({"0": "AUTOCOMMIT", "1": "READ COMMITTED", "2": "REPEATABLE READ", "3": "SERIALIZABLE"})
"""What psycopg2 calls them."""

LEVELS = MappingProxyType({"postgresql": "READ COMMITTED", "mysql": "REPEATABLE READ", "sqlite": "SERIALIZABLE"})
"""The level of each database where nobody asks for another."""

T = TypeVar("T")


class Joined:
    """What SQLAlchemy takes for a connection of its own: PEP 249, on top of an `Outer`."""

    __slots__ = ("_by_test", "_level", "_outer", "_real", "_streams")

    def __init__(self, outer: Outer, *, by_test: bool, level: str = "") -> None:
        object.__setattr__(self, "_outer", outer)
        object.__setattr__(self, "_by_test", by_test)
        object.__setattr__(self, "_level", level)
        object.__setattr__(self, "_real", outer.real().dbapi_connection)
        object.__setattr__(self, "_streams", [])

    def cursor(self, *args: Any, **kwargs: Any) -> JoinedCursor:
        """Open a cursor whose statements wait for their turn."""
        cursor = self.at_home(lambda: self._real.cursor(*args, **kwargs))
        name = args[0] if args else kwargs.get("name")
        if not isinstance(name, str) and not kwargs.get("server_side"):
            return JoinedCursor(self, cursor)
        stream = Stream(self, cursor)
        self._streams.append(stream)
        return stream

    def execute(self, statement: Any, *args: Any, **kwargs: Any) -> Any:
        """Send one statement in its turn."""
        cursor = self.cursor()
        cursor.execute(statement, *args, **kwargs)
        return cursor

    def commit(self) -> None:
        """Release the savepoint."""
        self._end_streams(held=False)
        self._outer.commit(self)

    def rollback(self) -> None:
        """Go back to the savepoint."""
        self._end_streams(held=True)
        self._outer.rollback(self)

    def close(self) -> None:
        """Go back to the savepoint; the real connection stays open."""
        self.rollback()

    def terminate(self) -> None:
        """SQLAlchemy gives a connection up where it can't wait, as in a cancelled task."""
        for stream in self._streams:
            stream.lose()
        self._outer.give_up(self)

    def run(self, statement: Any, call: Callable[[], Any]) -> Any:
        """Send `statement` by `call`, in this connection's transaction; refuse what would change that of the test."""
        found = control(statement) if isinstance(statement, str) else None
        if found is not None and found.reason:
            self._outer.complain(found.refusal)  # the app may take the error for one of the database's
            raise IsolationError(
                found.refusal,
                cause=f"the app or the test has sent: {' '.join(statement.split()[:8])}",
                fix='mark the test with @pytest.mark.seatrial(NAME="reset")',
            )
        return self._outer.execute(self, statement, call, by_test=self._by_test)

    def _end_streams(self, *, held: bool) -> None:
        """Close what ends with the transaction, as long as it is there: afterwards a driver's CLOSE would fail."""
        ending = [stream for stream in self._streams if held or not stream.held]
        if not ending:
            return
        object.__setattr__(self, "_streams", [stream for stream in self._streams if stream not in ending])
        with suppress(Exception):  # what hinders it hinders the end of the transaction, too
            self._outer.execute(self, "CLOSE", lambda: [stream.end() for stream in ending], by_test=self._by_test)

    def at_home(self, call: Callable[[], T]) -> T:
        """Make a call that needs no turn where the real connection lives."""
        made: T = self._outer.at_home(call)
        return made

    def set_isolation_level(self, level: Any) -> None:
        """As for the attribute: SQLAlchemy's asyncpg would roll the outer transaction back first."""
        self.isolation_level = level

    def set_autocommit(self, value: Any) -> None:
        """As for the attribute."""
        self.autocommit = value

    def set_read_only(self, value: Any) -> None:
        """As for the attribute."""
        self.read_only = value

    def set_deferrable(self, value: Any) -> None:
        """As for the attribute."""
        self.deferrable = value

    def __getattr__(self, name: str) -> Any:
        return at_home(getattr(self._real, name), self)

    def __setattr__(self, name: str, value: Any) -> None:
        if name in SETTINGS:
            level = name == "isolation_level"
            words = _words(value) if level else value
            if words == self._level if level else not value:
                return  # who sets one of them sets others with it, to what they are
            raise IsolationError(
                f"{name} was set to {words} on a connection of a rollback test",
                cause="all of the test is one transaction, whose isolation level and mode can't change",
                fix='mark the test with @pytest.mark.seatrial(NAME="reset")',
            )
        setattr(self._real, name, value)


def joined_engine(engine: Any, outer: Callable[[], Outer], *, by_test: bool) -> Any:
    """An engine with the dialect of `engine`, all of whose connections join the outer transaction."""
    from sqlalchemy.engine import Engine

    return Engine(
        joined_pool(engine, outer, by_test=by_test),
        engine.dialect,
        engine.url,
        hide_parameters=engine.hide_parameters,
        execution_options={**engine.get_execution_options(), OWN: True},
    )


def joined_pool(engine: Any, outer: Callable[[], Outer], *, by_test: bool) -> Any:
    """A pool of joined connections. `outer` is asked at each checkout, so that it can refuse."""
    from sqlalchemy import event
    from sqlalchemy.pool import NullPool

    level = level_of(engine.dialect) or LEVELS.get(engine.dialect.name, "")

    def connect() -> Any:
        return Joined(outer(), by_test=by_test, level=level)

    pool = NullPool(connect, dialect=engine.dialect)
    event.listen(pool, "connect", lambda _, record: record.info.setdefault(OWN, "joined"))
    return pool


def _words(level: Any) -> str:
    """An isolation level in the words of SQL, however a driver calls it."""
    words = str(getattr(level, "name", level)).upper().replace("_", " ")
    return NUMBERS.get(words, words)


def level_of(dialect: Any) -> str:
    """The isolation level of all connections of an engine, in the words of SQL; empty where it is the server's."""
    level = _words(getattr(dialect, "_on_connect_isolation_level", None) or "")  # SQLAlchemy has no public way to it
    return "" if level == LEVELS.get(dialect.name) else level


def models(engines: Iterable[Any], *, is_async: bool) -> list[Any]:
    """Engines of one half of SQLAlchemy, for the test's to be like the first: last those that have no transactions."""
    found = [engine for engine in engines if engine.dialect.is_async == is_async]
    return sorted(found, key=lambda engine: level_of(engine.dialect) == "AUTOCOMMIT")


def joins(mine: Any, theirs: Any, outer: Callable[[], Outer]) -> Callable[[], Outer]:
    """What an engine of the dialect `theirs` asks for the transaction of the dialect `mine`: it, or why it can't join.

    Dialects are of one driver each, and of one isolation level.
    """
    if mine.driver != theirs.driver:
        return _other_driver(mine.driver, theirs.driver)
    if level_of(mine) != level_of(theirs):
        return _other_level(*(level_of(each) or LEVELS.get(each.name, "the server's own") for each in (mine, theirs)))
    return outer


def _other_level(mine: str, theirs: str) -> Callable[[], Outer]:
    """What an engine asks that can't join the transaction, as all of its connections are in another level."""

    def refuse() -> Outer:
        raise IsolationError(
            f"an engine of the app is in {theirs}, and the test's transaction is in {mine}",
            cause="in rollback mode all engines share one transaction, which is in one isolation level",
            fix='mark the test with @pytest.mark.seatrial(NAME="reset")',
        )

    return refuse


def _other_driver(mine: str, theirs: str) -> Callable[[], Outer]:
    """What an engine asks that can't join the transaction, as its driver is another one."""

    def refuse() -> Outer:
        raise IsolationError(
            f"the app's engine uses {theirs}, and the test's transaction is on a connection of {mine}",
            cause="in rollback mode all engines share one connection, which is of one driver",
            fix='use one driver; or mark the test with @pytest.mark.seatrial(NAME="reset")',
        )

    return refuse


@contextmanager
def joining(engine: Any, outer: Callable[[], Outer]) -> Iterator[None]:
    """While it holds, all that uses the app's `engine`, by whatever session, joins the outer transaction.

    The engine's own pool is set aside with its connections, and put back as it was.
    """
    aside = engine.pool
    introduced = False

    def joined() -> Outer:
        nonlocal introduced
        found = outer()
        found.real()  # most often of the same dialect, which knows its server then
        if not introduced and engine.dialect.server_version_info is None:
            introduced = True
            _introduce(engine, aside)
        return found

    engine.pool = joined_pool(engine, joined, by_test=False)
    try:
        yield
    finally:
        engine.pool = aside


def _introduce(engine: Any, pool: Any) -> None:
    """Let the dialect of an engine that never connected look at its server, as it does at the first connection.

    It asks the driver's own connection for types, which takes no proxy: so this one is real, and closed at once.
    """
    from sqlalchemy import event

    first = twin(engine, pool)
    event.listen(first.pool, "connect", lambda _, record: record.info.setdefault(OWN, True))
    try:
        first.connect().close()
    finally:
        first.dispose()
