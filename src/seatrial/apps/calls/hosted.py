"""One call of an app by a real server, on a real socket: counted like the others, ended with its test."""

from __future__ import annotations

import asyncio
from typing import Any

from seatrial.apps.calls.waiting import Changes
from seatrial.apps.exchange import Message, Send


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

    def __str__(self) -> str:
        return f"{self._what} {self._path} of live_app"

    async def send(self, message: Message) -> None:
        """Pass it on."""
        self.begun = True
        await self._send(message)

    async def end(self, error: asyncio.CancelledError) -> None:
        """It was cancelled. Where that is because its test has ended, say so to who still waits for an answer."""
        if not self.gone or self.begun or self._what == "WebSocket":
            raise error
        await refuse(self._send, "the test that asked has ended")


async def refuse(send: Send, why: str) -> None:
    """Answer in the place of the app."""
    headers = [(b"content-type", b"text/plain; charset=utf-8"), (b"connection", b"close")]
    await send({"type": "http.response.start", "status": 503, "headers": headers})
    await send({"type": "http.response.body", "body": f"seatrial: {why}\n".encode()})
