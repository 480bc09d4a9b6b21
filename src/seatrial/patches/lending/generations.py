"""What the pools' patches ask of who knows when a database was replaced, and when a test is over."""

from __future__ import annotations

from typing import Any, ClassVar, Protocol

from seatrial.patches.lending.lent import Lent

Stamp = tuple[str, int]


class Generations(Protocol):
    """Which connections are of the present: given by who knows when a database was replaced."""

    def moment(self) -> int:
        """Tell the present, before a connection is opened."""
        ...

    def stamp(self, host: str, port: int, database: str, moment: int) -> Stamp:
        """What to remember with a connection that is opened now."""
        ...

    def stale(self, stamp: Stamp) -> bool:
        """Whether a connection with this stamp must not be lent again."""
        ...

    own: ClassVar[str]
    """A key in the `info` of SQLAlchemy's connections that are the test's own: who made them tidies them."""
    first_state: ClassVar[str]
    """A query, for a connection that is lent for the first time."""

    def restoring(self, rows: list[Any]) -> str:
        """Tell the statements that bring the state back, given the rows of `first_state`."""
        ...

    def watched(self, stamp: Stamp) -> bool:
        """Whether the connection leads to one of our copies: all others are left alone."""
        ...

    def lent(self, stamp: Stamp, connection: Lent) -> None:
        """Take down that the running test may have used it."""
        ...


def address_of(connection: Any) -> tuple[str, int, str] | None:
    """Host, port and database that a driver's connection (psycopg, psycopg2, asyncpg) leads to; None for others."""
    info = getattr(connection, "info", None)
    if info is not None and hasattr(info, "dbname"):
        try:
            return str(info.host or ""), int(info.port), str(info.dbname)
        except Exception:  # noqa: BLE001  # a connection that is closed by now can't say
            return None
    address, parameters = getattr(connection, "_addr", None), getattr(connection, "_params", None)
    if address is not None and parameters is not None:
        if isinstance(address, str):  # a unix socket: ".../.s.PGSQL.5432"
            return "", int(address.rpartition(".")[2]), str(parameters.database)
        return str(address[0]), int(address[1]), str(parameters.database)
    return None
