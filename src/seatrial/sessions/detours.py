"""Where the app's drivers are led while a test's connections are joined: a patch asks before it connects."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from threading import local

from seatrial.resources.protocol import Address
from seatrial.sessions.pools import key_of

APP, TEST = 1, 2
"""The ports in the names of a switchboard's two sockets: one for the app, one for the test's own session."""
OURS = "seatrial"
"""What our own connections call themselves: they go where they are told to."""


class Detours:
    """By database: the folder of a socket, and the port in its name. Threads may ask at any time."""

    def __init__(self) -> None:
        self._ways: dict[str, tuple[str, int]] = {}
        self._here = local()

    def lead(self, address: Address, folder: str, port: int) -> None:
        """From now on, whoever connects to `address` connects there."""
        self._ways[key_of(address.host, address.port, address.database)] = folder, port

    def end(self, address: Address) -> None:
        """The way is free again."""
        self._ways.pop(key_of(address.host, address.port, address.database), None)

    def find(self, host: str, port: int, database: str, application: str = "") -> tuple[str, int] | None:
        """The socket's folder and port, for a connection that is about to be opened; None to let it be."""
        if not self._ways or application == OURS or getattr(self._here, "past", False):
            return None
        return self._ways.get(key_of(host, port, database))

    @contextmanager
    def past(self) -> Iterator[None]:
        """Connections that this thread opens meanwhile are real ones."""
        self._here.past = True
        try:
            yield
        finally:
            self._here.past = False
