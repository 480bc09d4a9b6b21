"""A server is ended by hand at any moment: also in the few milliseconds in which it starts."""

from __future__ import annotations

import threading
from functools import partial

import pytest
from tests.conftest import end_servers

from seatrial.cli.main import main
from seatrial.core import folders, wait
from seatrial.resources.supervisor import client
from seatrial.resources.supervisor.instance import Instance

LATE = """
import sys, os, time
sys.path.append({root!r})
from seatrial.resources.supervisor import process
listen = process.Supervisor._listen
def late(self):
    while not os.path.exists("listen"):
        time.sleep(0.01)
    return listen(self)
process.Supervisor._listen = late
process.main()
"""
"""A supervisor on a very slow machine: it listens when there is a file of that name."""


@pytest.fixture
def instance(tmp_path, monkeypatch):
    monkeypatch.setenv("SEATRIAL_CACHE", str(tmp_path))
    found = Instance(folder=folders.instance(tmp_path, "12345678").path)
    found.describe({"project": str(tmp_path), "kind": "made-up", "port": 1, "version": "1"})
    yield found
    end_servers(tmp_path)


class Downs:
    """`down` in another thread, and how far it has come."""

    def __init__(self, down, monkeypatch):
        self.looked, self.told = threading.Event(), []
        connect = client._connect

        def looking(asked):
            found = connect(asked)
            self.looked.set()
            return found

        monkeypatch.setattr(client, "_connect", looking)
        self._thread = threading.Thread(target=lambda: self.told.append(down()))
        self._thread.start()
        assert self.looked.wait(30)

    def end(self):
        """What it has told: whether a server ran."""
        self._thread.join(60)
        assert not self._thread.is_alive()
        return self.told


@pytest.fixture
def late(instance, orders, monkeypatch):
    """Starts a server whose supervisor does not listen yet."""
    monkeypatch.setattr(client, "_PROGRAM", LATE)

    def start():
        hold = client.spawn(instance, orders(idle=60))
        assert wait.until(lambda: bool(instance.read("state.json")), timeout=30)
        return hold

    yield start
    (instance.folder / "listen").touch()


def test_a_server_whose_supervisor_does_not_listen_yet_is_ended_when_it_does(instance, late, monkeypatch):
    hold = late()
    downs = Downs(partial(client.down, instance), monkeypatch)
    (instance.folder / "listen").touch()
    assert downs.end() == [True]
    assert not instance.alive
    hold.close()


def test_the_command_ends_such_a_server_too(instance, late, monkeypatch, capsys):
    hold = late()
    downs = Downs(partial(main, ["down", "--all"]), monkeypatch)
    (instance.folder / "listen").touch()
    assert downs.end() == [0]
    assert not instance.alive
    assert "made-up 1 on port 1 has ended" in capsys.readouterr().out
    hold.close()


def test_a_server_that_somebody_is_just_starting_is_ended_when_it_has_started(instance, late, monkeypatch):
    with instance.lock("starting the server"):
        downs = Downs(partial(client.down, instance), monkeypatch)  # before there is even a supervisor
        hold = late()
        (instance.folder / "listen").touch()
        assert wait.until(lambda: client.ask(instance, "status") is not None, timeout=30)
    assert downs.end() == [True]
    assert not instance.alive
    hold.close()


def test_a_server_that_another_starts_when_ours_has_ended_stays(instance, orders, monkeypatch):
    first = client.spawn(instance, orders(idle=60))
    assert wait.until(lambda: client.ask(instance, "status") is not None, timeout=30)
    with instance.lock("starting the server"):
        downs = Downs(partial(client.down, instance), monkeypatch)
        assert wait.until(lambda: not first.alive() and not instance.alive, timeout=30)
        second = client.spawn(instance, orders())
        assert wait.until(lambda: client.ask(instance, "status") is not None, timeout=30)
    assert downs.end() == [True]
    assert second.alive()
    for hold in (first, second):
        hold.close()
