"""The app of this process on a real socket: for browsers, SDKs, and other processes."""

from __future__ import annotations

import asyncio
import contextlib
import importlib.util
import socket
from collections.abc import Awaitable, Callable
from typing import Any, Literal

from seatrial.apps.calls.hosted import refuse
from seatrial.apps.exchange import Receive, Send
from seatrial.apps.loop import Loop
from seatrial.errors import AppError

_HOST = "127.0.0.1"
_TICK = 0.005
_PATIENCE = 5.0

Hosted = Callable[[dict[str, Any], Receive, Send], Awaitable[None]]


class Live:
    """A server for an app that is called on `loop`. Its address is fixed when it is made, and lasts.

    Between two tests it answers 503: what comes then (a page that asks again and again) belongs to no test.

    Args:
        hosted: the app, as a server calls it.
        loop: where the app lives; the server lives there, too, so that the app's pools serve it as well.
    """

    def __init__(self, hosted: Hosted, loop: Loop) -> None:
        self._hosted = hosted
        self._loop = loop
        # With IPPROTO_TCP: asyncio sets TCP_NODELAY only on sockets that say so, and without it a request on a kept
        # connection waits 40 ms for an acknowledgement.
        self._socket = socket.socket(socket.AF_INET, socket.SOCK_STREAM, socket.IPPROTO_TCP)
        self._socket.bind((_HOST, 0))
        self.base_url = f"http://{_HOST}:{self._socket.getsockname()[1]}"
        self.open = False
        """Whether a test is running that asked for it."""
        self._server: Any = None
        self._task: asyncio.Task[None] | None = None

    def serve(self) -> str:
        """Have it run, and open; returns `base_url`. Raises `AppError` where there is no uvicorn."""
        if self._server is None:
            server = self._made()
            self._loop.run(self._start(server))
            self._server = server
        self.open = True
        return self.base_url

    def close(self) -> None:
        """End it. Calling it again does nothing."""
        self.open = False
        server, self._server = self._server, None
        if server is not None:
            self._loop.run(self._stop(server))
        self._socket.close()

    def _made(self) -> Any:
        try:
            import uvicorn
        except ModuleNotFoundError as missing:
            if missing.name != "uvicorn":
                raise
            raise AppError(
                "There is no server for `live_app`: uvicorn is not installed.",
                cause="`live_app` serves the app on a real socket",
                fix="pip install 'seatrial[live]'",
            ) from None
        # No choice of websockets' older half, which warns that it is one.
        sockets: Any = "websockets-sansio" if importlib.util.find_spec("websockets") else "auto"
        return uvicorn.Server(
            uvicorn.Config(
                self._answer,
                interface="asgi3",
                ws=sockets,
                lifespan="off",  # it has run
                log_config=None,  # what it logs belongs to the test, whose runner shows it with a failure
                access_log=False,
                log_level="warning",  # that it starts and ends is no news
                timeout_graceful_shutdown=1,
            )
        )

    async def _start(self, server: Any) -> None:
        self._task = asyncio.create_task(server.serve(sockets=[self._socket]))
        while not server.started and not self._task.done():  # noqa: ASYNC110 - uvicorn has a flag, not an event
            await asyncio.sleep(_TICK)
        if self._task.done():
            await self._task

    async def _stop(self, server: Any) -> None:
        server.should_exit = True
        if self._task is not None:
            _, stubborn = await asyncio.wait({self._task}, timeout=_PATIENCE)
            for task in stubborn:
                task.cancel()

    async def _answer(self, scope: dict[str, Any], receive: Receive, send: Send) -> None:
        if self.open:
            await self._hosted(scope, receive, send)
        elif scope["type"] == "websocket":
            await receive()
            with contextlib.suppress(OSError):
                await send({"type": "websocket.close", "code": 1013, "reason": "no test is running"})
        else:
            await refuse(send, "no test is running that asked for `live_app`")


class LiveApp:
    """What a test gets: where the app answers, and clients that go there.

    Args:
        base_url: where it answers.
        make: makes a client of httpx: "Client" or "AsyncClient".
    """

    def __init__(self, base_url: str, make: Callable[[Literal["Client", "AsyncClient"]], Any]) -> None:
        self.base_url = base_url
        self._make = make
        self._client: Any = None
        self._async_client: Any = None

    def __str__(self) -> str:
        return self.base_url

    @property
    def client(self) -> Any:
        """An `httpx.Client` of it, over the socket. What the app raises is a response of status 500, and in the log."""
        if self._client is None:
            self._client = self._make("Client")
        return self._client

    @property
    def async_client(self) -> Any:
        """The same for async tests, which close it: `async with live_app.async_client as client`."""
        if self._async_client is None:
            self._async_client = self._make("AsyncClient")
        return self._async_client

    def close(self) -> None:
        """The test is over."""
        if self._client is not None:
            self._client.close()
