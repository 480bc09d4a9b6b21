"""Clone: a database of the test's own, for DDL, migrations, and whatever else can't be undone."""

from __future__ import annotations

from typing import ClassVar

from seatrial.isolation import restore
from seatrial.isolation.protocol import Lease
from seatrial.resources.protocol import NOBODY, Copy, Returning, SupportsClone, SupportsRollback, Undone


class CloneStrategy:
    """The copy is replaced by a fresh clone after each test that wrote something."""

    name: ClassVar[str] = "clone"

    def __init__(self, copy: Copy) -> None:
        self._copy = copy

    def checkout(self, test: str, reason: str) -> Lease:
        """Hand out the copy at its baseline: what came late is undone first, and is in the lease."""
        if not isinstance(self._copy, SupportsClone):
            raise restore.impossible(self._copy, self.name)
        late = restore.ready(self._copy)
        return Lease(test=test, copy=self._copy, isolation=self.name, reason=reason, joined=False, late=late)

    def checkin(self, lease: Lease, returning: Returning = NOBODY) -> Undone:
        """Replace the copy, unless it is certain that nothing was committed to it."""
        returning.gather()
        if isinstance(lease.copy, SupportsRollback) and lease.copy.uncommitted_only():
            # A rolled-back transaction may have taken numbers from a sequence.
            return restore.undo(lease.copy)
        return restore.renew(lease.copy)
