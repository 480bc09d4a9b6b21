"""Cursors of joined connections: those whose rows the driver has, and those whose rows the server has."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterator
from typing import Any, Protocol, Self, TypeVar

BUFFERED = frozenset({"fetchone", "fetchmany", "fetchall", "close"})
"""Methods that need no connection: the driver has all rows."""

T = TypeVar("T")


class Connection(Protocol):
    """The connection of a cursor."""

    def cursor(self) -> JoinedCursor:
        """Another cursor."""
        ...

    def run(self, statement: Any, call: Callable[[], Any]) -> Any:
        """Send `statement` by `call`, in its turn."""
        ...

    def at_home(self, call: Callable[[], T]) -> T:
        """Make a call that needs no turn where the real connection lives."""
        ...


class JoinedCursor:
    """A cursor that sends its statements in its connection's turn."""

    __slots__ = ("_cursor", "_joined")

    def __init__(self, joined: Connection, cursor: Any) -> None:
        object.__setattr__(self, "_joined", joined)
        object.__setattr__(self, "_cursor", cursor)

    def execute(self, statement: Any, *args: Any, **kwargs: Any) -> Any:
        """Send one statement in its turn."""
        return self._joined.run(statement, lambda: self._cursor.execute(statement, *args, **kwargs))

    def executemany(self, statement: Any, *args: Any, **kwargs: Any) -> Any:
        """Send a statement for many parameters in its turn."""
        return self._joined.run(statement, lambda: self._cursor.executemany(statement, *args, **kwargs))

    def callproc(self, *args: Any, **kwargs: Any) -> Any:
        """Call a procedure in its turn."""
        return self._joined.run(None, lambda: self._cursor.callproc(*args, **kwargs))

    def copy(self, *args: Any, **kwargs: Any) -> Any:
        """Begin a COPY in its turn."""
        return self._joined.run(None, lambda: self._cursor.copy(*args, **kwargs))

    def copy_expert(self, *args: Any, **kwargs: Any) -> Any:
        """Run a COPY in its turn."""
        return self._joined.run(None, lambda: self._cursor.copy_expert(*args, **kwargs))

    def __getattr__(self, name: str) -> Any:
        found = getattr(self._cursor, name)
        return found if name in BUFFERED else at_home(found, self._joined)

    def __setattr__(self, name: str, value: Any) -> None:
        setattr(self._cursor, name, value)

    def __iter__(self) -> Iterator[Any]:
        return iter(self._cursor)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *error: object) -> None:
        self.close()


class Stream(JoinedCursor):
    """A cursor whose rows the server has, as long as its transaction lasts."""

    __slots__ = ("_ended",)

    def __init__(self, joined: Connection, cursor: Any) -> None:
        super().__init__(joined, cursor)
        object.__setattr__(self, "_ended", False)

    def execute(self, statement: Any, *args: Any, **kwargs: Any) -> Any:
        """Send one statement in its turn, as what it is to the server."""
        declared = f"DECLARE stream CURSOR FOR {statement}"
        return self._joined.run(declared, lambda: self._cursor.execute(statement, *args, **kwargs))

    @property
    def held(self) -> bool:
        """Whether it outlives a commit."""
        return bool(getattr(self._cursor, "withhold", False))

    def end(self) -> None:
        """Its transaction ends. Called in the connection's turn."""
        self.lose()
        if not self._in_advance:
            self._cursor.close()

    def lose(self) -> None:
        """Its transaction has ended, and the server has closed it."""
        object.__setattr__(self, "_ended", True)

    def fetchone(self) -> Any:
        """The next row, or None."""
        return self._fetch(self._cursor.fetchone, 1)

    def fetchmany(self, *args: Any, **kwargs: Any) -> Any:
        """The next rows."""
        return self._fetch(lambda: self._cursor.fetchmany(*args, **kwargs), *args, *kwargs.values())

    def fetchall(self) -> Any:
        """All other rows."""
        return self._fetch(self._cursor.fetchall)

    def close(self) -> None:
        """Let the server forget it."""
        if not self._ended:
            self._joined.run("CLOSE", self._cursor.close)

    def __iter__(self) -> Iterator[Any]:
        while (row := self.fetchone()) is not None:
            yield row

    @property
    def _in_advance(self) -> int:
        """How many rows SQLAlchemy has of what asyncpg reads: they can be had after the end, too."""
        return len(getattr(self._cursor, "_rowbuffer", ()))

    def _fetch(self, call: Callable[[], Any], most: int | None = None) -> Any:
        if self._ended and (not most or most > self._in_advance):
            # The server refuses it as it refuses to fetch from any that has ended: so the error is the driver's own.
            gone = f"{getattr(self._cursor, 'name', 'a stream')} (ended with its transaction)"
            self._joined.cursor().execute(f'FETCH FROM "{gone}"')
        return call() if self._ended else self._joined.run("FETCH", call)


def at_home(found: Any, joined: Connection) -> Any:
    """What a driver's object has; a method is called where the connection lives."""
    if not inspect.isroutine(found):
        return found

    def call(*args: Any, **kwargs: Any) -> Any:
        return joined.at_home(lambda: found(*args, **kwargs))

    return call
