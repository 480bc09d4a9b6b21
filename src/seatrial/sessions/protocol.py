"""The joint between a copy and the code that uses it: the test's own session, and the app's dependency."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, Protocol


class Sessions(Protocol):
    """Sessions of one library (SQLAlchemy, psycopg) on one copy.

    One object a resource and a worker. `begin` and `end` enclose each test's own part; before and after it the
    session belongs to fixtures of wider scope, and what these commit is committed, whatever the isolation.
    """

    joinable: bool
    """Whether `begin(joined=True)` is possible: all sessions in one outer transaction."""

    def begin(self, *, joined: bool) -> None:
        """A test starts."""
        ...

    def session(self) -> Any:
        """The value of the resource's fixture, made at first use: the same object from first test to last.

        It is as new at the start of each test, save for what fixtures of wider scope left in it (`settle`).
        """
        ...

    def settle(self, owner: object) -> None:
        """A fixture of wider scope, `owner`, is set up: its transaction ends, and what it loaded stays."""
        ...

    def leave(self, owner: object) -> None:
        """The fixture is torn down: what it left in the session is gone."""
        ...

    def dependency(self) -> Callable[..., Any] | None:
        """What takes the place of the app's dependency (`override`) during the test; None to leave it alone."""
        ...

    def backends(self) -> Sequence[int]:
        """Server process ids of the connections that this object holds now."""
        ...

    def end(self) -> tuple[str, ...]:
        """The test is over: its sessions are closed, an outer transaction is rolled back.

        Returns complaints: what the test did that a joined transaction can't hold (a raw COMMIT).
        """
        ...

    def invalidate(self) -> None:
        """Every connection of this process to the copy is stale: pools open new ones from now on."""
        ...

    def close(self) -> None: ...
