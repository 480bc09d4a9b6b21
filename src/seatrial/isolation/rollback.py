"""Rollback: one outer transaction holds the whole test; the app's commits are savepoints in it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import ClassVar

from seatrial.core.redact import redact
from seatrial.errors import PastRollback
from seatrial.isolation import restore
from seatrial.isolation.protocol import Lease
from seatrial.resources.protocol import NOBODY, Copy, Ended, Returning, SupportsRollback, Undone


class RollbackStrategy:
    """Nothing is ever committed; a test that did commit is told so, and what it committed is undone.

    Args:
        copy: what the tests get.
        resource: its name in the configuration, for the marker in the message.
        own: the server processes of the test's own sessions, which may be in use.
    """

    name: ClassVar[str] = "rollback"

    def __init__(self, copy: Copy, *, resource: str = "db", own: Callable[[], Sequence[int]] = tuple) -> None:
        self._copy = copy
        self._resource = resource
        self._own = own

    def checkout(self, test: str, reason: str) -> Lease:
        """Hand out the copy at its baseline; the sessions join one transaction, which the lease says."""
        if not isinstance(self._copy, SupportsRollback):
            raise restore.impossible(self._copy, self.name)
        late = restore.ready(self._copy)
        return Lease(test=test, copy=self._copy, isolation=self.name, reason=reason, joined=True, late=late)

    def checkin(self, lease: Lease, returning: Returning = NOBODY) -> Undone:
        """The sessions have rolled back by now: make sure that nothing else was committed.

        Raises `PastRollback`, after the baseline is restored, where something was.
        """
        done = restore.undo_at_once(lease.copy, returning, rolled_back=True)
        if done is not None:
            return replace(done, path="rollback")
        if isinstance(lease.copy, SupportsRollback) and lease.copy.uncommitted_only():
            # No rollback takes a sequence back. Where that took a clone, all connections are stale.
            undone = restore.undo(lease.copy)
            return undone if undone.path == "clone" else replace(undone, path="rollback")
        others = lease.copy.used_since_checkout(self._own())
        restore.undo(lease.copy)
        raise PastRollback(
            "this test wrote past its transaction in rollback mode; what it wrote was undone",
            cause=f"{_who(others)} is outside of the one transaction that holds the test",
            fix=f'this test needs reset: mark it with @pytest.mark.seatrial({self._resource}="reset")',
        )


def _who(others: Sequence[Ended]) -> str:
    if not others:
        return "a second connection, or a raw COMMIT,"
    first = others[0]
    name = f' ("{first.application}")' if first.application else ""
    last = f", last with: {redact(first.query)}," if first.query else ""
    return f"a second connection, process {first.pid} of the server{name}{last}"
