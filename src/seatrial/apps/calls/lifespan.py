"""An ASGI app's lifespan: its start before the first request, its end after the last."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from typing import Any

from seatrial.apps.calls.waiting import GRACE, PATIENCE
from seatrial.apps.exchange import Message, Receive, Send
from seatrial.core.importing import shortened
from seatrial.core.redact import redact
from seatrial.errors import AppError

Application = Callable[[dict[str, Any], Receive, Send], Awaitable[None]]

# What uvicorn says for HTTP/1.1, so that a framework takes the path that it takes in production.
VERSIONS: Mapping[str, str] = {"version": "3.0", "spec_version": "2.3"}


class Lifespan:
    """One run of an app's lifespan: its start before the first request, its end after the last.

    An app without one is fine: it returns or raises before it takes the first event. One that raises after it
    took "lifespan.startup" has failed to start.
    """

    def __init__(self, app: Application, state: dict[str, Any]) -> None:
        self._app = app
        self._state = state
        self._events: asyncio.Queue[Message] = asyncio.Queue()
        self._told: asyncio.Queue[Message] = asyncio.Queue()
        self._task: asyncio.Task[BaseException | None] | None = None
        self._asked = False
        self._supported = False
        self._failure: tuple[str, BaseException | None] | None = None
        self.broken_off = True
        """Whether `startup` has not come to its end: the app is then started anew."""

    async def ended(self) -> None:
        """Wait for the end of a start that was broken off: it takes back what it had begun."""
        if self._task is not None and not self._task.done():
            await asyncio.wait({self._task}, timeout=PATIENCE)

    async def startup(self) -> None:
        """Start the app. What went wrong is raised by `check`, as often as that is asked."""
        self._task = asyncio.create_task(self._run())
        said, error = await self._ask("lifespan.startup")
        if said is None:
            self._failure = ("", error) if error is not None and self._asked else None
        elif said["type"] == "lifespan.startup.complete":
            self._supported = True
        else:
            self._failure = (said.get("message", ""), error)
        self.broken_off = False

    def check(self) -> None:
        """Raise `AppError` if the app did not start."""
        if self._failure is not None:
            raise _failed("start", *self._failure)

    async def shutdown(self) -> None:
        """End the app; raises `AppError` with its exception as cause. Nothing to do where it never started."""
        if not self._supported:
            return
        said, error = await self._ask("lifespan.shutdown")
        if error is not None or (said is not None and said["type"] == "lifespan.shutdown.failed"):
            raise _failed("stop", (said or {}).get("message", ""), error)

    async def _ask(self, event: str) -> tuple[Message | None, BaseException | None]:
        """What the app said to `event` (None if it ended without a word), and what it raised if it ended."""
        assert self._task is not None
        self._events.put_nowait({"type": event})
        told = asyncio.create_task(self._told.get())
        try:
            await asyncio.wait({told, self._task}, return_when=asyncio.FIRST_COMPLETED)
        except asyncio.CancelledError:  # a time-out of the test's: whoever asks next starts the app anew
            told.cancel()
            self._task.cancel()
            raise
        if not told.done() and self._told.empty():
            told.cancel()
            return None, self._task.result()
        said = await told
        if said["type"].endswith(".failed") or event == "lifespan.shutdown":
            await asyncio.wait({self._task}, timeout=GRACE)
        return said, self._task.result() if self._task.done() else None

    async def _run(self) -> BaseException | None:
        scope = {"type": "lifespan", "asgi": dict(VERSIONS), "state": self._state}
        try:
            await self._app(scope, self._receive, self._send)
        except asyncio.CancelledError:
            raise
        except BaseException as error:  # noqa: BLE001 - SystemExit in a task would end the loop
            return error
        return None

    async def _receive(self) -> Message:
        event = await self._events.get()
        self._asked = True
        return event

    async def _send(self, message: Message) -> None:
        if not message["type"].startswith("lifespan."):
            self._asked = False
            raise AppError(
                f"{message['type']!r} is no answer to a lifespan event.",
                cause="the app takes every scope for a request, so it has no lifespan",
                fix="nothing, if it needs none; else let it look at scope['type'] first",
            )
        self._told.put_nowait(message)


def _failed(what: str, message: str, error: BaseException | None) -> AppError:
    if error is None:
        reason = (message.strip().splitlines() or ["its lifespan gave no reason"])[-1]
        return AppError(
            redact(f"The app did not {what}: {reason}"),
            cause=f"its lifespan sent 'lifespan.{'startup' if what == 'start' else 'shutdown'}.failed'",
            fix="look at the lifespan function of the app",
        )
    while isinstance(error, BaseExceptionGroup):
        error = error.exceptions[0]  # a task group around the lifespans, as Litestar has: what raised is inside
    failure = AppError(
        redact(f"The app did not {what}: {type(error).__name__}: {error}"),
        cause=f"its lifespan raised this when it was asked to {what}:\n{shortened(error)}",
        fix="mend the lifespan where the lines above point; an app without one must return or raise at a scope of "
        "the type 'lifespan', before it calls receive()",
    )
    failure.__cause__ = error
    return failure
