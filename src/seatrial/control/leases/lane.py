"""One thread that carries out the work of one worker or one store, one thing after the other."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, TypeVar

if TYPE_CHECKING:
    from seatrial.control.leases.door import Door

T = TypeVar("T")


class Lane:
    """Connections and SQLite files belong to the thread that opened them: everything of one owner runs in its lane."""

    def __init__(self, name: str) -> None:
        self._pool = ThreadPoolExecutor(max_workers=1, thread_name_prefix=f"seatrial {name}")
        self._door: Door | None = None

    def attend(self, door: Door) -> None:
        """Answer at `door` whenever there is nothing else to do."""
        self._door = door
        self._pool.submit(door.attend)

    async def run(self, work: Callable[[], T]) -> T:
        """Do `work` when what was asked for before is done; its result or error is the caller's."""
        done = asyncio.get_running_loop().run_in_executor(self._pool, work)
        if self._door is not None:
            self._door.ring()
            self._pool.submit(self._door.attend)
        return await done

    def close(self) -> None:
        """Take no more work. What is under way is not waited for."""
        door, self._door = self._door, None
        if door is not None:
            self._pool.submit(door.close)
            door.ring()
        self._pool.shutdown(wait=False)
