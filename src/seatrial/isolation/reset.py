"""Reset: the app really commits, on as many connections as it likes; afterwards what was written is undone."""

from __future__ import annotations

from typing import ClassVar

from seatrial.isolation import restore
from seatrial.isolation.protocol import Lease
from seatrial.resources.protocol import NOBODY, Copy, Returning, SupportsReset, Undone


class ResetStrategy:
    """Committed changes are undone in place, and by a fresh clone where they can't be (the notes say why)."""

    name: ClassVar[str] = "reset"

    def __init__(self, copy: Copy) -> None:
        self._copy = copy

    def checkout(self, test: str, reason: str) -> Lease:
        """Hand out the copy at its baseline: what came late is undone first, and is in the lease."""
        if not isinstance(self._copy, SupportsReset):
            raise restore.impossible(self._copy, self.name)
        late = restore.ready(self._copy)
        return Lease(test=test, copy=self._copy, isolation=self.name, reason=reason, joined=False, late=late)

    def checkin(self, lease: Lease, returning: Returning = NOBODY) -> Undone:
        """Undo what the test wrote, whoever wrote it: while sessions are tidied, where that does not matter."""
        return restore.undo(lease.copy, returning)
