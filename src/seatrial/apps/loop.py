"""One long-lived event loop in a thread of its own: the app and its connection pools live on it."""

from __future__ import annotations

import asyncio
import inspect
import threading
import time
from collections.abc import Callable, Coroutine
from typing import Any, Generic, TypeVar

from seatrial.apps.waking import TooSlow, waking
from seatrial.errors import AppError

T = TypeVar("T")

PATIENCE = 5.0
"""Seconds that cancelled tasks get to end when the loop stops."""


class Loop:
    """An asyncio event loop that runs in a daemon thread from the first use until `stop`."""

    def __init__(self, name: str = "seatrial-app") -> None:
        self._name = name
        self._lock = threading.Lock()
        self._thread: threading.Thread | None = None
        self._loop: asyncio.AbstractEventLoop | None = None
        self._end: asyncio.Event | None = None

    def run(self, work: Coroutine[Any, Any, T], timeout: float | None = None) -> T:
        """Run `work` on the loop, and return or raise what it does, in the calling thread.

        A signal handler that raises (Ctrl-C, a time-out of the test runner) ends the wait: `work` is then cancelled.

        Raises:
            AppError: called on the loop itself, which could never end.
            TooSlow: `work` took longer than `timeout` seconds; it was cancelled, and has ended if it let itself.
        """
        __tracebackhide__ = True
        job = _Job(work)
        if threading.current_thread() is self._thread:
            work.close()
            raise _called_on_itself()
        loop = self._running()
        try:
            loop.call_soon_threadsafe(job.start)
            in_time = job.ended.acquire(timeout=-1 if timeout is None else timeout)
        except BaseException:
            loop.call_soon_threadsafe(job.cancel)
            raise
        if not in_time:
            loop.call_soon_threadsafe(job.cancel)
            job.ended.acquire(timeout=PATIENCE)
            raise TooSlow
        return job.result()

    async def wait(self, work: Coroutine[Any, Any, T], timeout: float | None = None) -> T:  # noqa: ASYNC109 - as in run
        """Run `work` on the loop, awaited from another one, of asyncio or of trio.

        Cancelling the caller cancels `work`. Raises as `run` does.
        """
        __tracebackhide__ = True
        job = _Job(work)
        loop = self._running()
        try:
            wake = waking()
            job.tell = wake.tell
            loop.call_soon_threadsafe(job.start, context=wake.context)
            await wake.wait(timeout)
        except BaseException:
            loop.call_soon_threadsafe(job.cancel)
            raise
        return job.result()

    def drop(self, work: Coroutine[Any, Any, object]) -> None:
        """Run `work` on the loop, and let go of it: what it raises is lost."""
        self._running().call_soon_threadsafe(_Job(work).start)

    def stop(self) -> None:
        """Cancel what still runs, wait for it, close the loop and end the thread. Does nothing the second time.

        Raises `AppError` naming the tasks that swallowed their cancellation for `PATIENCE` seconds.
        """
        with self._lock:
            thread, loop, end = self._thread, self._loop, self._end
            self._thread = self._loop = self._end = None
        if thread is None or loop is None or end is None:
            return
        loop.call_soon_threadsafe(end.set)
        thread.join(PATIENCE)
        if thread.is_alive():
            raise _does_not_end(loop)

    def _running(self) -> asyncio.AbstractEventLoop:
        loop = self._loop
        if loop is not None:
            return loop
        with self._lock:
            if self._loop is None:
                ready = threading.Event()
                thread = threading.Thread(target=self._serve, args=(ready,), name=self._name, daemon=True)
                thread.start()
                ready.wait()
                self._thread = thread
            assert self._loop is not None
            return self._loop

    def _serve(self, ready: threading.Event) -> None:
        # asyncio.run, and not run_forever: its end cancels what is left, and anyio ties its worker threads
        # to the task that run_until_complete drives. Without one it would start a thread for every request.
        asyncio.run(self._until_stopped(ready))

    async def _until_stopped(self, ready: threading.Event) -> None:
        loop = self._loop = asyncio.get_running_loop()
        loop.time = _clock  # type: ignore[method-assign]  # for this loop only
        self._end = end = asyncio.Event()
        ready.set()
        await end.wait()


def _clock(monotonic: Callable[[], float] = time.monotonic) -> float:
    """The real clock: a test that freezes time.monotonic (freezegun) would stop all sleeps and time-outs of the app.

    A default argument, since freezegun replaces what is found in the names of modules.
    """
    return monotonic()


class _Job(Generic[T]):
    """One piece of work on its way to the loop and back: one wake-up in, one lock released out."""

    __slots__ = ("_cancelled", "_error", "_task", "_value", "_work", "ended", "tell")

    def __init__(self, work: Coroutine[Any, Any, T]) -> None:
        self._work = work
        self._task: asyncio.Task[None] | None = None
        self._value: T | None = None
        self._error: BaseException | None = None
        self._cancelled = False
        self.tell: Callable[[], None] | None = None
        """Told of the end, on the loop: for who can't wait for the lock."""
        # A bare lock, taken here and released by the loop: the cheapest thing that a signal can interrupt.
        self.ended = threading.Lock()
        self.ended.acquire()

    def start(self) -> None:
        """On the loop. The task's context is a copy of the calling thread's: call_soon_threadsafe made it."""
        self._task = asyncio.get_running_loop().create_task(self.run())

    def cancel(self) -> None:
        """On the loop."""
        if self._task is not None:
            self._task.cancel()
        if inspect.getcoroutinestate(self._work) == inspect.CORO_CREATED:
            self._work.close()  # cancelled before its first step: nobody will await it

    async def run(self) -> None:
        """On the loop. Never raises, since SystemExit in a task would end the loop for all tests to come."""
        try:
            self._value = await self._work
        except asyncio.CancelledError as error:
            self._error, self._cancelled = error, True
        except BaseException as error:  # noqa: BLE001 - it is raised again, in the thread that waits
            self._error = error
        finally:
            self.ended.release()
            if self.tell is not None:
                self.tell()

    def result(self) -> T:
        """In the calling thread. Once: the loop may hold the job a moment longer, but not what it brought."""
        __tracebackhide__ = True
        value, self._value = self._value, None
        error, self._error = self._error, None
        if error is None:
            return value  # type: ignore[return-value]  # None only where T is
        try:
            if self._cancelled:
                raise was_cancelled() from error
            raise error
        finally:
            del error  # a traceback holds this frame: no cycle for the collector


def _called_on_itself() -> AppError:
    return AppError(
        "The synchronous client was called from the app's own event loop.",
        cause="the loop would wait for itself, for ever",
        fix="use `async_client` there, or call from a thread",
    )


def was_cancelled() -> AppError:
    """Work that was cancelled from inside."""
    return AppError(
        "The app's work was cancelled before it ended.",
        cause="something in the app cancelled the task of the request, or the app was closed meanwhile",
        fix="look for task.cancel() or a time-out around the endpoint; the cancellation itself is shown above",
    )


def _does_not_end(loop: asyncio.AbstractEventLoop) -> AppError:
    tasks = sorted(getattr(task.get_coro(), "__qualname__", repr(task)) for task in asyncio.all_tasks(loop))
    names = ", ".join(tasks) or "a thread of run_in_executor()"
    return AppError(
        f"The app's event loop did not end within {PATIENCE:g} s of its stop: {names}.",
        cause="a task swallows asyncio.CancelledError, or blocks",
        fix="let CancelledError pass, and end background work in the app's lifespan",
    )
