"""One thread that carries out the work of one worker or one store, one thing after the other."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

T = TypeVar("T")


class Lane:
    """Connections and SQLite files belong to the thread that opened them: everything of one owner runs in its lane."""

    def __init__(self, name: str) -> None:
        self._pool = ThreadPoolExecutor(max_workers=1, thread_name_prefix=f"seatrial {name}")

    async def run(self, work: Callable[[], T]) -> T:
        """Do `work` when what was asked for before is done; its result or error is the caller's."""
        return await asyncio.get_running_loop().run_in_executor(self._pool, work)

    def close(self) -> None:
        """Take no more work. What is under way is not waited for."""
        self._pool.shutdown(wait=False)
