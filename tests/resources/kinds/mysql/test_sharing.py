"""Machines share a MariaDB or a MySQL elsewhere: they see each other's leases, and keep within its connections."""

from __future__ import annotations

import contextlib
import dataclasses
import os
import signal
import subprocess
import sys
import textwrap
import threading

import pymysql
import pytest
from tests.resources.kinds.shares import wait_for_a_share

from seatrial.core import wait
from seatrial.errors import ConfigError, IsolationError, ProviderError, Refused, ServerLost
from seatrial.resources.kinds.mysql import MySQL
from seatrial.resources.kinds.mysql import store as store_module
from seatrial.resources.kinds.mysql.connection import arguments, connect
from seatrial.resources.kinds.mysql.sharing.pulse import Pulse
from seatrial.resources.protocol import Requirements
from seatrial.resources.sharing import budget, crowded


@pytest.fixture
def name() -> str:
    return f"made_{os.getpid()}_{os.urandom(4).hex()}"


@pytest.fixture
def ask(server):
    """Asks the server as its administrator, on a connection of its own."""

    def asked(statement):
        with connect(server.endpoint) as admin, admin.cursor() as cursor:
            cursor.execute(statement)
            return cursor.fetchall()

    return asked


@pytest.fixture
def account(ask, name):
    """Makes an account with these rights, and tells the server as it knows it."""
    made = []

    def make(server, *grants):
        user = f"u{len(made)}_{name[-8:]}"
        made.append(user)
        ask(f"CREATE USER {user}@'%' IDENTIFIED BY 'x'")
        for grant in grants:
            ask(f"GRANT {grant} TO {user}@'%'")
        us = dataclasses.replace(server.endpoint.admin, user=user, password="x", database="information_schema")
        return dataclasses.replace(server.endpoint, owned=False, socket_folder=None, admin=us)

    yield make
    for user in made:
        ask(f"DROP USER {user}@'%'")


@pytest.fixture
def elsewhere(server, account):
    """The same server, as an ordinary account knows it that may create databases."""
    return account(server, "ALL PRIVILEGES ON *.*")


@pytest.fixture
def opened(kind, elsewhere, spec):
    """Opens stores, each as if on a machine of its own; they are closed at the end."""
    with contextlib.ExitStack() as stack:

        def open_store(**keys):
            told = dataclasses.replace(spec, url="-", data={key: str(value) for key, value in keys.items()})
            return stack.enter_context(contextlib.closing(kind.open(elsewhere, told)))

        yield open_store


def fill(target):
    target.execute("CREATE TABLE t (id INT AUTO_INCREMENT PRIMARY KEY); INSERT INTO t VALUES (1)")


def databases(ask):
    return {one for (one,) in ask("SHOW DATABASES")}


def test_machines_share_a_template_and_leave_each_other_s_copies_alone(opened, ask, name):
    first, second = opened(), opened()
    assert first.build(name, f"{name}_1", fill) is True
    assert second.build(name, f"{name}_2", fill) is False
    first.checkout(name, f"{name}_1")
    copy = second.checkout(name, f"{name}_2")
    with pymysql.connect(**arguments(copy.address), autocommit=True) as app, app.cursor() as cursor:
        cursor.execute("DELETE FROM t")
    opened()  # which sweeps
    assert databases(ask) >= {f"{name}_1", f"{name}_2"}
    with pytest.raises(IsolationError, match="another run of this project is using the copy"):
        second.checkout(name, f"{name}_1")
    first.drop(f"{name}_1")
    second.drop(f"{name}_2")
    assert not databases(ask) & {f"{name}_1", f"{name}_2"}


MACHINE = """
import sys
from seatrial.resources.kinds.mysql import MySQL, mariadb
from seatrial.resources.protocol import Address, Endpoint, Requirements

brand, port, user, name, phase = sys.argv[1:]
kind = {"mariadb": mariadb, "mysql": MySQL}[brand]()
admin = Address(scheme="mysql", host="127.0.0.1", port=int(port), user=user, password="x", database="mysql")
spec = kind.spec(Requirements.of(project=__import__("pathlib").Path("."), url="-", connections="20"))
store = kind.open(Endpoint(kind=brand, provider="url", version="", admin=admin, owned=False), spec)


def fill(target):
    target.execute("CREATE TABLE t (id INT PRIMARY KEY)")
    if phase == "building":
        print("there", flush=True)
        sys.stdin.read()


store.build(name, name, fill)
copy = store.checkout(name, name)
if phase == "layer":
    copy.push()
print("there", flush=True)
sys.stdin.read()
"""


@pytest.mark.parametrize("phase", ["building", "test", "layer"])
def test_what_a_machine_leaves_that_is_lost_is_collected_by_the_next_and_nothing_else(
    opened, kind, elsewhere, ask, name, phase, tmp_path
):
    """Its databases, its share of the connections, its turn to build: and not those of a run that goes on."""
    running = opened()
    running.build(f"{name}_other", f"{name}_other", fill)
    running.checkout(f"{name}_other", f"{name}_other")
    ask(f"CREATE DATABASE theirs_{name}")
    (tmp_path / "machine.py").write_text(textwrap.dedent(MACHINE))
    admin = elsewhere.admin
    lost = subprocess.Popen(
        [sys.executable, "machine.py", kind.name, str(admin.port), admin.user, name, phase],
        cwd=tmp_path,
        env={**os.environ, "SEATRIAL_CACHE": str(tmp_path / "cache")},
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    with lost:
        assert lost.stdout.readline() == "there\n"
        assert name in databases(ask)
        assert any(one.startswith("seatrial_l_") for one in databases(ask)) == (phase == "layer")
        lost.send_signal(signal.SIGKILL)
    # The server learns of it when it next looks at the connection: then the next one sweeps.
    assert wait.until(lambda: (opened().close(), name not in databases(ask))[1], timeout=60, every=0.2)
    left = databases(ask)
    assert not any(one.startswith("seatrial_l_") for one in left)
    assert left >= {f"{name}_other", f"theirs_{name}"}
    next_one = opened(connections=20)
    assert next_one.build(name, name, fill) is (phase == "building")
    next_one.checkout(name, name)
    assert next_one.connections() == "20 for the workers of all machines, 10 each; 2 have 20 now"
    next_one.drop(name)
    running.drop(f"{name}_other")
    ask(f"DROP DATABASE theirs_{name}")


def test_workers_of_all_machines_wait_for_their_share_of_the_connections(opened, name):
    stores = [opened(connections=15, worker_connections=7) for _ in range(3)]
    wait_for_a_share(stores, name, fill)


def test_a_worker_that_gets_no_share_is_told_who_has_them(opened, name, monkeypatch):
    monkeypatch.setattr(budget, "PATIENCE", 0.3)
    opened(connections=10).build(name, name, fill)
    with pytest.raises(ProviderError, match="no connections left for another worker") as caught:
        opened(connections=10).checkout(name, f"{name}_2")
    assert caught.value.cause == "1 of all machines have 10, this one would take 10, and `connections` is 10"
    assert "`connections`" in caught.value.fix


def test_a_lease_and_a_share_come_back_by_themselves_when_our_connection_was_lost(opened, ask, name, monkeypatch):
    monkeypatch.setattr(store_module, "Pulse", lambda link: Pulse(link, 0.05))
    store = opened(connections=10)
    store.build(name, name, fill)
    store.checkout(name, name)
    before = store._link.pid
    ask(f"KILL {before}")
    assert wait.until(lambda: store._link._connection is not None and store._link.pid != before, timeout=60)
    assert opened(connections=10).connections() == "10 for the workers of all machines, 10 each; 1 has 10 now"
    assert name in databases(ask)  # it was not swept
    store.drop(name)


@pytest.mark.parametrize("it", ["holds", "swept"])
def test_a_lease_that_another_run_has_taken_meanwhile_does_not_come_back(opened, ask, name, monkeypatch, it):
    monkeypatch.setattr(store_module, "Pulse", lambda link: Pulse(link, 3600))
    monkeypatch.setattr("seatrial.resources.kinds.mysql.locks._AGAIN", 0)
    first, second = opened(), opened()
    first.build(name, name, fill)
    first.checkout(name, name)
    ask(f"KILL {first._link.pid}")
    if it == "holds":
        assert wait.until(lambda: _holds(second, name), timeout=60, every=0.1)
    else:
        assert wait.until(lambda: (opened().close(), name not in databases(ask))[1], timeout=60, every=0.2)
    with pytest.raises(ServerLost, match="another run has taken its databases"):
        first.find(name)
    second.drop(name)


def _holds(store, name):
    with contextlib.suppress(IsolationError):
        store.vacant(name)
        return True
    return False


def test_a_machine_that_the_server_hears_nothing_of_is_lost_and_one_that_speaks_is_not(opened, ask, name, monkeypatch):
    assert "60" in store_module.NOTICE
    monkeypatch.setattr(store_module, "NOTICE", "SET SESSION wait_timeout = 2")
    monkeypatch.setattr(store_module, "Pulse", lambda link: Pulse(link, 0.05))
    alive = opened()
    alive.build(f"{name}_1", f"{name}_1", fill)
    alive.checkout(f"{name}_1", f"{name}_1")
    silent = opened()
    silent.build(f"{name}_2", f"{name}_2", fill)
    silent.checkout(f"{name}_2", f"{name}_2")
    silent._pulse.end()
    assert wait.until(lambda: (opened().close(), f"{name}_2" not in databases(ask))[1], timeout=60, every=0.2)
    assert f"{name}_1" in databases(ask)
    alive.drop(f"{name}_1")


def test_without_a_budget_workers_take_what_the_server_leaves(opened, ask, elsewhere, name):
    """Connections of others count, those of ours and of apps to copies are in the shares; so does an account's limit."""
    store = opened()

    def free():
        return store._budget._ask(10, 0).free

    (most,) = ask("SELECT @@GLOBAL.max_connections")[0]
    store.build(name, name, fill)
    before = free()
    assert 0 < before <= most
    with contextlib.closing(pymysql.connect(**{**arguments(elsewhere.admin), "database": None})):
        assert wait.until(lambda: free() == before - 1, timeout=30)
    assert wait.until(lambda: free() == before, timeout=30)
    copy = store.checkout(name, name)
    with contextlib.closing(pymysql.connect(**arguments(copy.address))):
        opened()
        assert free() == before
    store.drop(name)
    store.close()
    ask(f"ALTER USER {elsewhere.admin.user}@'%' WITH MAX_USER_CONNECTIONS 7")
    limited = opened()
    assert wait.until(lambda: limited.connections().startswith("7 for the workers of all machines"), timeout=30)
    with pytest.raises(ProviderError, match="no connections left") as caught:
        limited.checkout(name, name)
    limited.close()
    assert caught.value.cause == "the server leaves 7 to us, and one worker with its app takes 10"


def test_a_server_that_has_no_connection_left_is_waited_for_and_then_named(opened, elsewhere, ask, monkeypatch):
    monkeypatch.setattr(crowded, "FULL", 0.5)
    (most,) = ask("SELECT @@GLOBAL.max_connections")[0]
    with contextlib.ExitStack() as stack:
        stack.callback(ask, f"SET GLOBAL max_connections = {most}")
        ask("SET GLOBAL max_connections = 10")
        plain = {**arguments(elsewhere.admin), "database": None}
        held = []
        stack.callback(lambda: [one.close() for one in held if one.open])
        with contextlib.suppress(pymysql.err.OperationalError):
            while True:
                held.append(pymysql.connect(**plain))
        with pytest.raises(ServerLost, match="has had no connection left") as caught:
            opened()
        assert "Too many connections" in caught.value.cause
        monkeypatch.setattr(crowded, "FULL", 60)
        freeing = threading.Timer(0.3, lambda: [one.close() for one in held[:4]])
        freeing.start()
        opened().close()
        freeing.join()


@pytest.mark.parametrize(
    ("keys", "message"),
    [
        ({"connections": "many"}, '`connections` is "many"'),
        ({"worker_connections": "3"}, '`worker_connections` is "3"'),
        ({"connections": "8"}, "`connections` is 8, and one worker takes 10"),
    ],
)
def test_a_budget_that_can_not_be_met_is_told(keys, message, tmp_path):
    with pytest.raises(ConfigError) as caught:
        MySQL().spec(Requirements.of(project=tmp_path, **keys))
    assert caught.value.what == message


def test_a_budget_is_no_matter_of_a_server_of_ours(kind, store, tmp_path):
    assert kind.spec(Requirements.of(project=tmp_path, connections="60")) == kind.spec(
        Requirements.of(project=tmp_path)
    )
    assert store.connections() == ""


def test_an_account_that_may_not_create_databases_is_refused_and_nothing_is_touched(kind, server, account, ask, spec):
    poor = account(server, "PROCESS ON *.*")
    before = databases(ask)
    with pytest.raises(Refused, match="may not create databases") as caught:
        kind.open(poor, spec)
    assert "GRANT" in caught.value.fix
    assert databases(ask) == before


def test_an_account_that_may_not_see_transactions_is_refused_with_the_grant_that_it_lacks(
    kind, server, account, ask, spec
):
    grants = ("ALL PRIVILEGES ON `seatrial%`.*", "ALL PRIVILEGES ON `made%`.*")
    with pytest.raises(Refused, match="may not see who is in a transaction") as caught:
        kind.open(account(server, *grants), spec)
    assert "GRANT PROCESS" in caught.value.fix


@pytest.mark.parametrize("reads", [False, True])
def test_an_account_that_owns_only_names_that_are_ours_will_do(kind, server, account, ask, spec, name, reads):
    """It may see nobody's data; where it may not read the log, every table is read, and the grant is told."""
    grants = ["PROCESS ON *.*", "ALL PRIVILEGES ON `seatrial%`.*", "ALL PRIVILEGES ON `made%`.*"]
    poor = account(server, *grants, *["REPLICATION SLAVE, REPLICATION CLIENT ON *.*"] * reads)
    with contextlib.closing(kind.open(poor, spec)) as store:
        lacking = store.abilities.grants(poor.admin.user)
        assert [one.startswith("GRANT REPLICATION SLAVE, REPLICATION CLIENT") for one in lacking] == [True] * (
            not reads
        )
        store.build(name, name, fill)
        copy = store.checkout(name, name)
        for _ in range(2):
            with pymysql.connect(**arguments(copy.address), autocommit=True) as app, app.cursor() as cursor:
                cursor.execute("DELETE FROM t")
            assert copy.undo().path == ("log" if reads else "scan")
        assert copy.undo().path == "nothing"
        store.drop(name)
    assert name not in databases(ask)
