"""The protocols of clients: what stands behind a resource's fixture where that is a plain driver's."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Protocol, runtime_checkable


class Client(Protocol):
    """Provides the value of a resource's fixture, for a kind or a project without sessions of SQLAlchemy's.

    `value` is the same object from the first test to the last.
    """

    @property
    def value(self) -> Any:
        """The driver's own connection or client (psycopg, sqlite3, redis-py)."""
        ...

    def settle(self) -> None:
        """Called after a fixture of wider scope was set up: ends a transaction that the fixture left open."""
        ...

    def renew(self) -> None:
        """Called between two tests: undoes what the test did to the client itself, such as an open transaction."""
        ...

    def replace(self) -> None:
        """Called when the copy was replaced: `value` stays the same object, but connects anew."""
        ...

    def close(self) -> None:
        """Close all connections."""
        ...


class Returning(Protocol):
    """Connections without a transaction that are going to be put back into their first state."""

    def returning(self) -> Sequence[int]:
        """The server's processes behind them."""
        ...

    def send(self) -> None:
        """Have the server begin to put them back: nobody can use them until they are gathered."""
        ...

    def gather(self) -> None:
        """Put them back, and wait for that. Where it is called again there is nothing to do."""
        ...


class Nobody:
    """No connection is going to be put back."""

    def returning(self) -> Sequence[int]:
        """No process."""
        return ()

    def send(self) -> None:
        """There is nothing to do."""

    def gather(self) -> None:
        """There is nothing to do."""


NOBODY = Nobody()


@runtime_checkable
class SupportsReturning(Protocol):
    """A client that can be renewed while something else is done."""

    def begin_to_renew(self) -> Returning:
        """As `renew`; it is done, and the client can be used again, when what is returned is gathered."""
        ...


@runtime_checkable
class SupportsJoining(Protocol):
    """A client that can be switched to a connection which all of a test share, for the isolation `rollback`."""

    def join(self, folder: str, port: int) -> None:
        """From now on, connect to the unix socket in `folder` for `port`, where the shared connection is served."""
        ...

    def part(self) -> None:
        """Connect to the database itself again. Whoever serves the shared connection ends its transaction."""
        ...
