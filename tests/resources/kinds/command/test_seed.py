"""A program has its seed once, and no other: nobody but the project knows how to take one back."""

from __future__ import annotations

import sys

import pytest

from seatrial.core import ports

PROGRAM = """
import socket, sys
kept = []
listener = socket.create_server(("127.0.0.1", int(sys.argv[1])))
while True:
    with listener.accept()[0] as peer:
        order, _, word = peer.recv(100).decode().partition(" ")
        if order == "add":
            kept.append(word)
        peer.sendall(" ".join(kept).encode())
"""
SEEDS = """
import os, socket
from urllib.parse import urlsplit

def ask(url, order):
    with socket.create_connection((urlsplit(url).hostname, urlsplit(url).port)) as program:
        program.sendall(order.encode())
        return program.recv(100).decode()

def load(url):
    for word in {words}:
        ask(url, "add " + word)
        if word in os.environ.get("STOP", ""):
            {stop}
"""
TESTS = """
import seeds
import pytest

@pytest.mark.parametrize("turn", range(2))
def test_it(service, turn):
    assert seeds.ask(service, "tell") == "{words}"
"""


@pytest.fixture
def warm(project):
    """A project whose program outlives its runs."""
    project.environ["SEATRIAL_IDLE"] = "120"
    command = f"{sys.executable} -I -S program.py {{port}}"
    table = f'[resources.service]\nkind = "command"\ncommand = "{command}"\nreset = "nothing"\nseed = "seeds:load"\n'
    project.write({"program.py": PROGRAM, "seatrial.toml": table})
    yield project
    project.end_servers()


def seeded(project, *words, stop="pass"):
    return project.write(
        {"seeds.py": SEEDS.format(words=words, stop=stop), "test_it.py": TESTS.format(words=" ".join(words))}
    )


def test_a_seed_that_was_altered_finds_the_program_as_it_starts(warm):
    for words in (("one",), ("one",), ("two", "three")):
        outcome = seeded(warm, *words).pytest("-q")
        assert outcome.counts() == {"passed": 2}, outcome.text


def test_a_program_that_is_up_stays_up_when_its_seed_was_altered(warm):
    port = ports.choose("a program that is up", ())
    port.close()
    file = warm.folder / "seatrial.toml"
    file.write_text(f'{file.read_text()}at = "http://127.0.0.1:{port.port}"\n')
    warm.environ["SEATRIAL_IDLE"] = "0.05"
    for words in (("one",), ("two",)):
        outcome = seeded(warm, *words).seatrial("up")
        assert outcome.status == 0, outcome.text
        outcome = warm.pytest("-q")
        assert outcome.counts() == {"passed": 2}, outcome.text
        outcome = seeded(warm, *words, "and more").pytest("-q")
        assert outcome.counts() == {"passed": 2}, outcome.text
        assert [one["held_by_up"] for one in warm.servers()] == [True]


@pytest.mark.parametrize("stop", ["raise ValueError('no such thing')", "os._exit(9)"], ids=["failed", "was killed"])
def test_what_half_a_seed_did_is_gone_when_it_is_run_again(warm, stop):
    outcome = seeded(warm, "one", "two", stop=stop).pytest("-q", STOP="one")
    assert outcome.status != 0
    outcome = warm.pytest("-q")
    assert outcome.counts() == {"passed": 2}, outcome.text
