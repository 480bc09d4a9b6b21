"""What the two sides of a call wait for: a change of its state, on the app's loop."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

GRACE = 1.0
"""Seconds for an app to end by itself when its client has gone, or when it said that its start or end failed."""

PATIENCE = 5.0
"""Seconds for what was cancelled to end."""


class Changes:
    """Wakes those who wait for something to become true. Costs nothing while nobody waits."""

    __slots__ = ("_waiting",)

    def __init__(self) -> None:
        self._waiting: list[asyncio.Future[None]] = []

    def tell(self) -> None:
        """Something has changed."""
        if self._waiting:
            waiting, self._waiting = self._waiting, []
            for each in waiting:
                if not each.done():
                    each.set_result(None)

    async def until(self, true: Callable[[], bool]) -> None:
        """Wait until `true` is."""
        while not true():
            change = asyncio.get_running_loop().create_future()
            self._waiting.append(change)
            await change


async def end(task: asyncio.Task[None]) -> None:
    """Wait for a task whose client has gone; cancel it after `GRACE`, or when nobody waits any longer."""
    try:
        await asyncio.wait({task}, timeout=GRACE)
    finally:
        if not task.done():
            task.cancel()
    await asyncio.wait({task}, timeout=PATIENCE)
