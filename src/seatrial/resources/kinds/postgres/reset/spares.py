"""Clones that are made in the background, so that a test which needs a fresh one does not wait for it."""

from __future__ import annotations

import queue
import secrets
import threading
from contextlib import ExitStack, suppress
from typing import TYPE_CHECKING

from seatrial.errors import SeatrialError
from seatrial.resources.kinds.postgres.naming import Marker

if TYPE_CHECKING:
    from collections.abc import Callable

    from seatrial.resources.kinds.postgres.databases import Databases

SPARES = 1
"""Clones of one template that are kept ready, once one was needed."""
GOODBYE = 20.0
"""Seconds that the last CREATE or DROP DATABASE may take when the run ends."""


class Spares:
    """Ready clones of one template, and the removal of old copies, on a thread and a connection of their own.

    Args:
        key: the template's.
        template: its database.
        run: the run that the clones belong to.
        open_databases: connects; called on the thread, which closes what it gets.
    """

    def __init__(
        self, key: str, template: str, run: str, open_databases: Callable[[], tuple[Databases, Callable[[], None]]]
    ) -> None:
        self._marker = Marker(what="spare", key=key, run=run)
        self._template = template
        self._open = open_databases
        self._ready: queue.SimpleQueue[str] = queue.SimpleQueue()
        self._orders: queue.SimpleQueue[str | None] = queue.SimpleQueue()
        self._thread: threading.Thread | None = None

    def take(self) -> str | None:
        """The name of a clone that is ready, now the caller's; None if there is none."""
        try:
            return self._ready.get_nowait()
        except queue.Empty:
            return None

    def order(self, old: str = "") -> None:
        """Make a clone, after removing the database `old` where one is named."""
        if self._thread is None:
            self._thread = threading.Thread(target=self._work, name="seatrial spares", daemon=True)
            self._thread.start()
        self._orders.put(old)

    def close(self) -> None:
        """Remove what is left, and wait for that."""
        if self._thread is not None:
            self._orders.put(None)
            self._thread.join(GOODBYE)

    def _work(self) -> None:
        import psycopg

        # No spares then: whoever needs a clone makes it, and reports what is wrong.
        with suppress(psycopg.Error, SeatrialError):
            databases, close = self._open()
            with ExitStack() as stack:
                stack.callback(close)
                self._carry_out(databases)

    def _carry_out(self, databases: Databases) -> None:
        while (old := self._orders.get()) is not None:
            if old:
                databases.drop(old)
            if self._ready.qsize() < SPARES:
                name = f"seatrial_s_{secrets.token_hex(6)}"
                databases.create(name, self._marker, self._template)
                self._ready.put(name)
        while (spare := self.take()) is not None:
            databases.drop(spare)
