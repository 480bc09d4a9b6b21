"""A test that failed of a connection which the fence had ended after an earlier one: who had left it, and how."""

from __future__ import annotations

import re

from seatrial import events
from seatrial.report.left import left
from seatrial.report.unseen import chain

_GONE = re.compile(
    r"terminating connection due to administrator|server closed the connection|connection (?:is|was|already) closed"
    r"|connection was killed|lost connection|gone away",
    re.IGNORECASE,
)
"""How drivers of PostgreSQL, MySQL and MariaDB say that a connection is not there any more."""


class Broken:
    """A reporter that remembers, by resource, the last connections that were ended after a test."""

    def __init__(self) -> None:
        self._ended: dict[str, events.ConnectionEnded] = {}

    def handle(self, event: events.Event) -> None:
        """Remember."""
        if isinstance(event, events.ConnectionEnded):
            self._ended[event.resource] = event

    def of(self, error: BaseException, test: str) -> str:
        """What to tell with this failure of `test`; empty where no connection is missed, or no other has lost one."""
        if not any(_GONE.search(str(each)) for each in chain(error)):
            return ""
        before = [event for event in self._ended.values() if event.test != test]
        if not before:
            return ""
        told = "\n".join(f"{event.resource}: {left(event)}" for event in before)
        return f"a connection that this test uses may have been ended after an earlier one:\n{told}"
