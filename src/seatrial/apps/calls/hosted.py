"""One call of an app by a real server, on a real socket: counted like the others, ended with its test."""

from __future__ import annotations

import asyncio
import logging
from typing import Any

from seatrial.apps.calls.waiting import Changes
from seatrial.apps.exchange import Message, Send

FAILED = 500


class HostedCall:
    """What is known of it: its name, and how far its answer has come."""

    def __init__(self, scope: dict[str, Any], send: Send) -> None:
        self._what = "WebSocket" if scope["type"] == "websocket" else scope["method"]
        self._path = scope["path"]
        self._send = send
        self.changes = Changes()
        self.gone = False
        """Whether its test has ended."""
        self.begun = False
        """Whether the app has begun to answer."""
        self._fails = False
        self._whole = False
        self._held: list[Message] = []

    def __str__(self) -> str:
        return f"{self._what} {self._path} of live_app"

    async def send(self, message: Message) -> None:
        """Pass it on; a failure's page not before the app has returned: see `returned`."""
        self.begun = True
        is_body = message["type"] == "http.response.body"
        if message["type"] == "http.response.start":
            self._fails = message["status"] == FAILED
        if is_body:
            self._whole = not message.get("more_body", False)
        if is_body and self._fails:
            self._held.append(message)
        else:
            await self._send(message)

    async def returned(self, error: BaseException | None = None) -> None:
        """The app has returned, or raised; raises `error` where its response is not whole.

        Starlette raises when its page has been sent. By then a test may have failed of that: what was raised has to be
        in its log before. And a server closes the connection of what raises so late: the next request may be on it.
        """
        held, self._held = self._held, []
        if error is not None and self._whole:
            log(error)
        for message in held:
            await self._send(message)
        if error is not None and not self._whole:
            raise error

    async def end(self, error: asyncio.CancelledError) -> None:
        """It was cancelled. Where that is because its test has ended, say so to who still waits for an answer."""
        if not self.gone or self.begun or self._what == "WebSocket":
            raise error
        await refuse(self._send, "the test that asked has ended")


def log(error: BaseException) -> None:
    """Where pytest finds it, and shows it with a test that fails."""
    logging.getLogger("seatrial").error("Exception in the app", exc_info=error)


async def refuse(send: Send, why: str) -> None:
    """Answer in the place of the app."""
    headers = [(b"content-type", b"text/plain; charset=utf-8"), (b"connection", b"close")]
    await send({"type": "http.response.start", "status": 503, "headers": headers})
    await send({"type": "http.response.body", "body": f"seatrial: {why}\n".encode()})
