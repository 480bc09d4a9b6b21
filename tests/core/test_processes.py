"""Processes are known by pid, start and nonce together, never by one of them."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys

import pytest

from seatrial.core import processes, wait


@pytest.fixture
def sleeper():
    with subprocess.Popen(["sleep", "60"], env={"PATH": os.environ["PATH"], processes.NONCE: "n0nce"}) as process:
        # Until it has executed `sleep`, it shows our own environment.
        assert wait.until(lambda: processes.is_ours(process.pid, processes.started(process.pid), "n0nce"), timeout=10)
        yield process
        process.kill()


def test_a_process_of_ours_is_known_by_all_three(sleeper):
    assert processes.is_ours(sleeper.pid, processes.started(sleeper.pid), "n0nce")


def test_somebody_else_s_process_with_a_pid_of_ours_is_not_ours(sleeper):
    start = processes.started(sleeper.pid)
    assert not processes.is_ours(sleeper.pid, start, "another")
    assert not processes.is_ours(sleeper.pid, start, "n0nc")
    assert not processes.is_ours(sleeper.pid, start, "")
    assert not processes.is_ours(sleeper.pid, start + "1", "n0nce")
    assert not processes.is_ours(sleeper.pid, "", "n0nce")
    assert not processes.is_ours(os.getpid(), start, "n0nce")


def test_a_dead_process_has_no_start_even_before_it_is_reaped(sleeper):
    assert processes.started(sleeper.pid)
    sleeper.kill()
    assert wait.until(lambda: not processes.started(sleeper.pid), timeout=5)
    assert not processes.send(2**22 + 1, signal.SIGTERM)


def test_the_process_that_listens_on_a_port_is_named():
    with socket.create_server(("127.0.0.1", 0)) as server:
        assert processes.listener(server.getsockname()[1]).endswith(f"(pid {os.getpid()})")
    assert processes.listener(1) == ""


def test_a_child_dies_with_its_parent():
    program = """
import os, signal, sys, time
from seatrial.core import processes
read, write = os.pipe()
parent = os.getpid()
die_with_us = processes.dying_with(parent, signal.SIGKILL)
child = os.fork()
if not child:
    die_with_us()
    os.write(write, b"x")
    time.sleep(60)
os.read(read, 1)
print(child, processes.started(child), flush=True)
os.kill(parent, signal.SIGKILL)
"""
    if sys.platform != "linux":
        pytest.skip("only Linux kills the child")
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=False)
    assert done.returncode == -signal.SIGKILL, done.stderr
    pid, start = done.stdout.split()
    assert wait.until(lambda: processes.started(int(pid)) != start, timeout=5)


def test_the_time_since_the_boot_has_one_name():
    assert processes.boot() == processes.boot() != ""


def test_who_descends_from_whom_is_found_though_pids_were_taken_anew_while_the_table_was_read(monkeypatch):
    monkeypatch.setattr(processes, "_table", lambda: [(1, 0, 1), (3, 1, 3), (7, 3, 3), (5, 4, 5), (4, 5, 5)])
    assert processes.descends(7, 3)
    assert processes.descends(7, 7)
    assert not processes.descends(3, 7)
    assert not processes.descends(5, 3)
