"""Waiting: with a time-out, on a clock that tests cannot freeze, and for what is asynchronous.

freezegun puts fakes in the place of `time.time`, `monotonic`, `perf_counter` and their `_ns` forms, in every module
that holds them; time-machine patches `time.time` and, for CLOCK_REALTIME only, `clock_gettime` in C.
Both leave `clock_gettime(CLOCK_MONOTONIC)` alone (freezegun 1.5.5 and time-machine 3.6.0, read and tried).
"""

from __future__ import annotations

import os
import select
import time
from collections.abc import Awaitable, Callable


def now() -> float:
    """Seconds of a clock that only goes forward; comparable between processes of one boot."""
    return time.clock_gettime(time.CLOCK_MONOTONIC)


def date() -> float:
    """Seconds since 1970, whatever tests have made of the clock: a pipe that is made now bears the kernel's time."""
    ends = os.pipe()
    try:
        return os.fstat(ends[0]).st_mtime
    finally:
        for end in ends:
            os.close(end)


def pause(seconds: float) -> None:
    """Sleep, even where a test has replaced `time.sleep`."""
    select.select((), (), (), max(seconds, 0))


def until(check: Callable[[], bool], *, timeout: float, every: float = 0.005) -> bool:
    """Ask `check` every `every` seconds until it is true; False if `timeout` seconds go by first.

    It is asked at least once, and once more after the time is up.
    """
    deadline = now() + timeout
    while not check():
        if now() >= deadline:
            return check()
        pause(every)
    return True


def finish(result: Awaitable[object]) -> None:
    """Wait for its end, on a loop of its own: the caller may be inside one, which a thread is not.

    The loop that is set for the caller's thread, as by a fixture, stays so: `asyncio.run` would leave it without one.
    """
    import asyncio
    from concurrent.futures import ThreadPoolExecutor

    async def wait_for_it() -> None:
        await result

    def run_it() -> None:
        with asyncio.Runner(loop_factory=asyncio.new_event_loop) as runner:
            runner.run(wait_for_it())

    try:
        asyncio.get_running_loop()
    except RuntimeError:
        run_it()
        return
    with ThreadPoolExecutor(1, thread_name_prefix="seatrial-wait") as other:
        other.submit(run_it).result()
