"""The loop of the app: one thread, work in, results and exceptions out, nothing left."""

from __future__ import annotations

import asyncio
import contextvars
import os
import signal
import sys
import threading
import time
from collections.abc import Iterator

import anyio.to_thread
import pytest

from seatrial.apps import loop as loops
from seatrial.apps.loop import Loop
from seatrial.errors import AppError

REQUEST_ID = contextvars.ContextVar("REQUEST_ID", default="none")


@pytest.fixture
def loop() -> Iterator[Loop]:
    loop = Loop()
    yield loop
    loop.stop()


async def where() -> tuple[int, asyncio.AbstractEventLoop]:
    return threading.get_ident(), asyncio.get_running_loop()


async def forever(entered: threading.Event, cancelled: threading.Event) -> None:
    entered.set()
    try:
        await asyncio.Event().wait()
    except asyncio.CancelledError:
        cancelled.set()
        raise


def test_all_work_runs_on_the_same_loop_in_a_thread_of_its_own(loop):
    first, second = loop.run(where()), loop.run(where())
    assert first == second
    assert first[0] != threading.get_ident()


def test_no_thread_is_started_before_the_first_use():
    before = threading.active_count()
    Loop().stop()
    assert threading.active_count() == before


def test_an_exception_is_raised_where_the_work_was_asked_for_with_the_frame_that_raised_it(loop):
    async def fail() -> None:
        raise LookupError("nobody home")

    with pytest.raises(LookupError, match="nobody home") as caught:
        loop.run(fail())
    assert caught.traceback[-1].name == "fail"


def test_system_exit_is_raised_in_the_test_and_the_loop_goes_on(loop):
    async def leave() -> None:
        raise SystemExit(3)

    with pytest.raises(SystemExit):
        loop.run(leave())
    assert loop.run(where())


def test_work_sees_the_context_variables_of_the_caller(loop):
    async def look() -> str:
        return REQUEST_ID.get()

    token = REQUEST_ID.set("from the test")
    try:
        assert loop.run(look()) == "from the test"
    finally:
        REQUEST_ID.reset(token)


def test_work_that_is_cancelled_from_inside_is_an_error_not_a_cancellation_of_the_test(loop):
    async def give_up() -> None:
        raise asyncio.CancelledError

    with pytest.raises(AppError, match="cancelled before it ended"):
        loop.run(give_up())


def test_a_call_from_the_loop_itself_is_refused_instead_of_waiting_for_ever(loop):
    async def outer() -> None:
        loop.run(where())

    with pytest.raises(AppError, match="from the app's own event loop") as caught:
        loop.run(outer())
    assert "async_client" in caught.value.fix


def test_ctrl_c_ends_the_wait_for_work_that_hangs_and_cancels_it(loop):
    entered, cancelled = threading.Event(), threading.Event()

    def interrupt() -> None:
        entered.wait()
        while not _sleeps(threading.main_thread()):
            time.sleep(0.001)
        os.kill(os.getpid(), signal.SIGINT)

    threading.Thread(target=interrupt).start()
    with pytest.raises(KeyboardInterrupt):
        loop.run(forever(entered, cancelled))
    assert cancelled.wait(10)
    assert loop.run(where())


def _sleeps(thread: threading.Thread) -> bool:
    """Whether `thread` is inside `Loop.run`, so that the signal meets the wait."""
    frame = sys._current_frames().get(thread.ident or 0)
    return frame is not None and frame.f_code is Loop.run.__code__


def test_cancelling_the_caller_on_another_loop_cancels_the_work(loop):
    entered, cancelled = threading.Event(), threading.Event()

    async def test() -> None:
        waiting = asyncio.create_task(loop.wait(forever(entered, cancelled)))
        await asyncio.to_thread(entered.wait)
        waiting.cancel()
        with pytest.raises(asyncio.CancelledError):
            await waiting

    asyncio.run(test())
    assert cancelled.wait(10)


def test_another_loop_goes_on_while_it_waits_for_the_work(loop):
    async def meet(mine: threading.Event, other: threading.Event) -> None:
        mine.set()
        await asyncio.to_thread(other.wait)

    async def test() -> None:
        a, b = threading.Event(), threading.Event()
        await asyncio.gather(loop.wait(meet(a, b)), meet(b, a))

    asyncio.run(test())


def test_stop_cancels_what_still_runs_and_ends_the_thread():
    loop = Loop("seatrial-stop")
    entered, cancelled = threading.Event(), threading.Event()

    async def leave_something() -> asyncio.Task[None]:
        return asyncio.create_task(forever(entered, cancelled))

    task = loop.run(leave_something())
    loop.stop()
    assert cancelled.is_set()
    assert task.cancelled()
    assert "seatrial-stop" not in {thread.name for thread in threading.enumerate()}
    loop.stop()  # the second time does nothing


def test_a_task_that_swallows_its_cancellation_is_named(monkeypatch):
    monkeypatch.setattr(loops, "PATIENCE", 0.05)
    loop = Loop()
    let_go = threading.Event()

    async def stubborn() -> None:
        while not let_go.is_set():
            try:
                await asyncio.sleep(0.001)
            except asyncio.CancelledError:
                continue

    async def leave_something() -> asyncio.Task[None]:
        return asyncio.create_task(stubborn())

    task = loop.run(leave_something())
    with pytest.raises(AppError, match="stubborn"):
        loop.stop()
    let_go.set()
    while not task.done():
        time.sleep(0.001)


def test_worker_threads_of_anyio_are_kept_from_one_request_to_the_next(loop):
    """FastAPI runs `def` endpoints on them; a new thread for each request would cost more than the request."""

    async def ask() -> threading.Thread:
        return await anyio.to_thread.run_sync(threading.current_thread)

    assert len({loop.run(ask()) for _ in range(5)}) == 1


def test_a_clock_that_a_test_has_frozen_does_not_stop_the_sleeps_of_the_app(loop, monkeypatch):
    frozen = time.monotonic()
    monkeypatch.setattr(time, "monotonic", lambda: frozen)
    loop.run(asyncio.sleep(0.001))
