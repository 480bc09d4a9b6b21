"""An event loop of our own for connections that app and test share: whichever loop asks, theirs is this one."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable, Coroutine
from contextvars import ContextVar
from typing import Any, TypeVar

from seatrial.core import wait
from seatrial.errors import IsolationError

T = TypeVar("T")


class Home:
    """A loop in a thread of its own, from the first use until `close`.

    SQLAlchemy's async half is sync code in greenlets, which await at the bottom only: so a call can be sent here as a
    whole, and awaited from the greenlet that made it, on whichever loop that runs.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._loop: asyncio.AbstractEventLoop | None = None
        self._thread: threading.Thread | None = None
        self._asker: ContextVar[object] = ContextVar("seatrial_asker")

    def call(self, call: Callable[[], T]) -> T:
        """Make a call here, from one of SQLAlchemy's greenlets. Cancelling who awaits it cancels it."""
        from sqlalchemy.util import await_only, greenlet_spawn

        on_asyncio()
        asker = asyncio.current_task()
        loop = self._running()
        if asyncio.get_running_loop() is loop:
            return call()

        async def at_home() -> T:
            self._asker.set(asker)
            made: T = await greenlet_spawn(call)
            return made

        made: T = await_only(asyncio.wrap_future(asyncio.run_coroutine_threadsafe(at_home(), loop)))
        return made

    async def wait(self, work: Coroutine[Any, Any, T]) -> T:
        """Await `work` here, from any loop of asyncio."""
        return await asyncio.wrap_future(asyncio.run_coroutine_threadsafe(work, self._running()))

    def run(self, work: Coroutine[Any, Any, T], seconds: float) -> T:
        """Have `work` done here, from any thread but this loop's. Raises `TimeoutError` after so many seconds."""
        return asyncio.run_coroutine_threadsafe(work, self._running()).result(seconds)

    def asker(self) -> object:
        """The task that asked for what is done here now, on whichever loop it runs."""
        return self._asker.get(None) or asyncio.current_task()

    def close(self) -> None:
        """End the loop and its thread. Nothing to do where nothing was ever asked."""
        loop, thread, self._loop, self._thread = self._loop, self._thread, None, None
        if loop is not None and thread is not None:
            loop.call_soon_threadsafe(loop.stop)
            thread.join()

    def _running(self) -> asyncio.AbstractEventLoop:
        with self._lock:
            if self._loop is None:
                self._loop = asyncio.new_event_loop()
                self._loop.time = wait.now  # type: ignore[method-assign]  # a test may freeze all other clocks
                self._thread = threading.Thread(
                    target=_serve, args=(self._loop,), name="seatrial-rollback", daemon=True
                )
                self._thread.start()
            return self._loop


def _serve(loop: asyncio.AbstractEventLoop) -> None:
    asyncio.set_event_loop(loop)
    try:
        loop.run_forever()
        loop.run_until_complete(loop.shutdown_asyncgens())
    finally:
        loop.close()


def on_asyncio() -> None:
    """Raise `IsolationError` where a test on another library's loop (trio's) would get an error from deep below."""
    try:
        asyncio.get_running_loop()
    except RuntimeError:
        raise IsolationError(
            "the test's AsyncSession was used where no asyncio event loop runs",
            cause="the drivers behind it need asyncio, and anyio's plugin runs tests on trio, too",
            fix='have the fixture `anyio_backend` return "asyncio"',
        ) from None
