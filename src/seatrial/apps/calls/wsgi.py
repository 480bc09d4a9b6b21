"""One call of a WSGI app: as the app sees it (PEP 3333), and as its client does, piece by piece."""

from __future__ import annotations

import contextvars
import io
import sys
import threading
from collections.abc import Callable, Iterable, Iterator
from dataclasses import replace
from types import TracebackType
from typing import Any, TypeVar
from urllib.parse import unquote_to_bytes

from seatrial.apps.exchange import RAISED, RAISES, Answer, Request
from seatrial.errors import AppError

Application = Callable[[dict[str, Any], Callable[..., Any]], Iterable[bytes]]
T = TypeVar("T")
ExcInfo = tuple[type[BaseException], BaseException, TracebackType]


class WsgiExchange:
    """A request under way: its response is asked for piece by piece. An `Exchange`."""

    def __init__(self, app: Application, request: Request) -> None:
        self._app = app
        self.request = request
        self._call = WsgiCall(request)
        self._uploaded: list[bytes] = []
        # Flask sets context variables in one step and takes them back in a later one, maybe in another thread.
        self._context = contextvars.copy_context()
        self._result: Iterable[bytes] | None = None
        self._iterator: Iterator[bytes] | None = None
        self._error: BaseException | None = None
        self._whole = True
        self._held: list[bytes] = []
        self._over = False
        self._at_work = threading.Lock()
        self.gone = False
        """Whether the client has gone."""
        self.hosted = False
        """Whether a server asks for it, and no client of ours."""

    def __str__(self) -> str:
        return str(self.request)

    @property
    def open(self) -> bool:
        """Whether the app was called, and the response has neither come to its end nor been closed."""
        return not (self._call.fresh or self._over)

    async def start(self) -> None:
        """Nothing: the whole body of the request must be there first."""

    async def upload(self, piece: bytes) -> bool:
        """Keep it: WSGI reads a body as a file."""
        self._uploaded.append(piece)
        return True

    async def uploaded(self) -> None:
        """The pieces are all there."""

    async def begun(self) -> Answer:
        """The app is called, and asked for its first piece: it may begin its response no earlier."""
        if self._uploaded:
            self._call = WsgiCall(replace(self.request, pieces=self._uploaded))
        self._step(self._begin)
        answer = self._call.answer(self._error)
        self._error = None if answer.status is None else answer.error
        return replace(answer, body=b"", error=None if self._error else answer.error)

    async def pieces(self) -> list[bytes]:
        """One, or what the app has written."""
        held, self._held = self._held, []
        while not any(held) and self._iterator is not None and not self.gone:
            held = self._step(self._next)
        return [] if self.request.method == "HEAD" else held

    async def answer(self) -> Answer:
        """What has not been taken, and what the app raised."""
        if self._result is None and self._iterator is None and self._call.fresh:
            await self.begun()
        body = b""
        while piece := await self.pieces():
            body += b"".join(piece)
        error, self._error = self._error, None
        return replace(self._call.answer(error), body=body, whole=self._whole)

    async def leave(self) -> None:
        """The response is closed, as a server does when its client has gone; by a thread that is in it, at its end."""
        self.gone = True
        self._close_if_left()

    def _step(self, work: Callable[[], T]) -> T:
        with self._at_work:
            done = self._context.run(work)
        self._close_if_left()
        return done

    def _close_if_left(self) -> None:
        if self.gone and self._at_work.acquire(blocking=False):  # otherwise whoever is at work comes here next
            try:
                self._context.run(self._close)
            finally:
                self._at_work.release()

    def _begin(self) -> None:
        try:
            self._result = self._call.call(self._app)
            self._iterator = iter(self._result)
        except Exception as error:  # noqa: BLE001 - an answer says what the app raised
            self._error, self._whole, self._over = error, False, True
            return
        self._held = self._next()

    def _next(self) -> list[bytes]:
        """The next piece, after what was written by the way; closes the response at its end."""
        assert self._iterator is not None
        piece = b""
        try:
            piece = bytes(next(self._iterator))
        except StopIteration:
            self._close()
        except Exception as error:  # noqa: BLE001 - an answer says what the app raised
            self._error, self._whole = error, False
            self._close()
        return [*self._call.written(), piece] if piece else self._call.written()

    def _close(self) -> None:
        result, self._result, self._iterator, self._over = self._result, None, None, True
        close = getattr(result, "close", None)
        try:
            if close is not None:
                close()
        except Exception as error:  # noqa: BLE001 - an answer says what the app raised
            self._error = self._error or error


class WsgiCall:
    """One HTTP request as an app sees it: environ and start_response (PEP 3333)."""

    def __init__(self, request: Request) -> None:
        self._request = request
        self._status: int | None = None
        self._headers: list[tuple[bytes, bytes]] = []
        self._called = False
        self._body: list[bytes] = []
        self._raised: list[BaseException] = []

    def __str__(self) -> str:
        return str(self._request)

    @property
    def fresh(self) -> bool:
        """Whether the app has not been called yet."""
        return not self._called

    def call(self, app: Application) -> Iterable[bytes]:
        """Call `app`."""
        self._called = True
        return app(self._environ(), self._start_response)

    def written(self) -> list[bytes]:
        """What the app has written beside its result, since the last time."""
        body, self._body = self._body, []
        return body

    def run(self, app: Application) -> None:
        """Call `app`, take the whole body, and close it."""
        result = self.call(app)
        try:
            self._body.extend(bytes(piece) for piece in result)
        finally:
            close = getattr(result, "close", None)
            if close is not None:
                close()

    def answer(self, error: BaseException | None) -> Answer:
        """What the app has sent, and raised or announced."""
        if error is None and self._raised:
            error = self._raised[0]
        if error is None and self._status is None:
            error = no_response(self._request)
        body = b"" if self._request.method == "HEAD" else b"".join(self._body)
        return Answer(self._status, self._headers, body, error)

    def _start_response(
        self, status: str, headers: list[tuple[str, str]], exc_info: ExcInfo | None = None
    ) -> Callable[[bytes], None]:
        if exc_info is not None:
            self._raised.append(exc_info[1])
        elif self._status is not None:
            raise AppError(
                f"The app called start_response() twice for {self._request}.",
                cause="only an error may replace a response that was begun",
                fix="pass exc_info=sys.exc_info() the second time, or call it once",
            )
        self._headers = [(name.encode("latin-1"), value.encode("latin-1")) for name, value in headers]
        self._status = int(status.split(" ", 1)[0])
        return self._write

    def _write(self, piece: bytes) -> None:
        self._body.append(piece)

    def _environ(self) -> dict[str, Any]:
        request = self._request
        body = b"".join(request.pieces)
        path = unquote_to_bytes(request.raw_path).decode("latin-1")  # PEP 3333: bytes, written as latin-1
        environ = {
            "REQUEST_METHOD": request.method,
            "SCRIPT_NAME": request.root_path,
            "PATH_INFO": path.removeprefix(request.root_path),
            "QUERY_STRING": request.query.decode("latin-1"),
            "SERVER_NAME": request.host,
            "SERVER_PORT": str(request.port),
            "SERVER_PROTOCOL": "HTTP/1.1",
            "REMOTE_ADDR": "127.0.0.1",
            "REMOTE_PORT": "50000",
            "wsgi.version": (1, 0),
            "wsgi.url_scheme": request.scheme,
            "wsgi.input": io.BytesIO(body),
            "wsgi.input_terminated": True,  # a body of unknown length may be read to its end
            "wsgi.errors": sys.stderr,
            "wsgi.multithread": True,
            "wsgi.multiprocess": False,
            "wsgi.run_once": False,
            RAISED: self._raised,
            RAISES: request.raises,
        }
        for name, value in request.headers:
            key = name.decode("latin-1").upper().replace("-", "_")
            if key not in ("CONTENT_TYPE", "CONTENT_LENGTH"):
                key = f"HTTP_{key}"
            text = value.decode("latin-1")
            joint = "; " if key == "HTTP_COOKIE" else ","
            environ[key] = f"{environ[key]}{joint}{text}" if key in environ else text
        return environ


def no_response(request: Request) -> AppError:
    """An app that never answered."""
    return AppError(
        f"The app returned without a response to {request}.",
        cause="it never called start_response()",
        fix="every path through the app and its middleware must call it",
    )
