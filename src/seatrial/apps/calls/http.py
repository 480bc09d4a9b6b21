"""One HTTP request as an ASGI app sees it, and as its client does: buffered, or streamed both ways."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from typing import Any

from seatrial.apps.calls.waiting import Changes, end
from seatrial.apps.exchange import Answer, Message, Request
from seatrial.errors import AppError

AHEAD = 16
"""Pieces of a request's body that may wait for the app."""

UNREAD = 1000
"""Pieces that are still taken from the client of an app that has answered without them: a redirect sends them again."""

HIGH_WATER = 65536
"""Bytes of a response that may wait for the client: what uvicorn lets a socket have."""


class HttpCall:
    """The app's side: `receive` and `send`, with the order of messages that ASGI demands."""

    __slots__ = (
        "_body", "_buffered", "_extensions", "_finished", "_headers", "_next", "_stage", "_status", "_trailers",
        "changes", "ended", "error", "gone", "pieces", "request", "streams", "whole",
    )  # fmt: skip

    def __init__(self, request: Request, *, streams: bool = False) -> None:
        self.request = request
        self.pieces = list(request.pieces)
        """The request's body, as far as it has come."""
        self.whole = bool(request.pieces)
        """Whether the body has come to its end."""
        self.streams = streams
        """Whether somebody takes the response as it is produced: the app then waits for who is slow."""
        self.changes = Changes()
        self.gone = False
        """Whether the client has gone."""
        self.ended = False
        """Whether the app's call has ended."""
        self.error: BaseException | None = None
        """What the app raised."""
        self._next = 0
        self._finished = False
        self._stage = "http.response.start"
        """The message that comes next; empty when the response is complete."""
        self._status: int | None = None
        self._headers: list[tuple[bytes, bytes]] = []
        self._trailers: list[tuple[bytes, bytes]] | None = None
        self._body: list[bytes] = []
        self._buffered = 0
        self._extensions: dict[str, Any] = {}

    def __str__(self) -> str:
        return str(self.request)

    async def receive(self) -> Message:
        """The body, then nothing until the response is complete, then the client's departure."""
        if not self._finished:
            if self._next == len(self.pieces) and not self.whole:
                await self.changes.until(lambda: self._next < len(self.pieces) or self.whole or self.gone)
            if not self.gone:
                return self._piece()
        if self._stage and not self.gone:
            await self.changes.until(lambda: not self._stage or self.gone)
        return {"type": "http.disconnect"}

    async def send(self, message: Message) -> None:
        """Take a message of the app; one out of order is an `AppError`, raised in the app."""
        if self.gone:
            return  # a server, too, lets an app talk to nobody
        kind = message["type"]
        if kind == "http.response.debug":
            self._extensions[kind] = message["info"]
        elif kind != self._stage:
            raise _out_of_order(self.request, kind, self._stage)
        elif kind == "http.response.body":
            await self._take(message)
        elif kind == "http.response.start":
            self._headers = [(bytes(name), bytes(value)) for name, value in message.get("headers", ())]
            self._status = int(message["status"])
            if message.get("trailers", False):
                self._trailers = self._extensions["http.response.trailers"] = []
            self._advance("http.response.body")
        elif self._trailers is not None:
            self._trailers += [(bytes(name), bytes(value)) for name, value in message.get("headers", ())]
            if not message.get("more_trailers", False):
                self._advance("")

    @property
    def begun(self) -> bool:
        """Whether there is something to tell of the response."""
        return self._status is not None or self.ended

    @property
    def unread(self) -> int:
        """Pieces of the request's body that the app has not taken."""
        return len(self.pieces) - self._next

    @property
    def has_news(self) -> bool:
        """Whether there is something to take."""
        return bool(self._body) or self.ended

    def end(self, error: BaseException | None) -> None:
        """The app's call has ended. A response that it never finished is an error of its own."""
        if error is None and self._stage and not self.gone:
            error = _unfinished(self.request, self._stage)
        self.error, self.ended = error, True
        self.changes.tell()

    def take(self) -> list[bytes]:
        """What the app has sent since the last time."""
        body, self._body, self._buffered = self._body, [], 0
        self.changes.tell()
        return [] if self.request.method == "HEAD" else body

    def answer(self) -> Answer:
        """What the app has sent, and raised; once: the error goes with it."""
        error, self.error = self.error, None
        return Answer(self._status, self._headers, b"".join(self.take()), error, not self._stage, self._extensions)

    def opening(self) -> Answer:
        """The answer without its body."""
        return Answer(self._status, self._headers, extensions=self._extensions)

    def _piece(self) -> Message:
        body = b""
        if self._next < len(self.pieces):
            body = self.pieces[self._next]
            self._next += 1
        self._finished = self.whole and self._next == len(self.pieces)
        self.changes.tell()
        return {"type": "http.request", "body": body, "more_body": not self._finished}

    async def _take(self, message: Message) -> None:
        # bytes() refuses text here, in the app, as a server would, and copies a buffer that the app may reuse.
        piece = bytes(message.get("body", b""))
        if piece:
            self._body.append(piece)
        if not message.get("more_body", False):
            self._advance("" if self._trailers is None else "http.response.trailers")
        elif self.streams:
            self._buffered += len(piece)
            self.changes.tell()
            if self._buffered > HIGH_WATER:
                await self.changes.until(lambda: self._buffered <= HIGH_WATER or self.gone)

    def _advance(self, stage: str) -> None:
        self._stage = stage
        self.changes.tell()


Drive = Callable[[HttpCall], Coroutine[Any, Any, None]]


class HttpExchange:
    """The client's side of an `HttpCall`: an `Exchange`, whose steps run on the app's loop.

    Args:
        call: the app's side.
        drive: calls the app, and ends the call.
    """

    def __init__(self, call: HttpCall, drive: Drive) -> None:
        self._call = call
        self._drive = drive
        self._task: asyncio.Task[None] | None = None

    async def start(self) -> None:
        """Call the app, in a task of its own."""
        self._task = asyncio.create_task(self._drive(self._call))

    async def upload(self, piece: bytes) -> bool:
        """Wait while the app has some unread."""
        call = self._call
        call.pieces.append(piece)
        call.changes.tell()
        await call.changes.until(lambda: call.unread <= AHEAD or call.ended)
        return not call.ended or call.unread <= UNREAD

    async def uploaded(self) -> None:
        """What the app has not read yet stays there for it."""
        self._call.whole = True
        self._call.changes.tell()

    async def begun(self) -> Answer:
        """With the error only where there is no response to give: otherwise it comes after the body."""
        call = self._call
        await call.changes.until(lambda: call.begun)
        opening = call.opening()
        return call.answer() if opening.status is None else opening

    async def pieces(self) -> list[bytes]:
        """All that is there."""
        call = self._call
        await call.changes.until(lambda: call.has_news)
        return call.take()

    async def answer(self) -> Answer:
        """Background tasks have ended, too."""
        call = self._call
        await call.changes.until(lambda: call.ended)
        return call.answer()

    async def leave(self) -> None:
        """`http.disconnect`, then patience, then cancellation."""
        self._call.gone = True
        self._call.changes.tell()
        if self._task is not None:
            await end(self._task)


def _out_of_order(request: Request, kind: str, stage: str) -> AppError:
    return AppError(
        f"The app sent {kind!r} while it answered {request}.",
        cause=f"{stage!r} was due" if stage else "the response was already complete",
        fix="ASGI's order is http.response.start once, then http.response.body until more_body is false",
    )


def _unfinished(request: Request, stage: str) -> AppError:
    begun = "no response" if stage == "http.response.start" else "an unfinished response"
    return AppError(
        f"The app returned with {begun} to {request}.",
        cause=f"it never sent the {stage!r} that was due",
        fix="every path through the app and its middleware must send a whole response",
    )
