"""The joint of reports: a reporter listens to events, and changes nothing."""

from __future__ import annotations

from typing import Protocol

from seatrial.events import Event


class Reporter(Protocol):
    """Hears everything that happens in one run."""

    def handle(self, event: Event) -> None:
        """One event has happened."""
        ...

    def close(self) -> None:
        """The run is over."""
        ...
