"""A file lock is held by one process at a time, and by no dead one."""

from __future__ import annotations

import multiprocessing
import os
import signal
import threading

import pytest

from seatrial.core import wait
from seatrial.core.locks import FileLock, is_held
from seatrial.errors import ProviderError


def hold_for_ever(path, ready):
    with FileLock(path):
        ready.set()
        signal.pause()


def test_a_second_holder_is_refused_and_told_what_the_first_is_at(tmp_path):
    second = FileLock(tmp_path / "lock", timeout=0.02, purpose="building")
    with FileLock(tmp_path / "lock"), pytest.raises(ProviderError) as caught:
        second.__enter__()
    assert caught.value.what == "another process has been at building for more than 0.02 s"
    assert FileLock(tmp_path / "lock").try_acquire()


def test_the_lock_of_a_killed_process_is_free(tmp_path):
    context = multiprocessing.get_context("spawn")
    ready = context.Event()
    holder = context.Process(target=hold_for_ever, args=(tmp_path / "lock", ready))
    holder.start()
    assert ready.wait(30)
    assert is_held(tmp_path / "lock")
    assert holder.pid is not None
    os.kill(holder.pid, signal.SIGKILL)
    holder.join()
    with FileLock(tmp_path / "lock", timeout=5):
        assert is_held(tmp_path / "lock")
    assert not is_held(tmp_path / "lock")


def test_threads_exclude_each_other(tmp_path):
    inside = []
    most = []

    def work():
        for _ in range(10):
            with FileLock(tmp_path / "lock", timeout=30):
                inside.append(1)
                most.append(len(inside))
                wait.pause(0.001)
                inside.pop()

    threads = [threading.Thread(target=work) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert max(most) == 1
    assert len(most) == 40


def test_a_lock_whose_file_is_deleted_is_not_held_twice(tmp_path):
    first, second, third = (FileLock(tmp_path / "lock", timeout=5) for _ in range(3))
    assert first.try_acquire()
    (tmp_path / "lock").unlink()
    assert second.try_acquire()
    first.release()
    assert not third.try_acquire()
    second.release()
    assert third.try_acquire()
    third.release()


def test_nobody_holds_a_lock_that_was_never_made(tmp_path):
    assert not is_held(tmp_path / "lock")
