"""The protocol of Redis (RESP 2) in a few lines: our own connections need no client library.

It is described at https://redis.io/docs/latest/develop/reference/protocol-spec/.
"""

from __future__ import annotations

import contextlib
import socket
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

from seatrial.core.redact import redact
from seatrial.errors import ServerLost
from seatrial.resources.protocol import Endpoint

SOCKET = "redis.sock"
"""The unix socket of a server of ours, in its folder."""
NAME = "seatrial"
"""What our connections are called in CLIENT LIST."""
_TIMEOUT = 30.0

Word = str | bytes | int


class ReplyError(Exception):
    """The server's own words: "NOPERM ...", "LOADING ..."."""


def pack(words: Sequence[Word]) -> bytes:
    """One command as it is sent."""
    parts = [b"*%d\r\n" % len(words)]
    for word in words:
        part = word if isinstance(word, bytes) else str(word).encode()
        parts.append(b"$%d\r\n%b\r\n" % (len(part), part))
    return b"".join(parts)


class Wire:
    """One connection of ours; opened when it is first used, and again when somebody has killed it."""

    def __init__(self, endpoint: Endpoint, *, name: str = NAME, timeout: float = _TIMEOUT) -> None:
        self._endpoint = endpoint
        self._name = name
        self._timeout = timeout
        self._sock: socket.socket | None = None
        self._file: Any = None

    def ask(self, *words: Word) -> Any:
        """One command, one reply.

        Raises:
            ReplyError: the server refuses it.
            ServerLost: it does not answer.
        """
        return self.ask_all([words])[0]

    def ask_all(self, commands: Iterable[Sequence[Word]]) -> list[Any]:
        """Many commands in one round trip. Raises `ReplyError` for the first that is refused."""
        packed = [pack(words) for words in commands]
        return self.send(b"".join(packed), len(packed))

    def send(self, packed: bytes, count: int) -> list[Any]:
        """Send `count` commands that are packed already, and read as many replies."""
        fresh = self._sock is None
        try:
            replies = self._exchange(packed, count)
        except (OSError, EOFError) as error:
            if fresh:
                raise self._lost(error) from error
            try:  # somebody killed our connection, or the server is gone
                replies = self._exchange(packed, count)
            except (OSError, EOFError) as again:
                raise self._lost(again) from again
        for reply in replies:
            if isinstance(reply, ReplyError):
                raise reply
        return replies

    def next(self) -> bytes:
        """The next line of a connection that MONITORs. Raises `EOFError` at its end."""
        return bytes(self._read())

    def rename(self, name: str) -> None:
        """What it is called in CLIENT LIST, also when it had to be opened again."""
        self._name = name
        self.ask("CLIENT", "SETNAME", name)

    def close(self) -> None:
        """Close it. The next use opens it again."""
        for part in (self._file, self._sock):
            if part is not None:
                with contextlib.suppress(OSError):
                    part.close()
        self._sock = self._file = None

    def _exchange(self, packed: bytes, count: int) -> list[Any]:
        try:
            if self._sock is None:
                self._open()
            assert self._sock is not None
            self._sock.sendall(packed)
            return [self._read() for _ in range(count)]
        except BaseException:  # a time-out of the test's as well: a reply may be on its way, to nobody
            self.close()
            raise

    def _open(self) -> None:
        admin, folder = self._endpoint.admin, self._endpoint.socket_folder
        self._sock = _connected(str(folder / SOCKET) if folder else (admin.host, admin.port), self._timeout)
        if admin.scheme == "rediss":
            import ssl

            self._sock = ssl.create_default_context().wrap_socket(self._sock, server_hostname=admin.host)
        self._file = self._sock.makefile("rb")
        if admin.password:
            login = ("AUTH", admin.user, admin.password) if admin.user else ("AUTH", admin.password)
            self._greet(pack(login))
        self._greet(pack(("CLIENT", "SETNAME", self._name)))

    def _greet(self, packed: bytes) -> None:
        assert self._sock is not None
        self._sock.sendall(packed)
        reply = self._read()
        if isinstance(reply, ReplyError):
            self.close()
            raise reply

    def _read(self) -> Any:
        line = self._file.readline()
        if not line.endswith(b"\r\n"):
            raise EOFError("the server closed the connection")
        sort, rest = line[:1], line[1:-2]
        if sort == b"+":
            return rest
        if sort == b":":
            return int(rest)
        if sort == b"$":
            return None if rest == b"-1" else self._bulk(int(rest))
        if sort == b"*":
            return None if rest == b"-1" else [self._read() for _ in range(int(rest))]
        return ReplyError(redact(rest.decode(errors="replace"), self._endpoint.admin.password))

    def _bulk(self, size: int) -> bytes:
        data: bytes = self._file.read(size + 2)
        if len(data) != size + 2:
            raise EOFError("the server closed the connection")
        return data[:-2]

    def _lost(self, error: Exception) -> ServerLost:
        admin = self._endpoint.admin
        return ServerLost(
            f"the {self._endpoint.kind} server at {admin.host}:{admin.port} does not answer",
            cause=redact(str(error) or type(error).__name__, admin.password),
            fix="see its log: a test may have ended it",
        )


def _connected(where: str | tuple[str, int], timeout: float) -> socket.socket:
    if isinstance(where, tuple):
        return socket.create_connection(where, timeout)
    sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    sock.settimeout(timeout)
    try:
        sock.connect(str(Path(where)))
    except OSError:
        sock.close()
        raise
    return sock


def information(text: bytes) -> dict[str, str]:
    """What INFO tells, by name."""
    lines = text.decode(errors="replace").splitlines()
    return {name: value for name, colon, value in (line.partition(":") for line in lines) if colon}
