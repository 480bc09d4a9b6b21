"""Waiting ends in time, whatever a test does to the clock."""

from __future__ import annotations

import asyncio
import time

import freezegun
import pytest
import time_machine

from seatrial.core import wait


def freeze_by_replacing(monkeypatch: pytest.MonkeyPatch) -> None:
    # What freezegun does: fakes in the place of the functions, in `time` and in every module that holds one of them.
    fakes = {
        getattr(time, name): (lambda: 1.0)
        for name in ("time", "monotonic", "perf_counter", "time_ns", "monotonic_ns", "perf_counter_ns")
    }
    for module in (time, wait):
        for name, value in list(vars(module).items()):
            if getattr(value, "__hash__", None) and value in fakes:
                monkeypatch.setattr(module, name, fakes[value])
    assert time.monotonic() == time.monotonic() == 1.0


def test_a_wait_ends_under_a_clock_that_freezegun_s_way_has_stopped(monkeypatch):
    freeze_by_replacing(monkeypatch)
    assert not wait.until(lambda: False, timeout=0.02)


def test_a_wait_ends_under_freezegun():
    with freezegun.freeze_time("2020-01-01"):
        before = wait.now()
        assert not wait.until(lambda: False, timeout=0.02)
        assert wait.now() > before


def test_a_wait_ends_under_time_machine():
    with time_machine.travel(0, tick=False):
        before = wait.now()
        assert not wait.until(lambda: False, timeout=0.02)
        assert wait.now() > before


@pytest.mark.parametrize(
    "frozen",
    [freezegun.freeze_time("2001-01-01"), time_machine.travel("2001-01-01", tick=False)],
    ids=["freezegun", "time_machine"],
)
def test_the_real_date_can_be_told_while_the_clock_stands_still(frozen):
    before = time.time()
    with frozen:
        told = wait.date()
    assert before - 1 < told < time.time() + 1


def test_a_wait_ends_where_sleep_is_replaced(monkeypatch):
    monkeypatch.setattr(time, "sleep", lambda seconds: pytest.fail("slept"))
    assert not wait.until(lambda: False, timeout=0.02)


def test_what_is_true_is_asked_once():
    asked = []
    assert wait.until(lambda: not asked.append(1), timeout=5)
    assert asked == [1]


def test_what_becomes_true_ends_the_wait():
    answers = iter([False, False, True])
    assert wait.until(lambda: next(answers), timeout=5, every=0.001)


def test_even_no_time_at_all_asks():
    assert wait.until(lambda: True, timeout=0)


async def _nothing():
    """What a project's reset does, here."""


def test_to_wait_for_what_is_asynchronous_leaves_a_thread_its_event_loop():
    loop = asyncio.new_event_loop()
    asyncio.set_event_loop(loop)
    try:
        wait.finish(_nothing())
        assert asyncio.get_event_loop() is loop
    finally:
        asyncio.set_event_loop(None)
        loop.close()
