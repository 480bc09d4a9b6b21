"""WSGI apps: one call of the app for each request, in the thread that made it."""

from __future__ import annotations

import asyncio
import sys
import weakref
from collections.abc import Callable, Coroutine, Iterator, Mapping, Sequence
from contextlib import contextmanager
from types import MappingProxyType
from typing import Any, TypeVar

from seatrial.apps.calls.hosted import HostedCall
from seatrial.apps.calls.waiting import GRACE
from seatrial.apps.calls.wsgi import Application, WsgiCall, WsgiExchange, no_response
from seatrial.apps.exchange import Answer, Receive, Request, Send, Socket
from seatrial.apps.loop import Loop
from seatrial.apps.observe.signals import Signals
from seatrial.apps.waking import TooSlow
from seatrial.core.wait import now, until
from seatrial.errors import AppError

T = TypeVar("T")


class WsgiGateway:
    """Calls a WSGI application. A `Gateway`; WSGI has neither a start nor an end."""

    def __init__(self, app: Application) -> None:
        self._app = app
        self.loop = Loop()
        """Where a server may live; the app itself is called in threads."""
        self._signals = Signals()
        self._exchanges: weakref.WeakSet[WsgiExchange] = weakref.WeakSet()
        self._answering: set[WsgiCall] = set()
        self.state: Mapping[str, Any] = MappingProxyType({})

    def open(self) -> None:
        """Listen to Flask and Django, which answer an exception with a page."""
        self._signals.listen()

    def answer(self, request: Request, timeout: float | None = None) -> Answer:
        """One call of the app."""
        __tracebackhide__ = True
        with _in_time(timeout):
            return self._answer(request)

    def _answer(self, request: Request) -> Answer:
        __tracebackhide__ = True
        call = WsgiCall(request)
        error: BaseException | None = None
        self._answering.add(call)
        try:
            call.run(self._app)
        except Exception as raised:  # noqa: BLE001 - an answer says what the app raised
            error = raised
        finally:
            self._answering.discard(call)
        try:
            return call.answer(error)
        finally:
            del error  # its traceback holds this frame: no cycle that keeps the app's objects alive

    async def answer_async(self, request: Request, timeout: float | None = None) -> Answer:  # noqa: ASYNC109 - a Gateway's
        """The same, in a worker thread of the running loop."""
        return await _in_a_thread(lambda: self._answer(request), timeout)

    def exchange(self, request: Request) -> WsgiExchange:
        """The same, step by step."""
        exchange = WsgiExchange(self._app, request)
        self._exchanges.add(exchange)
        return exchange

    def socket(self, request: Request, subprotocols: Sequence[str]) -> Socket:  # noqa: ARG002 - a Gateway's
        """WSGI has none."""
        raise AppError(
            f"The app can't open a WebSocket at {request.raw_path.decode('ascii', 'replace')}.",
            cause="it is a WSGI application, and WSGI knows requests and responses only",
            fix="let `app` name the ASGI application that serves the WebSockets",
        )

    def run(self, work: Coroutine[Any, Any, T], timeout: float | None = None) -> T:
        """Do a step of an exchange, in this thread: none of them ever waits for a loop."""
        __tracebackhide__ = True
        with _in_time(timeout):
            try:
                work.send(None)
            except StopIteration as done:
                value: T = done.value
                return value
        raise AssertionError("a step of WSGI waits for nobody")

    async def wait(self, work: Coroutine[Any, Any, T], timeout: float | None = None) -> T:  # noqa: ASYNC109 - a Gateway's
        """The same, in a worker thread of the running loop."""
        __tracebackhide__ = True
        return await _in_a_thread(lambda: self.run(work), timeout)

    async def hosted(self, scope: dict[str, Any], receive: Receive, send: Send) -> None:
        """One call by a server, in threads: the whole body first, then piece by piece."""
        if scope["type"] != "http":
            await send({"type": "websocket.close", "code": 1000, "reason": "WSGI has no WebSockets"})
            return
        call = HostedCall(scope, send)
        exchange = self.exchange(_request(scope, await _body(receive)))
        exchange.hosted = True
        answer = await self.wait(exchange.begun())
        if answer.status is None:
            raise answer.error or no_response(exchange.request)
        await call.send({"type": "http.response.start", "status": answer.status, "headers": list(answer.headers)})
        leaving = asyncio.ensure_future(receive())  # nothing comes any more but the client's departure
        try:
            while not leaving.done() and (pieces := await self.wait(exchange.pieces())):
                await call.send({"type": "http.response.body", "body": b"".join(pieces), "more_body": True})
        finally:
            leaving.cancel()
            await self.wait(exchange.leave())
        answer = await self.wait(exchange.answer())
        if answer.whole:  # what is broken off has no end: the server sees to that
            await call.send({"type": "http.response.body", "body": b""})
        await call.returned(answer.error)

    def drop(self, work: Coroutine[Any, Any, object]) -> None:
        """Do a step now: it does not take long to close a response."""
        self.run(work)

    def abandon(self) -> list[str]:
        """Close the responses that were left open. A call that runs in another thread can't be ended from here."""
        if any(exchange.hosted or exchange.gone for exchange in self._open()) or self._answering:
            # A server needs a moment to see that its client has gone, and a response to end after its last byte.
            until(lambda: not (self._open() or self._answering), timeout=GRACE / 2)
        left, calls = self._open(), list(self._answering)
        self._exchanges.clear()
        self._answering.clear()  # each is named once, not with every test that follows
        for exchange in left:
            self.run(exchange.leave())
        return [str(each) for each in (*left, *calls)]

    def _open(self) -> list[WsgiExchange]:
        return [exchange for exchange in list(self._exchanges) if exchange.open]

    def close(self) -> None:
        """Stop listening."""
        self.loop.stop()
        self._signals.close()


@contextmanager
def _in_time(timeout: float | None) -> Iterator[None]:
    """Raises `TooSlow` where the block took longer: a thread can't be interrupted, so it comes when that has ended."""
    began = now()
    yield
    if timeout is not None and now() - began > timeout:
        raise TooSlow


async def _in_a_thread(work: Callable[[], T], timeout: float | None) -> T:  # noqa: ASYNC109 - a Gateway's
    # anyio's, if it is there: the test's loop may be trio's.
    if "trio" in sys.modules:
        from anyio import move_on_after
        from anyio.to_thread import run_sync

        with move_on_after(timeout):
            return await run_sync(work, abandon_on_cancel=True)
        raise TooSlow
    ended = asyncio.ensure_future(asyncio.to_thread(work))
    done, _ = await asyncio.wait({ended}, timeout=timeout)
    if not done:
        raise TooSlow
    return ended.result()


async def _body(receive: Receive) -> list[bytes]:
    pieces, more = [], True
    while more:
        message = await receive()
        more = message.get("more_body", False)
        pieces.append(message.get("body", b""))
    return pieces


def _request(scope: dict[str, Any], pieces: list[bytes]) -> Request:
    host, port = scope["server"]
    path = scope["raw_path"]
    return Request(scope["method"], scope["scheme"], host, port, path, scope["query_string"], scope["headers"], pieces)
