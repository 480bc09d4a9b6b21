"""The protocol of NATS in a few lines: requests and replies of our own need no client library, and no event loop.

It is described at https://docs.nats.io/reference/reference-protocols/nats-protocol.
"""

from __future__ import annotations

import contextlib
import json
import secrets
import socket
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from seatrial.core.redact import redact
from seatrial.errors import ServerLost
from seatrial.resources.protocol import Endpoint

_TIMEOUT = 30.0
_ARCHIVE = "_ARCHIVE."


class Failure(Exception):
    """What JetStream says to a request that it refuses."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Message:
    """What came in: `headers` as they are on the wire, empty where there are none."""

    subject: str
    reply: str
    headers: bytes
    payload: bytes


@dataclass(frozen=True, slots=True, kw_only=True)
class Request:
    """What is sent, and answered."""

    subject: str
    payload: bytes = b""
    headers: bytes = b""


class Wire:
    """One connection of ours, opened when it is first used, and again when it broke between two uses."""

    def __init__(self, endpoint: Endpoint, *, timeout: float = _TIMEOUT) -> None:
        self._endpoint = endpoint
        self._timeout = timeout
        self._inbox = f"_INBOX.seatrial.{secrets.token_hex(8)}"
        self._sock: socket.socket | None = None
        self._file: Any = None
        self._count = 0
        self._early: list[Message] = []

    def version(self) -> str:
        """What the server says it is, when one connects."""
        self.close()
        return str(self._open()["version"])

    def api(self, subject: str, **arguments: Any) -> dict[str, Any]:
        """One request to JetStream. Raises `Failure` in its words, `ServerLost` if nobody answers."""
        return self.api_all([(subject, arguments)])[0]

    def api_all(self, requests: Iterable[tuple[str, dict[str, Any]]]) -> list[dict[str, Any]]:
        """Many requests in one round trip, and their replies in the same order."""
        return [decoded(message) for message in self.request_all([question(*request) for request in requests])]

    def request_all(self, requests: Iterable[Request]) -> list[Message]:
        """Many requests in one round trip, and their replies in the same order. Raises `ServerLost`."""
        waiting = list(requests)
        fresh = self._sock is None
        try:
            return self._exchange(waiting)
        except (OSError, EOFError) as error:
            if fresh:
                raise self._lost(error) from error
        try:  # it broke since the last use, or the server is gone
            return self._exchange(waiting)
        except (OSError, EOFError) as error:
            raise self._lost(error) from error

    def inbox(self) -> str:
        """A subject that reaches us, and nobody else."""
        self._count += 1
        return f"{self._inbox}.{self._count}"

    @contextlib.contextmanager
    def listening(self) -> Iterator[str]:
        """A subject of its own that reaches us for a while.

        An archive is sent at once only to a subject that somebody listens to by its very name: the server waits two
        seconds for one that only a wildcard catches.
        """
        self._count += 1
        subject, number = f"{_ARCHIVE}{self._inbox}.{self._count}", self._count + 1
        self._send(f"SUB {subject} {number}\r\n".encode())
        try:
            yield subject
        finally:
            if self._sock is not None:
                self._send(f"UNSUB {number}\r\n".encode())

    def publish(self, subject: str, payload: bytes = b"", reply: str = "", headers: bytes = b"") -> None:
        """Send a message."""
        where = f"{subject} {reply} " if reply else f"{subject} "
        if headers:
            line = f"HPUB {where}{len(headers)} {len(headers) + len(payload)}\r\n"
        else:
            line = f"PUB {where}{len(payload)}\r\n"
        self._send(line.encode() + headers + payload + b"\r\n")

    def next(self) -> Message:
        """The next message to a subject of ours, also one that came between the replies to a request."""
        return self._early.pop(0) if self._early else self._read()

    def _send(self, data: bytes) -> None:
        with self._in_step():
            if self._sock is None:
                self._open()
            assert self._sock is not None
            self._sock.sendall(data)

    def _read(self) -> Message:
        with self._in_step():
            return self._next()

    @contextlib.contextmanager
    def _in_step(self) -> Iterator[None]:
        """What is broken off, as by a time-out of the test's, has half a message on its way: it is closed."""
        try:
            yield
        except BaseException:
            self.close()
            raise

    def _next(self) -> Message:
        while True:
            line = self._file.readline()
            if not line.endswith(b"\n"):
                raise EOFError("the server closed the connection")
            verb, *words = line.decode().split()
            if verb == "PING":
                assert self._sock is not None
                self._sock.sendall(b"PONG\r\n")
            elif verb in ("MSG", "HMSG"):
                sizes = 1 if verb == "MSG" else 2
                total = int(words[-1])
                split = int(words[-2]) if verb == "HMSG" else 0
                data = self._file.read(total + 2)[:-2]
                reply = words[2] if len(words) == 3 + sizes else ""
                return Message(subject=words[0], reply=reply, headers=data[:split], payload=data[split:])
            elif verb == "-ERR":
                raise EOFError(redact(" ".join(words), self._endpoint.admin.password))

    def close(self) -> None:
        """Close it. The next use opens it again."""
        for part in (self._file, self._sock):
            if part is not None:
                with contextlib.suppress(OSError):
                    part.close()
        self._sock = self._file = None
        self._early.clear()

    def _exchange(self, requests: list[Request]) -> list[Message]:
        subjects = [self.inbox() for _ in requests]
        for request, reply in zip(requests, subjects, strict=True):
            self.publish(request.subject, request.payload, reply, request.headers)
        found: dict[str, Message] = {}
        while len(found) < len(subjects):
            message = self._read()
            if message.subject in subjects:
                found[message.subject] = message
            elif message.subject.startswith(_ARCHIVE):
                self._early.append(message)
        return [found[subject] for subject in subjects]

    def _open(self) -> dict[str, Any]:
        admin = self._endpoint.admin
        self._sock = socket.create_connection((admin.host, admin.port), self._timeout)
        self._file = self._sock.makefile("rb")
        greeting = self._file.readline()
        try:
            told: dict[str, Any] = json.loads(greeting.removeprefix(b"INFO ") or b"{}")
        except ValueError:  # no NATS, or one that takes no more connections
            self.close()
            raise EOFError(redact(greeting.decode(errors="replace").strip(), admin.password)) from None
        login = {"user": admin.user, "pass": admin.password} if admin.user else {}
        hello = {"verbose": False, "pedantic": False, "headers": True, "no_responders": True, "name": "seatrial"}
        self._sock.sendall(b"CONNECT " + json.dumps({**hello, **login, "lang": "python", "version": "0"}).encode())
        self._sock.sendall(f"\r\nSUB {self._inbox}.* 1\r\nPING\r\n".encode())
        answer = self._file.readline()
        if answer.strip() != b"PONG":
            self.close()
            raise EOFError(redact(answer.decode(errors="replace").strip(), admin.password) or "it hung up")
        return told

    def _lost(self, error: Exception) -> ServerLost:
        admin = self._endpoint.admin
        return ServerLost(
            f"the nats server at {admin.host}:{admin.port} does not answer",
            cause=str(error) or type(error).__name__,
            fix="see its log: a test may have ended it",
        )


def question(subject: str, arguments: Mapping[str, Any]) -> Request:
    """What JetStream is asked."""
    return Request(subject=f"$JS.API.{subject}", payload=json.dumps(arguments).encode())


def decoded(message: Message) -> dict[str, Any]:
    """What JetStream replied. Raises `Failure` where it refused, in its words."""
    if not message.payload:
        raise Failure(message.headers.decode(errors="replace").strip() or "an empty reply")
    told: dict[str, Any] = json.loads(message.payload)
    if "error" in told:
        raise Failure(told["error"].get("description", "refused"))
    return told
