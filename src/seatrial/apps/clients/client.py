"""The clients that tests get: those of httpx or httpx2, with streams as they are produced, and WebSockets."""

from __future__ import annotations

from collections.abc import Sequence
from types import ModuleType
from typing import Any, Literal

from seatrial.apps.clients.transport import SOCKET, STREAM, Handshake
from seatrial.apps.clients.websocket import AsyncWebSocket, WebSocket

SCHEMES = (("ws://", "http://"), ("wss://", "https://"))


def client_class(http: ModuleType, kind: Literal["Client", "AsyncClient"]) -> type[Any]:
    """A subclass of `httpx.Client` or `httpx.AsyncClient`."""
    ours: type[Any] = _Sync if kind == "Client" else _Async
    return type(kind, (ours, getattr(http, kind)), {"__doc__": ours.__doc__, "__module__": __name__})


def of_address(http: ModuleType, kind: Literal["Client", "AsyncClient"], base_url: str, **options: Any) -> Any:
    """A client of an address of this machine. `options` are httpx's."""
    # A proxy of the environment's can't reach us, and no certificates are needed: to load them costs 20 ms.
    defaults = {"base_url": base_url, "follow_redirects": True, "trust_env": False, "verify": False}
    return getattr(http, kind)(**(defaults | options))


class _Sync:
    """An `httpx.Client` of the app."""

    def send(self, request: Any, *, stream: bool = False, **options: Any) -> Any:
        """As httpx does; a stream is handed over as it is produced."""
        __tracebackhide__ = True
        if stream:
            request.extensions[STREAM] = True
        return super().send(request, stream=stream, **options)  # type: ignore[misc]  # httpx.Client's, which comes after us

    def websocket_connect(
        self, url: Any, subprotocols: Sequence[str] | None = None, *, auth: Any = None, **options: Any
    ) -> WebSocket:
        """Open a WebSocket: `with client.websocket_connect("/path") as websocket`.

        Args:
            url: as for a request; ws:// and wss:// are fine.
            subprotocols: what the client offers.
            auth: as for a request.
            options: the headers, cookies and params of a request.
        """
        client: Any = self

        def connect() -> tuple[Any, Handshake]:
            request, handshake = _asked(client, url, subprotocols or (), options)
            given = {} if auth is None else {"auth": auth}
            return client.send(request, follow_redirects=False, **given), handshake

        return WebSocket(connect)


class _Async:
    """An `httpx.AsyncClient` of the app."""

    async def send(self, request: Any, *, stream: bool = False, **options: Any) -> Any:
        """As httpx does; a stream is handed over as it is produced."""
        __tracebackhide__ = True
        if stream:
            request.extensions[STREAM] = True
        return await super().send(request, stream=stream, **options)  # type: ignore[misc]  # httpx.AsyncClient's, which comes after us

    def websocket_connect(
        self, url: Any, subprotocols: Sequence[str] | None = None, *, auth: Any = None, **options: Any
    ) -> AsyncWebSocket:
        """Open a WebSocket: `async with async_client.websocket_connect("/path") as websocket`; as for `client`."""
        client: Any = self

        async def connect() -> tuple[Any, Handshake]:
            request, handshake = _asked(client, url, subprotocols or (), options)
            given = {} if auth is None else {"auth": auth}
            return await client.send(request, follow_redirects=False, **given), handshake

        return AsyncWebSocket(connect)


def _asked(client: Any, url: Any, subprotocols: Sequence[str], options: dict[str, Any]) -> tuple[Any, Handshake]:
    handshake = Handshake(tuple(subprotocols))
    text = str(url)
    for websocket, http in SCHEMES:
        if text.startswith(websocket):
            text = http + text.removeprefix(websocket)
    request = client.build_request("GET", text, extensions={SOCKET: handshake}, **options)
    headers = {"connection": "upgrade", "upgrade": "websocket", "sec-websocket-version": "13"}
    headers["sec-websocket-key"] = "dGVzdGNsaWVudA=="
    if subprotocols:
        headers["sec-websocket-protocol"] = ", ".join(subprotocols)
    request.headers.update(headers)
    return request, handshake
