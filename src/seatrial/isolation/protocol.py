"""The joints of isolation: a strategy hands a copy to a test and takes it back at its baseline."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import ClassVar, Protocol

from seatrial.resources.protocol import Copy, Undone


@dataclass(frozen=True, slots=True, kw_only=True)
class Lease:
    """One test's right to one copy."""

    test: str
    copy: Copy
    isolation: str
    reason: str
    joined: bool
    """Whether the test's sessions share one outer transaction that is rolled back."""
    late: Undone | None = None
    """What was undone first because it was written after the last check-in; `tables` names where."""


def nothing() -> None:
    """No session is on its way back into its first state."""


class Strategy(Protocol):
    """How a copy gets back to its baseline."""

    name: ClassVar[str]

    def checkout(self, test: str, reason: str) -> Lease: ...

    def checkin(self, lease: Lease, gather: Callable[[], None] = nothing) -> Undone:
        """Back to the baseline. Raises `IsolationError` where the test did what this strategy can't hold.

        `gather` waits for sessions that are on their way back into their first state: temporary tables of theirs may
        be there till then.
        """
        ...
