"""The joints of isolation: a strategy hands a copy to a test and takes it back at its baseline."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar, Protocol

from seatrial.resources.protocol import NOBODY, Copy, Returning, Undone


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


class Strategy(Protocol):
    """How a copy gets back to its baseline."""

    name: ClassVar[str]

    def checkout(self, test: str, reason: str) -> Lease: ...

    def checkin(self, lease: Lease, returning: Returning = NOBODY) -> Undone:
        """Back to the baseline. Raises `IsolationError` where the test did what this strategy can't hold.

        `returning` is gathered by then: till then temporary tables of sessions may be there.
        """
        ...
