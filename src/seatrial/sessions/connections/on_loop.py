"""Closes what lives on an event loop, on that loop, before it ends: whoever owns the loop."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Awaitable, Callable

SECONDS = 10.0
"""How long a loop that runs in another thread gets to close our connections."""


class OnLoop:
    """Ties `close` to the loop on which the first connection was opened.

    A test's loop belongs to the test runner, which may close it before our fixture ends (anyio does) or after
    (pytest-asyncio does). Each runner shuts asynchronous generators down before it closes a loop: so a
    suspended one of ours, which closes in its `finally`, is closed in time in either order.
    """

    def __init__(self, close: Callable[[], Awaitable[None]]) -> None:
        self._close = close
        self._guard: AsyncGenerator[None, None] | None = None
        self._closing: asyncio.Task[None] | None = None
        self.loop: asyncio.AbstractEventLoop | None = None
        self.closed = False

    def hold(self) -> None:
        """Called on the loop, from within one of SQLAlchemy's greenlets. The first call counts."""
        from sqlalchemy.util import await_only

        if self.loop is None:
            self.loop = asyncio.get_running_loop()
            self._guard = self._wait()
            await_only(self._guard.__anext__())

    def finish(self) -> bool:
        """Close, from code that is not a coroutine; returns whether that could be done on the loop.

        False where the loop is closed already by one that shut down no generators, and where it is running in
        this very thread: closing is then scheduled, and happens when the loop next has its turn.
        """
        if self.loop is None or self._guard is None or self.closed:
            return True
        if self.loop.is_closed():
            return False
        if not self.loop.is_running():
            self.loop.run_until_complete(self._guard.aclose())
            return True
        if _is_running_here(self.loop):
            self._closing = self.loop.create_task(self._shut())
            return False
        asyncio.run_coroutine_threadsafe(self._shut(), self.loop).result(SECONDS)
        return True

    async def _shut(self) -> None:
        assert self._guard is not None
        await self._guard.aclose()

    async def _wait(self) -> AsyncGenerator[None, None]:
        try:
            yield
        finally:
            self.closed = True
            await self._close()


def _is_running_here(loop: asyncio.AbstractEventLoop) -> bool:
    try:
        return asyncio.get_running_loop() is loop
    except RuntimeError:
        return False
