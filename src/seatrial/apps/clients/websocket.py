"""A WebSocket in a test's hands: the calls of Starlette's, for sync tests and, awaited, for async ones."""

from __future__ import annotations

import json
import sys
from collections.abc import Awaitable, Callable, Mapping
from typing import Any, Literal, Self

from seatrial.apps.clients.transport import Handshake
from seatrial.apps.exchange import Message
from seatrial.errors import WebSocketClosed

Mode = Literal["text", "binary"]

NAMESAKES: Mapping[str, str] = {
    "starlette.websockets": "WebSocketDisconnect",
    "litestar.exceptions": "WebSocketDisconnect",
}
"""What the test clients of frameworks raise: ours is caught by these names, too."""

GONE_BADLY = 1011
"""The code with which a server closes a WebSocket whose app has raised."""


class _State:
    """What both kinds have in common: the handshake's outcome, and the meaning of messages."""

    def __init__(self) -> None:
        self.accepted_subprotocol: str | None = None
        """What the app has chosen of the subprotocols that were offered."""
        self.extra_headers: list[tuple[bytes, bytes]] | None = None
        """The headers with which the app has accepted."""
        self.response: Any = None
        """The handshake's response: 101, with what httpx makes of its headers and cookies."""
        self._handshake: Handshake | None = None

    @property
    def _open(self) -> Handshake:
        assert self._handshake is not None, "a WebSocket is opened by `with` or `async with`"
        return self._handshake

    def _accepted(self, response: Any, handshake: Handshake) -> bool:
        """Take in the outcome; whether the WebSocket is open."""
        self.response, self._handshake = response, handshake
        message = handshake.answer
        if message is None or message["type"] != "websocket.accept":
            return False
        self.accepted_subprotocol = message.get("subprotocol")
        self.extra_headers = list(message.get("headers") or ())
        return True

    def _refusal(self, body: bytes) -> WebSocketClosed:
        message = self._open.answer or {"type": "websocket.close"}
        if message["type"] == "websocket.close":
            return _closed(message.get("code", 1000), message.get("reason") or "", self.response)
        http = self.response.__class__
        denial = http(self.response.status_code, headers=self.response.headers.raw, content=body)
        return _closed(1006, f"refused with a response of status {denial.status_code}", denial)

    def _after_the_end(self, error: BaseException | None) -> Message:
        """What comes after an app's last message: its exception, or the close of the server's."""
        if error is not None and self._open.raises:
            raise error
        return {"type": "websocket.close", "code": 1000 if error is None else GONE_BADLY, "reason": ""}


def _content(message: Message, kind: str) -> Any:
    if message["type"] == "websocket.close":
        raise _closed(message.get("code", 1000), message.get("reason") or "", None)
    found = message.get(kind)
    if found is None:
        other = "bytes" if kind == "text" else "text"
        raise AssertionError(f"the app sent {other}, not {kind}: {message.get(other)!r}")
    return found


def _json(data: Any, mode: Mode) -> Message:
    text = json.dumps(data, separators=(",", ":"), ensure_ascii=False)
    return _received(text if mode == "text" else text.encode())


def _received(data: str | bytes) -> Message:
    return {"type": "websocket.receive", "text" if isinstance(data, str) else "bytes": data}


def _closed(code: int, reason: str, response: Any) -> WebSocketClosed:
    namesakes = [
        getattr(sys.modules[module], name)
        for module, name in NAMESAKES.items()
        if hasattr(sys.modules.get(module), name)
    ]
    # Litestar's own initializer, which sets `detail`, is not called: its repr asks for it.
    names = {"__module__": WebSocketClosed.__module__, "detail": reason}
    kind = type("WebSocketClosed", (WebSocketClosed, *namesakes), names)
    closed: WebSocketClosed = kind(code, reason, response)
    return closed


class WebSocket(_State):
    """A WebSocket of `client`: a context manager.

    `with` raises `WebSocketClosed` where the app refuses; its end closes the WebSocket and waits for the app's end.
    An exception of the app's is raised where the test next receives, or at the end.
    """

    def __init__(self, connect: Callable[[], tuple[Any, Handshake]]) -> None:
        super().__init__()
        self._connect = connect

    def __enter__(self) -> Self:
        __tracebackhide__ = True
        if self._accepted(*self._connect()):
            return self
        body = b""
        while (self._open.answer or {}).get("type", "").startswith("websocket.http"):
            message = self._take()
            body += message.get("body", b"")
            if not message.get("more_body", False):
                break
        refusal = self._refusal(body)
        self.close()
        raise refusal

    def __exit__(self, *_: object) -> None:
        __tracebackhide__ = True
        self.close()

    def send(self, message: Message) -> None:
        """Send a message of ASGI's: "websocket.receive" or "websocket.disconnect"."""
        handshake = self._open
        assert handshake.gateway is not None
        assert handshake.socket is not None
        handshake.gateway.run(handshake.socket.put(message))

    def send_text(self, data: str) -> None:
        """Send text."""
        self.send(_received(data))

    def send_bytes(self, data: bytes) -> None:
        """Send bytes."""
        self.send(_received(data))

    def send_json(self, data: Any, mode: Mode = "text") -> None:
        """Send JSON, as text or as bytes."""
        self.send(_json(data, mode))

    def receive(self, timeout: float | None = None) -> Message:
        """The app's next message, as ASGI has it; "websocket.close" when the app has closed or ended.

        Raises what the app raised, and `TimeoutError` after `timeout` seconds.
        """
        __tracebackhide__ = True
        return self._take(timeout)

    def receive_text(self, timeout: float | None = None) -> str:
        """The next text. Raises `WebSocketClosed` when the app has closed."""
        __tracebackhide__ = True
        text: str = _content(self._take(timeout), "text")
        return text

    def receive_bytes(self, timeout: float | None = None) -> bytes:
        """The next bytes. Raises `WebSocketClosed` when the app has closed."""
        __tracebackhide__ = True
        data: bytes = _content(self._take(timeout), "bytes")
        return data

    def receive_json(self, mode: Mode = "text", timeout: float | None = None) -> Any:
        """The next text or bytes, read as JSON. Raises `WebSocketClosed` when the app has closed."""
        __tracebackhide__ = True
        return json.loads(_content(self._take(timeout), "text" if mode == "text" else "bytes"))

    def close(self, code: int = 1000, reason: str | None = None) -> None:
        """Close, and wait for the app's end. Raises what the app raised; the second call does nothing."""
        __tracebackhide__ = True
        handshake, self._handshake = self._handshake, None
        if handshake is None or handshake.gateway is None or handshake.socket is None:
            return
        handshake.gateway.run(handshake.socket.leave(code, reason or ""))
        error = handshake.socket.error
        if error is not None and handshake.raises:
            raise error

    def _take(self, timeout: float | None = None) -> Message:
        __tracebackhide__ = True
        handshake = self._open
        assert handshake.gateway is not None
        assert handshake.socket is not None
        message = handshake.gateway.run(handshake.socket.take(), timeout)
        return self._after_the_end(handshake.socket.error) if message is None else message


class AsyncWebSocket(_State):
    """A WebSocket of `async_client`: an async context manager; else as `WebSocket`."""

    def __init__(self, connect: Callable[[], Awaitable[tuple[Any, Handshake]]]) -> None:
        super().__init__()
        self._connect = connect

    async def __aenter__(self) -> Self:
        __tracebackhide__ = True
        if self._accepted(*await self._connect()):
            return self
        body = b""
        while (self._open.answer or {}).get("type", "").startswith("websocket.http"):
            message = await self._take()
            body += message.get("body", b"")
            if not message.get("more_body", False):
                break
        refusal = self._refusal(body)
        await self.close()
        raise refusal

    async def __aexit__(self, *_: object) -> None:
        __tracebackhide__ = True
        await self.close()

    async def send(self, message: Message) -> None:
        """Send a message of ASGI's: "websocket.receive" or "websocket.disconnect"."""
        handshake = self._open
        assert handshake.gateway is not None
        assert handshake.socket is not None
        await handshake.gateway.wait(handshake.socket.put(message))

    async def send_text(self, data: str) -> None:
        """Send text."""
        await self.send(_received(data))

    async def send_bytes(self, data: bytes) -> None:
        """Send bytes."""
        await self.send(_received(data))

    async def send_json(self, data: Any, mode: Mode = "text") -> None:
        """Send JSON, as text or as bytes."""
        await self.send(_json(data, mode))

    async def receive(self) -> Message:
        """The app's next message, as ASGI has it; "websocket.close" when the app has closed or ended."""
        __tracebackhide__ = True
        return await self._take()

    async def receive_text(self) -> str:
        """The next text. Raises `WebSocketClosed` when the app has closed."""
        __tracebackhide__ = True
        text: str = _content(await self._take(), "text")
        return text

    async def receive_bytes(self) -> bytes:
        """The next bytes. Raises `WebSocketClosed` when the app has closed."""
        __tracebackhide__ = True
        data: bytes = _content(await self._take(), "bytes")
        return data

    async def receive_json(self, mode: Mode = "text") -> Any:
        """The next text or bytes, read as JSON. Raises `WebSocketClosed` when the app has closed."""
        __tracebackhide__ = True
        return json.loads(_content(await self._take(), "text" if mode == "text" else "bytes"))

    async def close(self, code: int = 1000, reason: str | None = None) -> None:
        """Close, and wait for the app's end. Raises what the app raised; the second call does nothing."""
        __tracebackhide__ = True
        handshake, self._handshake = self._handshake, None
        if handshake is None or handshake.gateway is None or handshake.socket is None:
            return
        try:
            await handshake.gateway.wait(handshake.socket.leave(code, reason or ""))
        except BaseException:
            handshake.gateway.drop(handshake.socket.leave(code, reason or ""))
            raise
        error = handshake.socket.error
        if error is not None and handshake.raises:
            raise error

    async def _take(self) -> Message:
        __tracebackhide__ = True
        handshake = self._open
        assert handshake.gateway is not None
        assert handshake.socket is not None
        message = await handshake.gateway.wait(handshake.socket.take())
        return self._after_the_end(handshake.socket.error) if message is None else message
