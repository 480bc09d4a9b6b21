"""A `Server` for kinds that have none (SQLite): it is always there, and holds nothing."""

from __future__ import annotations

from seatrial.resources.protocol import Endpoint


class NoServer:
    """Stands where a server would, so that nobody above asks whether there is one."""

    def __init__(self, endpoint: Endpoint) -> None:
        self.endpoint = endpoint

    def start(self) -> bool:
        """Nothing runs, so nothing has to start: as if it ran already."""
        return True

    def alive(self) -> bool:
        """A library can't go away."""
        return True

    def log_tail(self, since: int = 0) -> str:
        """There is no log."""
        del since
        return ""

    def log_size(self) -> int:
        """There is no log."""
        return 0

    def release(self) -> None:
        """Nothing is held."""
