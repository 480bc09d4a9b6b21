"""The server ends a connection of ours that was silent for a minute, so that a lost machine holds nothing."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from seatrial.resources.kinds.mysql.connection import Link

SILENCE = 60
"""Seconds after which the server takes us for lost. Its own default is eight hours."""
EVERY = 15.0
NOTICE = f"SET SESSION wait_timeout = {SILENCE}"


class Pulse:
    """A thread that says something on the connection now and then, however long a test runs."""

    def __init__(self, link: Link, every: float = EVERY) -> None:
        self._link = link
        self._every = every
        self._ended = threading.Event()
        threading.Thread(target=self._run, name="seatrial: pulse", daemon=True).start()

    def end(self) -> None:
        """No more of it. Waits for nothing."""
        self._ended.set()

    def _run(self) -> None:
        while not self._ended.wait(self._every):
            self._link.beat()
