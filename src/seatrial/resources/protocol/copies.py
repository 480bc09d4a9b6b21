"""The protocols of stores and copies: how templates are made, and how a copy gets back to its baseline."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Protocol, runtime_checkable

from seatrial.resources.protocol.servers import Address


def _nothing() -> None:
    """The default of `Target.connect`, for a kind that has no plain driver."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Target:
    """What a migrator gets: an empty database, which becomes the template when all migrators have filled it."""

    address: Address
    execute: Callable[[str], None]
    """Run a script of one or many statements in the language of the kind (SQL), as the owner of the schema."""
    connect: Callable[[], Any] = _nothing
    """Open a new connection or client with the kind's plain driver. Returns None if the kind has none."""


class Migrator(Protocol):
    """One step in filling a template: it creates the schema, runs migrations, or loads seed data."""

    label: str
    """The name of the step in reports and errors: "alembic.ini", "app.database:Base"."""

    def hash(self) -> str:
        """A hash of all that `migrate` depends on: while it stays the same, the existing template is used again."""
        ...

    def migrate(self, target: Target) -> None:
        """Run the step on `target`. Raises `TemplateError`, which includes the error of the step itself."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Ended:
    """A connection that Seatrial ended, because it still ran a query or held a transaction; or one that was in use."""

    pid: int
    application: str
    query: str
    state: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Undone:
    """How a copy was brought back to its baseline."""

    path: str
    """Which way was taken: "nothing", "log", "scan", "copy" (the template was copied over it in place), "rollback" or
    "clone"."""
    tables: tuple[str, ...] = ()
    rows: int = 0
    """How many rows were deleted or restored."""
    ended: tuple[Ended, ...] = ()
    notes: tuple[str, ...] = ()
    """For the user, such as: a prepared transaction was rolled back, a materialized view was refreshed."""
    read: str = ""
    """What was read to find the changes, in words: "312 bytes of the log: 4 blocks of 2 relations"."""


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


class Copy(Protocol):
    """One worker's copy of a template. Its address stays the same from the first test to the last."""

    @property
    def address(self) -> Address:
        """The address under which the app and the tests reach the copy."""
        ...

    def client(self, *, is_async: bool = False) -> Client:
        """A new client of the kind's plain driver. `is_async` is ignored by kinds that have no asynchronous driver."""
        ...

    def used_since_checkout(self, own: Sequence[int]) -> tuple[Ended, ...]:
        """The connections that ran something since `mark`, without those whose server process ids are in `own`.

        Empty if the server can't tell.
        """
        ...

    def mark(self) -> None:
        """Called when a test begins: what happens from now on is that test's doing."""
        ...

    def close(self) -> None:
        """Close Seatrial's own connections to the copy. The copy itself stays until `Store.drop`."""
        ...


@runtime_checkable
class SupportsUndoAtOnce(Protocol):
    """A copy that can undo in one step what it has undone before, or what a rollback leaves."""

    def undo_at_once(self, returning: Returning = NOBODY, *, rolled_back: bool = False) -> Undone | None:
        """Undo all changes since the baseline; None if that is for `undo` to do.

        After a test that was `rolled_back`, None as well if anything was committed, or may have been.
        `returning` may be sent before; it is not gathered, and none of it counts as somebody who is at work.
        """
        ...


@runtime_checkable
class SupportsReset(Protocol):
    """A copy that can undo committed changes in place: it can have the isolation `reset`."""

    def undo(self) -> Undone:
        """Undo all changes since the baseline, whoever made them. Raises `NeedsClone` if only a clone can do that."""
        ...

    def late_writes(self) -> tuple[str, ...]:
        """Tables written to since the last `undo`; "" for one that was broken off. Empty if it is expensive, too."""
        ...


@runtime_checkable
class SupportsFence(Protocol):
    """A copy on a server that can say which connections are busy: work of one test can be kept out of the next."""

    def settle(self) -> tuple[Ended, ...]:
        """Wait a moment for open transactions to finish, then end the connections that still hold one.

        Afterwards nothing that began before this call can write any more, besides what is prepared for a commit.
        Returns the connections that were ended.
        """
        ...


@runtime_checkable
class SupportsReady(Protocol):
    """A copy that can find out in one round trip whether the next test may begin."""

    def ready(self) -> bool:
        """Whether no transaction is open and nothing was written since the last `undo`. If so, this also does `mark`.

        If it returns False, the caller has to call `settle`, `late_writes` and `mark` one after the other.
        """
        ...


@runtime_checkable
class SupportsClone(Protocol):
    """A copy that can be replaced by a fresh clone of its template under the same address: the isolation `clone`."""

    def renew(self) -> None:
        """Replace the copy by a fresh clone. Ends every open connection to it."""
        ...


@runtime_checkable
class SupportsRollback(Protocol):
    """A copy that can run a whole test in one transaction and roll it back: the isolation `rollback`."""

    def uncommitted_only(self) -> bool:
        """Whether nothing was committed since `mark`. After a test with `rollback` this must be true."""
        ...


@runtime_checkable
class SupportsTidy(Protocol):
    """A copy that grows by the undoing itself (dead rows), and can be cleaned up between tests."""

    def tidy(self) -> bool:
        """Clean up if it is time for that; returns whether it was. Otherwise costs nothing."""
        ...


@runtime_checkable
class SupportsRecycle(Protocol):
    """A copy on a server where idle connections of other processes can be ended: the key `recycle`."""

    def end_idle(self, own: Sequence[int]) -> tuple[Ended, ...]:
        """End all connections to the copy, idle ones too, except those whose server process ids are in `own`."""
        ...


@runtime_checkable
class SupportsLayers(Protocol):
    """A copy whose present content can become the baseline for a while, for fixtures of wider scope that write."""

    def changed(self) -> bool:
        """Whether the copy differs from its baseline. May cost as much as an undo."""
        ...

    def push(self) -> None:
        """Make the present content, schema included, the baseline: `undo` and `renew` come back to it.

        May end connections to the copy.
        """
        ...

    def pop(self) -> None:
        """Go back to the baseline before the last `push`, and restore the copy to it. May end connections to it."""
        ...


class Store(Protocol):
    """The templates and copies of one kind on one running server."""

    locale: str
    """What a template depends on besides the migrators: server version, locale, owner, extensions. Part of its key."""

    def find(self, key: str) -> bool:
        """Whether a complete template with this key exists."""
        ...

    def build(self, key: str, name: str, fill: Callable[[Target], None]) -> bool:
        """Make the template `key`. Returns False if another process made it in the meantime.

        `fill` gets an empty database called `name`. That is this worker's usual address, so that code which reads
        the exported URL reaches the right database. What `fill` leaves there becomes the template. Two processes
        never build the same key at once. If `fill` raises, nothing is left behind.
        """
        ...

    def checkout(self, key: str, name: str) -> Copy:
        """Make a fresh copy called `name`. It replaces a copy of that name if Seatrial made it, and nothing else."""
        ...

    def drop(self, name: str) -> None:
        """Remove the copy `name`, even if somebody is still connected to it."""
        ...

    def close(self) -> None:
        """Close Seatrial's connections to the server."""
        ...


@runtime_checkable
class SupportsKeep(Protocol):
    """A store that can keep a copy after the run, for somebody to look at (`--seatrial-keep`, `seatrial up`)."""

    def keep(self, name: str, kept: str, *, forever: bool = False) -> Address:
        """Rename the copy `name` to `kept`, with its content, so that it outlives the run. Returns its new address.

        Only the ten newest kept copies stay; older ones are removed. A copy that is kept `forever` does not count
        among the ten, and stays until somebody drops it.
        """
        ...


@runtime_checkable
class SupportsStay(Store, Protocol):
    """A store where a copy can outlive the run without a new name, for a resource with a fixed address (`at`)."""

    def stay(self, name: str) -> Address:
        """Let the copy `name` stay. A later test run that needs the name moves it aside until it ends."""
        ...

    def bring_back(self, name: str) -> bool:
        """Move back a copy that a killed run had moved aside. Returns whether a copy called `name` is there now."""
        ...


@runtime_checkable
class SupportsForget(Protocol):
    """A store that can remove a template at once, instead of when it has not been used for long."""

    def forget(self, key: str) -> bool:
        """Remove the template `key`, of which this store has no copies. Returns False if another process uses it."""
        ...


@runtime_checkable
class SupportsVacant(Protocol):
    """A store that can provide an empty database at the address of a copy before the template exists."""

    def vacant(self, name: str) -> None:
        """Create an empty database `name`, for an app that connects while it is imported. `build` replaces it later."""
        ...


class Difference(Protocol):
    """One difference from the baseline. `str()` says what it is, which rows, and who wrote it if that is known."""

    @property
    def kind(self) -> str:
        """What differs: "rows", "sequence", "role"."""
        ...

    @property
    def name(self) -> str:
        """The name of the table, sequence, ...: "public.users"."""
        ...

    @property
    def writer(self) -> str:
        """Which transaction or connection made the difference; empty if that can't be known."""
        ...


class Reading(Protocol):
    """What an `Auditor` has read of a copy."""

    @property
    def unseen(self) -> Sequence[str]:
        """What it had no right to read, and can't vouch for."""
        ...


class Auditor(Protocol):
    """Reads the whole of one copy, with code that the undo does not use, so that it can find mistakes of the undo."""

    def baseline(self) -> Reading:
        """Read everything that is in the copy now. `differences` compares with this later."""
        ...

    def differences(self, baseline: Any) -> Sequence[Difference]:
        """Read the copy again and return what differs from `baseline`. Raises `IsolationError` if it can't be read."""
        ...
