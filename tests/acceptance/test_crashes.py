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


ASKED_BY_NAME = """
import os
import signal

import psycopg
import pytest

DB = "db_url"


@pytest.fixture(scope="session")
def wide():
    return 1


def connect(request):
    return psycopg.connect(request.getfixturevalue(DB))


def test_the_server_is_killed(request):
    with connect(request) as connection:
        postmaster = int(connection.execute("select pg_read_file('postmaster.pid', 0, 20)").fetchone()[0].split()[0])
        os.kill(postmaster, signal.SIGKILL)
        with pytest.raises(psycopg.Error):
            while True:
                connection.execute("select 1")


def test_with_a_wider_fixture(wide, request):
    with connect(request) as connection:
        assert connection.execute("select 1").fetchone() == (1,)


def test_without_a_database(wide):
    pass
"""


def test_a_server_that_dies_where_tests_ask_for_it_by_name_only_is_there_again_for_the_next_wider_fixture(service):
    service.write({"tests/test_by_name.py": ASKED_BY_NAME})
    outcome = service.pytest("-q", "tests/test_by_name.py", timeout=60)
    assert outcome.counts() == {"passed": 3, "error": 1}, outcome.text
    assert "ERROR tests/test_by_name.py::test_the_server_is_killed" in outcome.text


UNTOLD = """
import pytest

from seatrial.errors import IsolationError
from seatrial.harness.resource.managed import Managed


@pytest.fixture(scope="session")
def wide():
    return 1


def refuse(self):
    Managed.before_layer = once
    raise IsolationError("not now", fix="wait")


once, Managed.before_layer = Managed.before_layer, refuse


def test_first(db, wide):
    pass


def test_second(db, wide):
    pass
"""


def test_what_keeps_a_wider_fixture_from_being_set_up_is_told_to_one_test_and_the_next_sets_it_up(service):
    service.write({"tests/test_untold.py": UNTOLD})
    outcome = service.pytest("-q", "tests/test_untold.py", timeout=60)
    assert outcome.counts() == {"error": 1, "passed": 1}, outcome.text
    assert "not now" in outcome.text
