"""Messages of PostgreSQL's protocol, version 3: cut from a stream, and made."""

from __future__ import annotations

import socket
import struct
from collections.abc import Mapping
from contextlib import suppress

_CHUNK = 65536
_LENGTH = struct.Struct("!I")

PARSE_COMPLETE, BIND_COMPLETE, CLOSE_COMPLETE = b"1\0\0\0\4", b"2\0\0\0\4", b"3\0\0\0\4"
NO_DATA, EMPTY_QUERY = b"n\0\0\0\4", b"I\0\0\0\4"
SYNC = b"S\0\0\0\4"


class Stream:
    """A socket, read message by message. Raises `EOFError` where the other side has gone."""

    def __init__(self, connection: socket.socket) -> None:
        self._socket = connection
        self._buffer = bytearray()

    def message(self) -> tuple[bytes, bytes]:
        """The next message: its kind, and all of it."""
        self._fill(5)
        size = _LENGTH.unpack_from(self._buffer, 1)[0] + 1
        return bytes(self._buffer[:1]), self._take(size)

    def opening(self) -> bytes:
        """The first message of a connection, which has no kind: what follows its length."""
        self._fill(4)
        return self._take(_LENGTH.unpack_from(self._buffer)[0])[4:]

    def send(self, data: bytes) -> None:
        """Send, however long that takes."""
        try:
            self._socket.sendall(data)
        except OSError as error:
            raise EOFError(str(error)) from error

    def close(self) -> None:
        """Close, and wake up who waits for a message."""
        with suppress(OSError):  # the other side was faster
            self._socket.shutdown(socket.SHUT_RDWR)
        self._socket.close()

    def _fill(self, size: int) -> None:
        while len(self._buffer) < size:
            try:
                more = self._socket.recv(_CHUNK)
            except OSError as error:
                raise EOFError(str(error)) from error
            if not more:
                raise EOFError("the connection was closed")
            self._buffer += more

    def _take(self, size: int) -> bytes:
        self._fill(size)
        taken = bytes(self._buffer[:size])
        del self._buffer[:size]
        return taken


def make(kind: bytes, body: bytes = b"") -> bytes:
    """A message."""
    return kind + _LENGTH.pack(len(body) + 4) + body


def decoded(text: bytes) -> str:
    """A statement, to be read: in whichever encoding it is, `encoded` has the same bytes again."""
    return text.decode(errors="surrogateescape")


def encoded(text: str) -> bytes:
    """What `decoded` was made of."""
    return text.encode(errors="surrogateescape")


def query(text: str) -> bytes:
    """A simple query."""
    return make(b"Q", encoded(text) + b"\0")


def ready(status: bytes) -> bytes:
    """The end of an answer: "I" outside a transaction, "T" in one, "E" in one that has failed."""
    return make(b"Z", status)


def complete(tag: str) -> bytes:
    """A statement is done."""
    return make(b"C", tag.encode() + b"\0")


def error(message: str, *, code: str, hint: str = "", fatal: bool = False) -> bytes:
    """An error of our own, as the server would send it."""
    word = "FATAL" if fatal else "ERROR"
    fields = {"S": word, "V": word, "C": code, "M": message, "H": hint}
    return make(b"E", b"".join(f"{key}{text}\0".encode() for key, text in fields.items() if text) + b"\0")


def fields(message: bytes) -> dict[str, str]:
    """The fields of an error or a notice, by their letters."""
    parts = message[5:].split(b"\0")
    return {part[:1].decode(): part[1:].decode(errors="replace") for part in parts if part}


def first_string(body: bytes) -> tuple[bytes, bytes]:
    """A string up to its zero byte, and what follows."""
    text, _, rest = body.partition(b"\0")
    return text, rest


def parameters(body: bytes) -> Mapping[str, str]:
    """What a connection says of itself when it opens."""
    parts = body.decode(errors="replace").split("\0")
    return dict(zip(parts[0::2], parts[1::2], strict=False))
