"""The protocols of copies: how one gets back to its baseline."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol, runtime_checkable

from seatrial.resources.protocol.clients import NOBODY, Client, Returning
from seatrial.resources.protocol.servers import Address


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
