"""A server of any kind that dies in a test: that test is told, and the next ones have a working one."""

from __future__ import annotations

import json
import sys

import pytest

from seatrial.errors import ProviderError
from seatrial.resources import registry
from seatrial.resources.protocol import Requirements
from seatrial.resources.resolve import resolve

COMMAND = {
    "command": f"{sys.executable} -I -m http.server --bind 127.0.0.1 --directory {{data}} {{port}}",
    "ready": "http:/",
    "reset": "kept:empty",
}
KINDS = ("command", "mariadb", "nats", "postgres", "redis", "s3")
KEPT = """
from urllib.request import urlopen


def empty(url):
    urlopen(url, timeout=5).close()
"""
TESTS = """
import os
import signal
from pathlib import Path

import pytest

from seatrial.resources.supervisor import client


def family(pid):
    children = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
    return [pid, *(one for child in children for one in family(int(child)))]


def kill():
    (status,) = client.instances(Path.cwd())
    for pid in family(status.instance.read("state.json")["pid"]):
        os.kill(pid, signal.SIGKILL)


PLACES = ("kill", "look", "look")


@pytest.mark.parametrize("what", PLACES)
def test_one_after_the_other(db, what):
    assert db
    if what == "kill":
        kill()
"""
LATE = TESTS.replace("(db,", "(request,").replace("assert db", "assert request.getfixturevalue('db')")
LAST = LATE.replace('("kill", "look", "look")', '("look", "look", "kill")')


@pytest.fixture(params=KINDS)
def crashing(project, request):
    """Runs tests of which one kills the server of a kind, and returns how they ended."""
    kind = request.param
    options = COMMAND if kind == "command" else {}
    try:
        resolve(registry.kind(kind).spec(Requirements(project=project.folder, options=options)))
    except ProviderError as error:
        pytest.skip(error.cause)
    lines = "".join(f"{key} = {json.dumps(value)}\n" for key, value in {"kind": kind, **options}.items())
    config = f'[tool.pytest.ini_options]\npythonpath = ["."]\n\n[tool.seatrial.resources.db]\n{lines}'
    project.write({"pyproject.toml": config, "kept.py": KEPT})

    def run(tests, *, audit):
        outcome = project.write({"test_crash.py": tests}).pytest("-q", "test_crash.py", audit=audit)
        print(outcome.text)
        for raw in ("INTERNALERROR", "Traceback", "self = "):
            assert raw not in outcome.text, outcome.text
        return outcome.counts()

    return run


def test_a_server_that_dies_in_a_test_is_there_again_for_the_next(crashing):
    assert crashing(TESTS, audit=False) == {"passed": 3, "error": 1}


def test_a_server_that_dies_in_the_test_that_first_asks_for_it_is_there_again_for_the_next(crashing):
    """Where it is audited, that test is told: it had no lease as yet, so nothing else would see what it lost."""
    counts = crashing(LATE, audit=True)
    assert counts.pop("error", 1) == 1
    assert counts == {"passed": 3}


def test_a_run_ends_in_order_when_the_server_has_died_in_its_last_test(crashing):
    counts = crashing(LAST, audit=False)
    assert counts.pop("error", 1) == 1
    assert counts == {"passed": 3}
