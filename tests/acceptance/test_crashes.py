"""A server that crashes in mid-run: the next test has a working one, or a clear error, and never waits for ever."""

from __future__ import annotations

KILLER = """
import os
import signal

import pytest
from sqlalchemy import text

from app.models import User


@pytest.mark.parametrize("attempt", range(2))
def test_before(client, db, attempt):
    assert client.post("/users", json={"email": "a@b.c", "name": "A"}).json()["id"] == 1
    assert db.query(User).count() == 1


def test_the_server_is_killed(db):
    db.add(User(email="lost@b.c", name="Lost"))
    db.commit()
    postmaster = int(db.execute(text("select pg_read_file('postmaster.pid', 0, 20)")).scalar().split()[0])
    os.kill(postmaster, signal.SIGKILL)


def test_a_backend_is_killed(db):
    pid = db.execute(text("select pg_backend_pid()")).scalar()
    os.kill(pid, signal.SIGKILL)


@pytest.mark.parametrize("attempt", range(2))
def test_after(client, db, attempt):
    assert client.post("/users", json={"email": "a@b.c", "name": "A"}).json()["id"] == 1
    assert db.query(User).count() == 1
"""


def test_after_a_crash_of_the_server_the_next_test_starts_from_the_baseline(service):
    service.write({"tests/test_crash.py": KILLER})
    outcome = service.pytest("-q", "tests/test_crash.py", "-k", "not backend", timeout=60)
    counts = outcome.counts()
    assert counts.get("passed", 0) >= 4, outcome.text
    assert "ERROR tests/test_crash.py::test_after" not in outcome.text, outcome.text
    assert "FAILED tests/test_crash.py::test_after" not in outcome.text, outcome.text


def test_after_a_crash_of_a_backend_the_next_test_starts_from_the_baseline(service):
    service.write({"tests/test_crash.py": KILLER})
    outcome = service.pytest("-q", "tests/test_crash.py", "-k", "not server_is_killed", timeout=60)
    assert "ERROR tests/test_crash.py::test_after" not in outcome.text, outcome.text
    assert "FAILED tests/test_crash.py::test_after" not in outcome.text, outcome.text
    assert outcome.counts().get("passed", 0) >= 4, outcome.text
