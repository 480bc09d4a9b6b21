"""How a coroutine of one event loop, of asyncio or of trio, learns of what happened on another."""

from __future__ import annotations

import asyncio
import contextlib
import contextvars
import sys
from typing import Any, Protocol


class TooSlow(TimeoutError):
    """An answer took longer than its client wants to wait: told apart from any `TimeoutError` of the app's."""


class Wake(Protocol):
    """How somebody on another loop learns that a job has ended."""

    context: contextvars.Context | None
    """In which the work on the other loop is to run; None for that of the caller."""

    def tell(self) -> None:
        """From the other loop: it is time to go on."""
        ...

    async def wait(self, timeout: float | None) -> None:  # noqa: ASYNC109 - each library has its own way
        """Until told. Raises `TooSlow`."""
        ...


def waking() -> Wake:
    """For the running loop. Raises `RuntimeError` where none runs."""
    try:
        return _AsyncioWake()
    except RuntimeError:
        # The loop of no asyncio: trio's, if it has been imported, and then it says so itself where it does not run.
        if "trio" not in sys.modules:
            raise
        return _TrioWake()


class _AsyncioWake:
    """A future of the running asyncio loop."""

    context: contextvars.Context | None = None

    def __init__(self) -> None:
        self._loop = asyncio.get_running_loop()
        self._told: asyncio.Future[None] = self._loop.create_future()

    def tell(self) -> None:
        """From the app's loop."""
        with contextlib.suppress(RuntimeError):  # the test's loop was closed meanwhile
            self._loop.call_soon_threadsafe(self._set)

    async def wait(self, timeout: float | None) -> None:  # noqa: ASYNC109 - as in Wake
        """Until told."""
        if timeout is None:
            await self._told
            return
        try:
            async with asyncio.timeout(timeout):
                await self._told
        except TimeoutError:
            raise TooSlow from None

    def _set(self) -> None:
        if not self._told.done():
            self._told.set_result(None)


class _TrioWake:
    """An event of the running trio loop."""

    def __init__(self) -> None:
        self._trio: Any = sys.modules["trio"]
        self._token = self._trio.lowlevel.current_trio_token()
        self._told = self._trio.Event()
        self.context: contextvars.Context | None = _without_library(contextvars.copy_context())

    def tell(self) -> None:
        """From the app's loop."""
        with contextlib.suppress(self._trio.RunFinishedError):
            self._token.run_sync_soon(self._told.set)

    async def wait(self, timeout: float | None) -> None:  # noqa: ASYNC109 - as in Wake
        """Until told."""
        with self._trio.move_on_after(float("inf") if timeout is None else timeout):
            await self._told.wait()
            return
        raise TooSlow


def _without_library(context: contextvars.Context) -> contextvars.Context:
    """The same without what anyio and sniffio note in it: that trio runs, which is not so on the other loop."""
    clean = contextvars.Context()
    for variable, value in context.items():
        if variable.name != "current_async_library_cvar":
            clean.run(variable.set, value)
    return clean
