"""A unix socket that one thread answers by itself, between two pieces of its other work."""

from __future__ import annotations

import selectors
import socket
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from http import HTTPStatus
from pathlib import Path

_PIECE = 64 * 1024
_LONGEST = 128 * 1024
"""Bytes of one request, its head included."""
_READS = 10.0
"""Seconds that a client may take to read an answer: meanwhile its thread does nothing else."""


@dataclass(slots=True)
class Asked:
    """One request."""

    method: str = ""
    path: str = ""
    authorization: str = ""
    kind: str = "application/json"
    body: bytes = b""
    last: bool = False
    """Whether the client wants no more on this connection."""


Answer = Callable[[Asked], tuple[int, bytes]]
"""From a request to the status and the body of its answer, a JSON object. Raises nothing."""


class Door:
    """A listening socket and its connections.

    Args:
        path: where it is; it must not be there yet.
        answer: is called in the thread that attends.

    Raises:
        OSError: there can't be a socket of this path.
    """

    def __init__(self, path: Path, answer: Answer) -> None:
        self.path = path
        self._answer = answer
        self._callers: set[_Caller] = set()
        self._closed = False
        self._listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        try:
            self._listener.bind(str(path))
            path.chmod(0o600)
            self._listener.listen()
        except OSError:
            self._listener.close()
            raise
        self._listener.settimeout(0)
        self._bell, self._button = socket.socketpair()
        self._selector = selectors.DefaultSelector()
        self._selector.register(self._bell, selectors.EVENT_READ)
        self._selector.register(self._listener, selectors.EVENT_READ, self._accept)

    def attend(self) -> None:
        """Answer whoever comes, until `ring` is called (each call of that ends one of this), or it is closed."""
        while not self._closed:
            for key, _ in self._selector.select():
                if key.fileobj is self._bell:
                    self._bell.recv(1)
                    return
                key.data()

    def ring(self) -> None:
        """Other work waits. For other threads."""
        with suppress(OSError):  # it is closed, and nobody attends
            self._button.send(b"!")

    def close(self) -> None:
        """Nobody is answered any more. Called in the thread that attends; more than once does no harm."""
        if self._closed:
            return
        self._closed = True
        self.path.unlink(missing_ok=True)
        for caller in list(self._callers):
            self._hang_up(caller)
        self._selector.close()
        for one in (self._listener, self._bell, self._button):
            one.close()

    def _accept(self) -> None:
        with suppress(OSError):  # it is gone again
            made, _ = self._listener.accept()
            made.settimeout(_READS)
            caller = _Caller(made, self._answer)
            self._callers.add(caller)
            self._selector.register(made, selectors.EVENT_READ, lambda: self._hear(caller))

    def _hear(self, caller: _Caller) -> None:
        stays = False
        with suppress(OSError):
            stays = caller.hear()
        if not stays:
            self._hang_up(caller)

    def _hang_up(self, caller: _Caller) -> None:
        self._callers.discard(caller)
        self._selector.unregister(caller.socket)
        caller.socket.close()


class _Caller:
    """One connection. The methods that begin with `on_` are those that httptools calls."""

    def __init__(self, made: socket.socket, answer: Answer) -> None:
        from httptools import HttpRequestParser

        self.socket = made
        self._answer = answer
        self._parser = HttpRequestParser(self)
        self._asked = Asked()
        self._complete: list[Asked] = []
        self._size = 0

    def hear(self) -> bool:
        """Read what is there, and answer what is complete. Whether there may be more to come."""
        from httptools import HttpParserError, HttpParserUpgrade

        piece = self.socket.recv(_PIECE)
        self._size += len(piece)
        try:
            self._parser.feed_data(piece)
        except (HttpParserError, HttpParserUpgrade):  # no HTTP (any more): where the next request begins can't be known
            return False
        while self._complete:
            asked = self._complete.pop(0)
            self._tell(*self._answer(asked))
            if asked.last:
                return False
        return bool(piece) and self._size <= _LONGEST

    def on_url(self, url: bytes) -> None:
        """A part of the path."""
        self._asked.path += url.decode("latin1")

    def on_header(self, name: bytes, value: bytes) -> None:
        """One header."""
        known = name.lower()
        if known == b"authorization":
            self._asked.authorization = value.decode("latin1")
        elif known == b"content-type":
            self._asked.kind = value.decode("latin1")

    def on_body(self, body: bytes) -> None:
        """A part of the body."""
        self._asked.body += body

    def on_message_complete(self) -> None:
        """The request is complete."""
        asked, self._asked = self._asked, Asked()
        asked.method = self._parser.get_method().decode("latin1")
        asked.last = not self._parser.should_keep_alive()
        self._complete.append(asked)
        self._size = 0

    def _tell(self, status: int, body: bytes) -> None:
        head = f"HTTP/1.1 {status} {HTTPStatus(status).phrase}\r\n"
        if status == HTTPStatus.UNAUTHORIZED:
            head += "www-authenticate: Bearer\r\n"
        head += f"content-type: application/json\r\ncontent-length: {len(body)}\r\n\r\n"
        self.socket.sendall(head.encode() + body)
