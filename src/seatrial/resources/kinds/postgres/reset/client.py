"""A driver's own connection that stays the same object from first test to last, and is as new for each of them."""

from __future__ import annotations

from contextlib import suppress
from typing import TYPE_CHECKING, Any

from seatrial.resources.first_state import FORGET, IDLE, FirstState, finish
from seatrial.resources.kinds.postgres.connection import closed_if_broken_off

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from seatrial.resources.first_state import Script
    from seatrial.resources.protocol import Address


def plain(address: Address) -> Any:
    """A psycopg connection as the app would have it."""
    import psycopg

    with closed_if_broken_off():
        return psycopg.connect(address.url())


class PsycopgConnection:
    """A `psycopg.Connection`, kept open between tests: a new one costs 2 to 8 ms, putting it back 0.1 ms.

    `__init__` is called again on the same object, with its own `PGconn` or with that of a new connection: it
    forgets adapters, handlers, factories and the names of prepared statements, which the server forgets too.
    """

    def __init__(self, connect: Callable[[], Any]) -> None:
        self._connect = connect
        self._aside: Any = None
        """The real connection, while the object is joined."""
        self._joined: Any = None
        """The joined connection, while the object is not."""
        self._script: Script | None = None
        self.value = connect()
        self._first = FirstState(self.value, forget=f"{FORGET}; DEALLOCATE ALL")

    def join(self, folder: str, port: int) -> None:
        """The same object speaks to the socket in `folder` that is named by `port`, until `part`."""
        joined, self._joined = self._joined, None
        if joined is None or joined.transaction_status != IDLE:
            info = self.value.info
            fresh = type(self.value).connect(host=folder, port=port, user=info.user, dbname=info.dbname)
            joined = fresh.pgconn
            del fresh.pgconn  # it is not the owner any more, and must not close it
        self._aside = self.value.pgconn
        self.value.__init__(joined)

    def part(self) -> None:
        """It speaks to the database again. What is open in its joined transaction is for others to end."""
        if self._aside is not None:
            aside, self._aside = self._aside, None
            if not self.value.closed:
                self._joined = self.value.pgconn
            self.value.__init__(aside)

    def renew(self) -> None:
        """As new, on the connection that is open, or on another one where that can't be brought back."""
        self.begin_to_renew().gather()

    def begin_to_renew(self) -> PsycopgConnection:
        """The same when it is gathered; till then it is locked."""
        connection = self.value
        if not connection.closed and not connection.lock.locked() and not connection.pgconn.pipeline_status:
            with suppress(Exception):  # whatever the driver raises, a new connection is the answer
                self._script = self._first.begin_to_restore(connection)
        if self._script is None:
            self.replace()
        return self

    def returning(self) -> Sequence[int]:
        """The server's process, while it is locked."""
        return () if self._script is None else (self.value.info.backend_pid,)

    def send(self) -> None:
        """Have the server begin."""
        if self._script is not None:
            self._script.send()

    def gather(self) -> None:
        """Have what `begin_to_renew` has begun done."""
        script, self._script = self._script, None
        if script is not None and finish(script, self.replace):
            self.value.__init__(self.value.pgconn)

    def replace(self) -> None:
        """The same object on a new connection. Raises the driver's error where there is none to be had."""
        connection, joined = self.value, self._joined
        self._joined = None
        if joined is not None:
            joined.finish()  # it led to one that is stale as well
        connection.close()
        fresh, closed = self._connect(), connection.pgconn
        connection.__init__(fresh.pgconn)
        fresh.pgconn = closed
        fresh.close()
        self._first = FirstState(connection, forget=f"{FORGET}; DEALLOCATE ALL")

    def settle(self) -> None:
        """End the transaction."""
        with suppress(Exception):  # a connection that broke is replaced by `renew`
            self.value.rollback()

    def close(self) -> None:
        """Close it."""
        self.part()
        if self._joined is not None:
            self._joined.finish()
        self.value.close()
