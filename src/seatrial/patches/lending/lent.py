"""A connection that a pool of the app has lent is put back into its first state at check-in, where it is idle."""

from __future__ import annotations

import sys
from collections.abc import Awaitable, Callable
from contextlib import suppress
from typing import TYPE_CHECKING, Any

from seatrial.resources.first_state import Script, finish

if TYPE_CHECKING:
    import asyncio

SECONDS = 2.0
"""How long a loop that runs in another thread gets for it."""


class Lent:
    """One connection of a pool. Called at check-in, on the harness's thread; raises nothing.

    Args:
        restore: puts it back, or returns the script that does; for an async driver a coroutine.
        idle: whether it is in its pool: who still holds it is the fence's affair.
        spoil: sees to it that the pool replaces it instead of lending it again.
        pid: the server's process behind it.
        loop: the loop of an async driver's connection.
    """

    def __init__(
        self,
        restore: Callable[[], Awaitable[Any] | Script | None],
        *,
        idle: Callable[[], bool],
        spoil: Callable[[], object],
        pid: int = 0,
        loop: asyncio.AbstractEventLoop | None = None,
    ) -> None:
        self._restore = restore
        self._idle = idle
        self._spoil = spoil
        self.pid = pid
        self._loop = loop
        self._script: Script | None = None

    def __call__(self) -> bool:
        """Put it back, or have it ready for `gather`; where that can't be done its pool opens another when next asked.

        Returns whether it was in its pool.
        """
        idle = done = False
        try:
            with suppress(Exception):  # whatever the driver raises, a new connection is the answer
                idle = self._idle()
                done = idle and self._put_back()
        finally:  # after a time-out of the test's as well
            if not done:
                self._give_up()
        return idle

    @property
    def locked(self) -> bool:
        """Whether it can't be used till it is gathered."""
        return self._script is not None

    def send(self) -> None:
        """Have the server begin."""
        if self._script is not None:
            self._script.send()

    def gather(self) -> None:
        """Wait until it is put back."""
        script, self._script = self._script, None
        if script is not None:
            finish(script, self._give_up)

    def _give_up(self) -> None:
        with suppress(Exception):  # it is closed already
            self._spoil()

    def _put_back(self) -> bool:
        import asyncio

        if self._loop is None:
            script = self._restore()
            self._script = script if isinstance(script, Script) else None
            return True
        if self._loop.is_closed() or _is_running_here(self._loop):
            return False
        if self._loop.is_running():
            begun = asyncio.run_coroutine_threadsafe(self._waited(), self._loop)
            try:
                begun.result(SECONDS)
            finally:
                begun.cancel()  # where that is too late already: it would meet the connection in another test
        else:
            self._loop.run_until_complete(asyncio.wait_for(self._waited(), SECONDS))
        return True

    async def _waited(self) -> None:
        waiting = self._restore()
        if isinstance(waiting, Awaitable):
            await waiting


async def psycopg_script(connection: Any, script: str) -> None:
    """Run statements, some of which refuse a transaction, on a connection of psycopg's async half."""
    await connection.rollback()
    before = connection.autocommit
    await connection.set_autocommit(True)
    try:
        await connection.cursor().execute(script)  # what a connection executes is told as the app's
    finally:
        await connection.set_autocommit(before)


def running_loop() -> asyncio.AbstractEventLoop | None:
    """The loop that runs in this thread, if one does."""
    if "asyncio" not in sys.modules:
        return None
    import asyncio

    try:
        return asyncio.get_running_loop()
    except RuntimeError:
        return None


def _is_running_here(loop: asyncio.AbstractEventLoop) -> bool:
    return running_loop() is loop
