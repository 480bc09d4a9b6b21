"""kill -9 of a client in mid-transaction, of a backend, of the server in mid-test: the next test has the baseline."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from contextlib import suppress
from pathlib import Path

import pytest

from seatrial.errors import ServerLost

from .apps import Psycopg
from .sea import Sea

ORDER = "insert into orders (customer_id) values (1) returning id"
CLIENT = """
import sys, psycopg
app = psycopg.connect(sys.argv[1])
app.execute("insert into orders (customer_id) values (1)")
app.commit()
app.execute("delete from line")
app.execute("update product set stock = 0")
if sys.argv[2] == "copying":
    with app.cursor() as cursor, cursor.copy("copy team from stdin") as copy:
        copy.write_row((77, 77))
        print("ready", flush=True)
        sys.stdin.read()
print("ready", flush=True)
sys.stdin.read()
"""


@pytest.mark.parametrize("busy", ["in a transaction", "copying"])
@pytest.mark.parametrize("isolation", ["reset", "clone"])
def test_a_client_that_is_killed_in_mid_transaction_leaves_nothing_to_the_next_test(sea, isolation, busy):
    with sea.one_test(isolation, "plain") as test:
        argv = [sys.executable, "-c", CLIENT, sea.url("plain"), busy]
        client = subprocess.Popen(argv, stdin=subprocess.PIPE, stdout=subprocess.PIPE)
        assert client.stdout.readline() == b"ready\n"
        client.kill()
        client.wait()
        client.stdin.close()
        client.stdout.close()
    assert test.told == []
    with sea.one_test(isolation, "plain"), sea.connect("plain") as app:
        assert app.execute("select count(*) from line").fetchone() == (5,)
        assert app.execute(ORDER).fetchone() == (6,)


@pytest.fixture(scope="module")
def alone(tmp_path_factory):
    """A server of its own: what ends it disturbs no other hard case."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("SEATRIAL_CACHE", str(tmp_path_factory.mktemp("cache")))
        patch.setenv("SEATRIAL_IDLE", "1")
        sea = Sea(tmp_path_factory.mktemp("project"))
        try:
            sea.start("plain")
            app = Psycopg(sea.url("plain"))
            yield sea, app
            app.close()
        finally:
            sea.close()


KILLS = [(victim, isolation) for victim in ("backend", "server") for isolation in ("reset", "rollback", "clone")]
BY_DAY = {("backend", "reset"), ("server", "reset")}
"""Each kill costs a template: the baseline has rows in an unlogged table, which the crash takes along."""


@pytest.mark.parametrize(
    ("victim", "isolation"),
    [pytest.param(*one, marks=() if one in BY_DAY else pytest.mark.nightly) for one in KILLS],
)
def test_after_a_kill_in_mid_test_the_next_test_starts_from_the_baseline(alone, victim, isolation):
    sea, app = alone
    with sea.one_test(isolation, "plain") as test:
        assert app.commit(ORDER) == [(6,)]
        sea.harness.session("plain").rollback()
        ((pid,),) = app.commit("select pg_backend_pid()")
        _kill(_server(sea) if victim == "server" else pid)
        with suppress(Exception):  # whatever the driver says
            app.commit(ORDER)
    assert all(error.cause and error.fix for error in test.told)
    assert victim != "server" or ServerLost in map(type, test.told)
    for _ in range(2):
        with sea.one_test(isolation, "plain") as after:
            assert app.commit(ORDER) == [(6,)]
            assert app.commit("select count(*) from line") == [(5,)]
            assert sea.harness.session("plain").execute("select count(*) from line").fetchone() == (5,)
        assert after.told == []


def test_a_server_that_is_killed_while_a_connection_of_the_test_before_is_held_is_told_to_its_test(alone):
    sea, app = alone
    with sea.one_test("reset", "plain"):
        held = app.hold()
        held.run(ORDER)
        held.run("COMMIT")
    with sea.one_test("reset", "plain") as test:
        _kill(_server(sea))
    with suppress(Exception):  # whatever the driver says
        held.rollback()
    assert [type(error) for error in test.told] == [ServerLost]
    with sea.one_test("reset", "plain") as after:
        assert app.commit(ORDER) == [(6,)]
    assert after.told == []


def test_a_server_that_is_killed_in_a_test_whose_database_is_to_be_kept_is_told_to_it(alone):
    sea, app = alone
    with sea.one_test("reset", "plain") as test:
        _kill(_server(sea))
        test.told = sea.harness.end(keep=True)
        assert [type(error) for error in test.told] == [ServerLost]
    with sea.one_test("reset", "plain") as after:
        assert app.commit(ORDER) == [(6,)]
    assert after.told == []


def _server(sea: Sea) -> int:
    """Its first process."""
    with sea.admin("plain") as admin:
        return int(admin.execute("select pg_read_file('postmaster.pid', 0, 20)").fetchone()[0].split()[0])


def _kill(pid: int) -> None:
    os.kill(pid, signal.SIGKILL)
    while _alive(pid):
        time.sleep(0.01)


def _alive(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except (FileNotFoundError, ProcessLookupError):
        return False
