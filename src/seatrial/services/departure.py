"""Notices that a caller has gone while its answer is still on the way: an endless one would never be ended."""

from __future__ import annotations

import select
import socket
import threading
from collections.abc import Callable
from contextlib import suppress


class Departure:
    """Watches a connection from when it is made until `close`.

    Args:
        connection: the caller's; nothing more is expected from it meanwhile.
        gone: called once, in a thread of this, when the caller has closed it.
    """

    def __init__(self, connection: socket.socket, gone: Callable[[], None]) -> None:
        self._connection = connection
        self._gone = gone
        self._ours, self._wake = socket.socketpair()
        self._thread = threading.Thread(target=self._watch, name="seatrial-departure", daemon=True)
        self._thread.start()

    def close(self) -> None:
        """Watch no more."""
        self._wake.close()
        self._thread.join()
        self._ours.close()

    def _watch(self) -> None:
        poll = select.poll()
        for each in (self._connection, self._ours):
            poll.register(each, select.POLLIN)
        poll.poll()
        with suppress(OSError, ValueError, RuntimeError):  # closed, or the app is at work on it, in a thread of WSGI's
            if not self._connection.recv(1, socket.MSG_PEEK | socket.MSG_DONTWAIT):
                self._gone()
