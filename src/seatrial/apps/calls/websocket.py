"""One WebSocket as an ASGI app sees it, and as its client does."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Mapping
from typing import Any

from seatrial.apps.calls.waiting import Changes, end
from seatrial.apps.exchange import Message, Request
from seatrial.errors import AppError

NEXT: Mapping[str, tuple[str, ...]] = {
    "connecting": ("websocket.accept", "websocket.close", "websocket.http.response.start"),
    "open": ("websocket.send", "websocket.close"),
    "denied": ("websocket.http.response.body",),
}
"""What an app may send, by the state of the connection; nothing when it is closed."""


class WebSocketCall:
    """Both sides: `receive` and `send` are the app's; the rest is a `Socket`, whose steps run on the app's loop."""

    def __init__(self, request: Request, scope: dict[str, Any], drive: Any) -> None:
        self.request = request
        self.scope = scope
        self.changes = Changes()
        self.gone = False
        """Whether the client has gone."""
        self.ended = False
        """Whether the app's call has ended."""
        self._raised: BaseException | None = None
        self._drive = drive
        self._state = "connecting"
        self._to_app: deque[Message] = deque([{"type": "websocket.connect"}])
        self._to_client: deque[Message] = deque()
        self._farewell: Message | None = None
        self._task: asyncio.Task[None] | None = None

    def __str__(self) -> str:
        return f"WebSocket {self.request.raw_path.decode('ascii', 'replace')}"

    async def receive(self) -> Message:
        """What the client has sent, then its departure, as often as it is asked for."""
        await self.changes.until(lambda: bool(self._to_app) or self.gone or self._state == "closed")
        if self._to_app:
            return self._to_app.popleft()
        return self._farewell or {"type": "websocket.disconnect", "code": 1006, "reason": ""}

    async def send(self, message: Message) -> None:
        """Take a message of the app; one out of order is an `AppError`, raised in the app."""
        if self.gone:
            raise Departed("the client has closed the WebSocket")  # an OSError, as servers raise it
        kind = message["type"]
        if kind not in NEXT.get(self._state, ()):
            raise _out_of_order(str(self), kind, self._state)
        if kind == "websocket.accept":
            self._state = "open"
        elif kind == "websocket.close":
            self._closed(message)
        elif kind == "websocket.http.response.start":
            self._state = "denied"
        elif kind == "websocket.http.response.body" and not message.get("more_body", False):
            self._state = "closed"
        self._to_client.append(message)
        self.changes.tell()

    def end(self, error: BaseException | None) -> None:
        """The app's call has ended."""
        if error is None and self._state in ("connecting", "denied") and not self.gone:
            error = _unanswered(str(self))
        self._raised, self.ended = error, True
        self.changes.tell()

    @property
    def error(self) -> BaseException | None:
        """What the app raised, once. That its client has gone, and nobody caught it, is no error of the app's."""
        error, self._raised = self._raised, None
        if self.gone and (isinstance(error, Departed) or type(error).__name__ == "WebSocketDisconnect"):
            return None
        return error

    async def connect(self) -> Message | None:
        """In a task of its own."""
        self._task = asyncio.create_task(self._drive(self))
        return await self.take()

    async def put(self, message: Message) -> None:
        """What the app will never read is lost, as on the wire."""
        self._to_app.append(message)
        self.changes.tell()

    async def take(self) -> Message | None:
        """In the order in which they were sent."""
        await self.changes.until(lambda: bool(self._to_client) or self.ended)
        return self._to_client.popleft() if self._to_client else None

    async def leave(self, code: int, reason: str) -> None:
        """`websocket.disconnect`, then patience, then cancellation."""
        if self._state != "closed":
            self._farewell = {"type": "websocket.disconnect", "code": code, "reason": reason}
        self.gone = True
        self.changes.tell()
        if self._task is not None:
            await end(self._task)

    def _closed(self, message: Message) -> None:
        self._farewell = {
            "type": "websocket.disconnect",
            "code": message.get("code", 1000),
            "reason": message.get("reason") or "",
        }
        self._state = "closed"


class Departed(OSError):
    """The client has gone."""


def _out_of_order(name: str, kind: str, state: str) -> AppError:
    return AppError(
        f"The app sent {kind!r} to {name}.",
        cause=f"the connection was {state}" if state != "denied" else "it had refused the connection with a response",
        fix="ASGI's order is websocket.accept once, then websocket.send as often as you like, then websocket.close",
    )


def _unanswered(name: str) -> AppError:
    return AppError(
        f"The app returned without an answer to {name}.",
        cause="it neither accepted the connection nor refused it",
        fix="every path through the app and its middleware must accept the connection or close it",
    )
