"""The protocol of sessions: what the fixture of a database is, and what the app's dependency yields in a test."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, Protocol

from seatrial.resources.protocol import Returning


class Sessions(Returning, Protocol):
    """The sessions of one library (SQLAlchemy, psycopg) on one copy. Each worker has one such object for each resource.

    `begin` and `end` are called around each test. Outside of them, fixtures of wider scope use the session; what they
    commit is really committed, whatever the isolation is.
    """

    joinable: bool
    """Whether `begin(joined=True)` is possible, which puts all sessions into one outer transaction (`rollback`)."""

    awaited: bool
    """Whether the session's methods are coroutines: `await db.commit()`."""

    def begin(self, *, joined: bool) -> None:
        """Called when a test starts. `joined`: its isolation is `rollback`."""
        ...

    def session(self) -> Any:
        """The value of the resource's fixture. It is made at first use, and stays the same object until the last test.

        At the start of each test it is as new, except for what fixtures of wider scope loaded into it (`settle`).
        """
        ...

    def settle(self, owner: object) -> bool:
        """Called after `owner`, a fixture of wider scope, was set up. Ends its transaction; objects it loaded stay.

        Returns whether it had written something by the session that it has not committed, and that is lost now.
        """
        ...

    def leave(self, owner: object) -> None:
        """Called after the fixture `owner` was torn down. Removes from the session what the fixture loaded."""
        ...

    def dependency(self) -> Callable[..., Any] | None:
        """What to use in place of the app's dependency (`override`) during the test; None for the app's own."""
        ...

    def backends(self) -> Sequence[int]:
        """The server process ids of the connections that this object has open now."""
        ...

    def end(self, *, gather: bool = True) -> tuple[str, ...]:
        """Called when the test is over: closes its sessions, and rolls the outer transaction back if there is one.

        Returns what the test did that can't work in one outer transaction, such as a COMMIT sent as a statement.
        `gather=False`: idle connections are locked, and are `Returning` into their first state till `gather` is called.
        """
        ...

    def invalidate(self) -> None:
        """Called when the copy was replaced: from now on all pools of this process open new connections to it."""
        ...

    def close(self) -> None:
        """Close everything, at the end of the run."""
        ...
