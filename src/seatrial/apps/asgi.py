"""ASGI apps: the lifespan once, then one call of the app for each request, on one long-lived event loop."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine, Sequence
from typing import Any, TypeVar
from urllib.parse import unquote

from seatrial.apps.calls.hosted import HostedCall
from seatrial.apps.calls.http import HttpCall, HttpExchange
from seatrial.apps.calls.lifespan import VERSIONS, Application, Lifespan
from seatrial.apps.calls.waiting import GRACE, PATIENCE
from seatrial.apps.calls.websocket import WebSocketCall
from seatrial.apps.exchange import RAISES, Answer, Receive, Request, Send
from seatrial.apps.loop import Loop, was_cancelled

T = TypeVar("T")

CLIENT = ("testclient", 50000)


class AsgiGateway:
    """Calls an ASGI 3 application on a `Loop` of its own. A `Gateway`."""

    def __init__(self, app: Application) -> None:
        self._app = app
        self.loop = Loop()
        self.state: dict[str, Any] = {}
        self._lifespan: Lifespan | None = None
        self._running: dict[HttpCall | WebSocketCall | HostedCall, asyncio.Task[Any] | None] = {}
        """Touched on the loop only, but for the question whether it is empty."""

    def open(self) -> None:
        """Run the start of the lifespan, once."""
        if self._lifespan is None or self._lifespan.broken_off:
            if self._lifespan is not None:
                self.loop.run(self._lifespan.ended())
            self._lifespan = Lifespan(self._app, self.state)
            self.loop.run(self._lifespan.startup())
        self._lifespan.check()

    def answer(self, request: Request, timeout: float | None = None) -> Answer:
        """One call of the app; its background tasks have ended when this returns."""
        __tracebackhide__ = True
        return self.loop.run(self._answer(request), timeout)

    async def answer_async(self, request: Request, timeout: float | None = None) -> Answer:  # noqa: ASYNC109 - a Gateway's
        """The same, awaited from any event loop."""
        __tracebackhide__ = True
        return await self.loop.wait(self._answer(request), timeout)

    def exchange(self, request: Request) -> HttpExchange:
        """The same, step by step."""
        call = HttpCall(request, streams=True)
        return HttpExchange(call, self._drive)

    def socket(self, request: Request, subprotocols: Sequence[str]) -> WebSocketCall:
        """A WebSocket."""
        scope = self._scope(request)
        scope |= {
            "type": "websocket",
            "scheme": {"http": "ws", "https": "wss"}[request.scheme],
            "subprotocols": list(subprotocols),
            "extensions": {"websocket.http.response": {}},
        }
        del scope["method"]
        return WebSocketCall(request, scope, self._drive)

    def run(self, work: Coroutine[Any, Any, T], timeout: float | None = None) -> T:
        """Do a step on the loop."""
        __tracebackhide__ = True
        return self.loop.run(work, timeout)

    async def wait(self, work: Coroutine[Any, Any, T], timeout: float | None = None) -> T:  # noqa: ASYNC109 - a Gateway's
        """The same, awaited from any event loop."""
        __tracebackhide__ = True
        return await self.loop.wait(work, timeout)

    async def hosted(self, scope: dict[str, Any], receive: Receive, send: Send) -> None:
        """One call by a server; with the state of our lifespan, since the server runs none."""
        scope["state"] = self.state.copy()
        call = HostedCall(scope, send)
        self._running[call] = asyncio.current_task()
        try:
            await self._app(scope, receive, call.send)
            await call.returned()
        except asyncio.CancelledError as error:
            await call.end(error)
        except BaseException as error:  # noqa: BLE001 - SystemExit is the server's affair, too
            await call.returned(error)
        finally:
            del self._running[call]

    def drop(self, work: Coroutine[Any, Any, object]) -> None:
        """Have a step done on the loop, without waiting for it."""
        self.loop.drop(work)

    def abandon(self) -> list[str]:
        """Tell all that still runs that its client has gone, and cancel it."""
        return self.loop.run(self._abandon()) if self._running else []

    def close(self) -> None:
        """Run the end of the lifespan, cancel what the app left on the loop, and end the loop."""
        lifespan, self._lifespan = self._lifespan, None
        try:
            if lifespan is not None and not lifespan.broken_off:  # that one may block the loop for ever
                self.loop.run(lifespan.shutdown())
        finally:
            self.loop.stop()

    async def _answer(self, request: Request) -> Answer:
        call = HttpCall(request)
        await self._call(call, self._scope(request))
        return call.answer()

    async def _drive(self, call: HttpCall | WebSocketCall) -> None:
        """The same in a task of its own: its cancellation is told, not raised."""
        scope = call.scope if isinstance(call, WebSocketCall) else self._scope(call.request)
        try:
            await self._call(call, scope)
        except asyncio.CancelledError as error:
            cancelled = was_cancelled()
            cancelled.__cause__ = error
            call.end(None if call.gone else cancelled)

    async def _call(self, call: HttpCall | WebSocketCall, scope: dict[str, Any]) -> None:
        error: BaseException | None = None
        self._running[call] = asyncio.current_task()
        try:
            await self._app(scope, call.receive, call.send)
        except asyncio.CancelledError:
            raise
        except BaseException as raised:  # noqa: BLE001 - an answer says what the app raised, SystemExit too
            error = raised
        finally:
            del self._running[call]
        try:
            call.end(error)
        finally:
            del error  # its traceback holds this frame: no cycle that keeps the app's objects alive

    async def _abandon(self) -> list[str]:
        await asyncio.sleep(0)  # what was given up a moment ago has not heard of it yet
        hosted = [task for call, task in self._running.items() if isinstance(call, HostedCall) and task is not None]
        if hosted:
            await asyncio.wait(hosted, timeout=GRACE / 2)  # a server needs a moment to see that a browser has gone
        left = {call: task for call, task in self._running.items() if task is not None}
        told = [str(call) for call, task in left.items() if not (call.gone or task.cancelling())]
        for call in left:
            call.gone = True
            call.changes.tell()
        tasks = set(left.values())
        if tasks:
            _, stubborn = await asyncio.wait(tasks, timeout=GRACE / 10)
            for task in stubborn:
                task.cancel()
            if stubborn:
                await asyncio.wait(stubborn, timeout=PATIENCE)
        return told

    def _scope(self, request: Request) -> dict[str, Any]:
        return {
            "type": "http",
            "asgi": dict(VERSIONS),
            "http_version": "1.1",
            "method": request.method,
            "scheme": request.scheme,
            "path": unquote(request.raw_path.decode("ascii")),
            "raw_path": request.raw_path,
            "query_string": request.query,
            "root_path": request.root_path,
            "headers": list(request.headers),
            "client": CLIENT,
            "server": (request.host, request.port),
            "state": self.state.copy(),
            "extensions": {"http.response.trailers": {}, "http.response.debug": {}},
            RAISES: request.raises,
        }
