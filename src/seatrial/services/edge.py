"""One service's own address for another: whoever calls there is known, and each call is passed on, and seen."""

from __future__ import annotations

import socket
import threading
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import ExitStack, suppress
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import quote

from seatrial.core.wait import until
from seatrial.services.departure import Departure

HOST = "127.0.0.1"
HOP_BY_HOP = frozenset(
    {"connection", "keep-alive", "proxy-connection", "te", "trailer", "transfer-encoding", "upgrade"}
)
"""Headers of one connection, not of the message (RFC 9110, 7.6.1)."""
_ASCII = bytes(range(128))
NO_GATEWAY = 502
GRACE = 1.0
"""Seconds in which an answer may come to its end whose caller has gone."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Call:
    """A request that came to an edge."""

    method: str
    target: str
    """Path and query, as they stood in the request; percent-encoded where that was not ASCII."""
    headers: Sequence[tuple[str, str]]
    body: bytes


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Reply:
    """What is passed back."""

    status: int
    headers: Sequence[tuple[str, str]]
    body: Iterable[bytes]
    """Raises where it is broken off."""
    leave: Callable[[], None] = lambda: None
    """The caller has gone: end it. May be called while a piece is awaited, from another thread, and again."""


Answer = Callable[[Call], Reply]
"""Passes a call on. Raises OSError where nobody is there."""


class Edge:
    """A server on a loopback port that is fixed from the start; it answers between `open` and `close`.

    Args:
        caller: who calls here.
        answerer: who is called.
        answer: passes a call on.
    """

    def __init__(self, caller: str, answerer: str, answer: Answer) -> None:
        self.host = HOST
        self.caller = caller
        self.answerer = answerer
        self._answer = answer
        # With IPPROTO_TCP, so that TCP_NODELAY can be set on what it accepts.
        self._socket = socket.socket(socket.AF_INET, socket.SOCK_STREAM, socket.IPPROTO_TCP)
        self._socket.bind((HOST, 0))
        self.port: int = self._socket.getsockname()[1]
        self.url = f"http://{HOST}:{self.port}"
        self._server: _Server | None = None

    def open(self) -> None:
        """Answer from now on. The second call does nothing."""
        if self._server is not None:
            return
        server = _Server((HOST, self.port), _Handler, bind_and_activate=False)
        server.answer, server.answering = self._answer, set()
        server.socket.close()
        server.socket = self._socket
        server.server_name, server.server_port = HOST, self.port
        server.server_activate()
        self._server = server
        name = f"seatrial-{self.caller}-to-{self.answerer}"
        threading.Thread(target=server.serve_forever, args=(0.05,), name=name, daemon=True).start()

    def settle(self) -> None:
        """Wait a moment for answers whose callers have had enough of them."""
        server = self._server
        if server is not None:
            until(lambda: not server.answering, timeout=GRACE)

    def close(self) -> None:
        """Answer no more, and give up the port. The second call does nothing."""
        server, self._server = self._server, None
        if server is not None:
            server.shutdown()
            server.server_close()
        self._socket.close()


class _Server(ThreadingHTTPServer):
    """Threads that nobody waits for: one may sit on a kept connection of a service that has ended."""

    answer: Answer
    answering: set[Reply]
    """Those that are on their way."""
    daemon_threads = True
    block_on_close = False

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Whoever called has gone: nothing to tell, and no traceback in the midst of a test's output."""


class _Handler(BaseHTTPRequestHandler):
    """One connection: every method is passed on."""

    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    server: _Server

    def __getattr__(self, name: str) -> Any:
        if name.startswith("do_"):
            return self._pass_on  # every method
        raise AttributeError(name)

    def log_message(self, *_: Any) -> None:
        """Nothing is printed."""

    def _pass_on(self) -> None:
        target = quote(self.path, safe=_ASCII, encoding="latin-1")  # bytes, written as latin-1
        headers = _kept(self.headers.items())
        call = Call(method=self.command, target=target, headers=headers, body=b"".join(self._body()))
        try:
            reply = self.server.answer(call)
        except OSError as error:
            text = f"seatrial: nobody answered: {error}\n".encode()
            reply = Reply(status=NO_GATEWAY, headers=[("content-type", "text/plain")], body=[text])
        self.server.answering.add(reply)
        try:
            self._send(reply)
        finally:
            self.server.answering.discard(reply)

    def _body(self) -> Iterator[bytes]:
        if self.headers.get("transfer-encoding", "").lower() != "chunked":
            yield self.rfile.read(int(self.headers.get("content-length") or 0))
            return
        while size := int(self.rfile.readline().split(b";")[0], 16):
            yield self.rfile.read(size)
            self.rfile.readline()
        while self.rfile.readline().strip():
            continue  # trailers

    def _send(self, reply: Reply) -> None:
        due = self._begin(reply)
        chunked = due is None and self.request_version >= "HTTP/1.1"
        if chunked:
            self.send_header("transfer-encoding", "chunked")
        elif due is None:
            self.send_header("connection", "close")  # whose end is that of the body
        with ExitStack() as after:
            after.callback(reply.leave)
            self.end_headers()
            if due is None:
                after.callback(Departure(self.connection, reply.leave).close)
            for piece in reply.body:
                sent = piece[:due]
                due = None if due is None else due - len(sent)
                if sent:
                    self.wfile.write(b"%x\r\n%b\r\n" % (len(sent), sent) if chunked else sent)
        if chunked:
            with suppress(OSError):
                self.wfile.write(b"0\r\n\r\n")
        elif due:
            self.close_connection = True  # less has come than was said: nobody is to wait for the rest

    def _begin(self, reply: Reply) -> int | None:
        """Status and headers, but for the end of these; returns the length of the body, where it is known."""
        due: int | None = None
        self.send_response_only(reply.status)
        for name, value in _kept(reply.headers):
            self.send_header(name, value)
            if name.lower() == "content-length" and value.isdigit():
                due = int(value)
        bodiless = self.command == "HEAD" or reply.status in (204, 304) or reply.status < 200  # noqa: PLR2004 - RFC 9110, 6.4.1
        return 0 if bodiless else due


def _kept(headers: Iterable[tuple[str, str]]) -> list[tuple[str, str]]:
    return [(name, value) for name, value in headers if name.lower() not in HOP_BY_HOP]
