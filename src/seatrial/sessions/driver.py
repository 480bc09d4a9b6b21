"""The plain driver's connection or client, for kinds and projects that know no sessions of a library."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext, suppress
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from seatrial.resources.first_state import backend
from seatrial.resources.protocol import NOBODY, Address, Client, Copy, Returning, SupportsJoining, SupportsReturning
from seatrial.sessions.connections.uncommitted import wrote
from seatrial.sessions.detours import APP, TEST, Detours
from seatrial.sessions.pools import Pools

if TYPE_CHECKING:
    from seatrial.sessions.wire.switchboard import Switchboard

SETTINGS = ("row_factory", "cursor_factory", "server_cursor_factory", "text_factory", "isolation_level", "autocommit")
"""Attributes by which drivers say how they behave: what a wider fixture set holds for the tests inside."""


class DriverSessions:
    """One `copy.client()`: psycopg's, sqlite3's, redis-py's. The same object from first test to last.

    Where the database speaks PostgreSQL's protocol, all connections of this process can join one transaction:
    those that exist are stale then, and new ones are led to a switchboard.
    """

    awaited = False

    def __init__(
        self, copy: Copy, pools: Pools | None = None, detours: Detours | None = None, *, is_async: bool = False
    ) -> None:
        self._copy = copy
        self._pools = pools or Pools()
        self._detours = detours
        self._board: Switchboard | None = None
        self._joined = False
        self.joinable = detours is not None and copy.address.scheme == "postgresql"
        self._is_async = is_async
        self._connection: Client | None = None
        self._renewing: Returning = NOBODY
        self._settings: list[tuple[object, dict[str, Any]]] = []
        """By wider fixture: how it let the connection behave from then on."""

    def begin(self, *, joined: bool) -> None:
        """Begin a test's own part."""
        if joined:
            self._join()

    def session(self) -> Any:
        """Open the connection, at first use."""
        if self._connection is None:
            with self._past():
                self._connection = self._copy.client(is_async=self._is_async)
            self._switch()
        return self._connection.value

    def settle(self, owner: object) -> bool:
        """End the transaction of a wider fixture; its row factory and the like hold for the tests inside."""
        lost = False
        if self._connection is not None:
            lost = wrote(self._connection.value)
            before = settings(self._connection.value)
            self._connection.settle()
            self._renew()
            as_new = settings(self._connection.value)
            changed = {name: value for name, value in before.items() if as_new.get(name) != value}
            if changed:
                self._settings.append((owner, changed))
                apply(self._connection.value, changed)
        return lost

    def leave(self, owner: object) -> None:
        """Forget what a wider fixture left."""
        self._settings = [(whose, values) for whose, values in self._settings if whose is not owner]
        self._renew()

    def dependency(self) -> Callable[..., Any] | None:
        """Leave the app alone."""
        return None

    def backends(self) -> Sequence[int]:
        """List the server process ids of our open connections."""
        pid = backend(self._connection.value) if self._connection is not None else 0
        return (*((pid,) if pid else ()), *(self._board.backends() if self._board is not None else ()))

    def end(self, *, gather: bool = True) -> tuple[str, ...]:
        """Roll back, and let the connection be as new. Returns what a joined transaction could not hold."""
        complaints: tuple[str, ...] = ()
        try:
            if self._joined and self._board is not None and self._detours is not None:
                self._joined = False
                self._detours.end(self._copy.address)
                self._lend(self._copy.address, instead_of=self._at_board())
                if isinstance(self._connection, SupportsJoining):
                    self._connection.part()
                complaints = self._board.end()
        finally:
            self._renew(gather=gather)
        return complaints

    def returning(self) -> Sequence[int]:
        """List the server process ids of what `gather` is going to put back."""
        own = self._renewing.returning()
        return (*own, *self._pools.returning(self._copy.address))

    def send(self) -> None:
        """Have the server begin what `gather` waits for."""
        self._renewing.send()
        self._pools.send(self._copy.address)

    def gather(self) -> None:
        """Put the test's connection and the app's back into their first state."""
        renewing, self._renewing = self._renewing, NOBODY
        if renewing is not NOBODY:
            with suppress(Exception):  # as in `invalidate`; that the server is gone is for the copy to find out
                renewing.gather()
                self._apply()
        self._pools.gather(self._copy.address)

    def invalidate(self) -> None:
        """Take every connection to the copy for stale: the test's goes on as a new one, in the same object."""
        if self._connection is not None:
            with suppress(Exception):  # the server is gone: whoever uses the connection is told by the driver
                self._connection.replace()
                self._apply()
        self._pools.invalidate(self._copy.address)
        if self._board is not None:
            self._board.forget()
            self._pools.invalidate(self._at_board())

    def close(self) -> None:
        """Close what is open."""
        if self._joined:
            self.end()
        board, self._board = self._board, None
        if board is not None:
            board.close()
        connection, self._connection = self._connection, None
        if connection is not None:
            connection.close()

    def _join(self) -> None:
        assert self._detours is not None, "a plain connection is joined by a detour"
        if self._board is None:
            from seatrial.sessions.wire.switchboard import Switchboard

            self._board = Switchboard(self._open)
        self._board.begin()
        self._joined = True
        self._lend(self._at_board(), instead_of=self._copy.address)
        self._detours.lead(self._copy.address, self._board.folder, APP)
        self._switch()

    def _switch(self) -> None:
        """The test's own connection joins as well, where there is one."""
        if self._joined and self._board is not None and isinstance(self._connection, SupportsJoining):
            self._connection.join(self._board.folder, TEST)
            self._apply()

    def _open(self) -> Any:
        with self._past():
            return self._copy.client().value

    def _past(self) -> AbstractContextManager[None]:
        """Connections that are opened meanwhile are real ones."""
        return self._detours.past() if self._detours is not None else nullcontext()

    def _at_board(self) -> Address:
        """The address that joined connections in pools have."""
        assert self._board is not None
        return replace(self._copy.address, host=self._board.folder, port=APP)

    def _lend(self, address: Address, *, instead_of: Address) -> None:
        """Pools lend connections to `address` only, of the two that one URL leads to."""
        self._pools.set_aside(instead_of)
        self._pools.bring_back(address)

    def _renew(self, *, gather: bool = True) -> None:
        if isinstance(self._connection, SupportsReturning):
            self._renewing = self._connection.begin_to_renew()
        elif self._connection is not None:
            self._connection.renew()
            self._apply()
        self._pools.restore(self._copy.address)
        if gather:
            self.gather()

    def _apply(self) -> None:
        assert self._connection is not None
        for _, values in self._settings:
            apply(self._connection.value, values)


def settings(connection: Any) -> dict[str, Any]:
    """How the connection behaves; empty where it is closed."""
    found = {}
    for name in SETTINGS:
        with suppress(Exception):  # a driver has some of them, and a closed connection may have none
            found[name] = getattr(connection, name)
    return found


def apply(connection: Any, wanted: Mapping[str, Any]) -> None:
    """Let it behave so."""
    for name, value in wanted.items():
        setattr(connection, name, value)
