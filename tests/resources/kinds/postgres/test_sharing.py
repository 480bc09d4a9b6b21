"""Machines and projects share a server elsewhere: they see each other's leases, and keep within its connections."""

from __future__ import annotations

import contextlib
import dataclasses
import os
import threading

import psycopg
import pytest
from tests.resources.kinds.shares import wait_for_a_share

from seatrial.core import wait
from seatrial.errors import ConfigError, ProviderError, ServerLost
from seatrial.resources.kinds.postgres import Postgres, connection
from seatrial.resources.kinds.postgres.sharing import shares
from seatrial.resources.protocol import Endpoint, Requirements
from seatrial.resources.sharing import budget, crowded


@pytest.fixture
def name() -> str:
    return f"made_{os.getpid()}_{os.urandom(4).hex()}"


@pytest.fixture
def admin(endpoint):
    with psycopg.connect(endpoint.admin.url(), autocommit=True) as connection:
        yield connection


@pytest.fixture
def elsewhere(endpoint, admin, name) -> Endpoint:
    """The same server, as an ordinary role knows it that may create databases."""
    admin.execute(f"create role poor_{name} login createdb password 'x'")
    us = dataclasses.replace(endpoint.admin, user=f"poor_{name}", password="x")
    return dataclasses.replace(endpoint, owned=False, socket_folder=None, admin=us)


def fill(target):
    target.execute("create table t (id int)")


def test_projects_whose_urls_name_different_databases_see_each_other_s_leases(elsewhere, admin, spec, name):
    """Advisory locks belong to one database: these are all in ours."""
    admin.execute(f'create database "other_{name}"')
    other = dataclasses.replace(elsewhere, admin=dataclasses.replace(elsewhere.admin, database=f"other_{name}"))
    with contextlib.closing(Postgres().open(elsewhere, spec)) as first:
        first.build(name, name, fill)
        copy = first.checkout(name, name)
        with contextlib.closing(Postgres().open(other, spec)) as second:
            assert second.find(name)
            with copy.connect() as app:
                assert app.execute("select count(*) from t").fetchone() == (0,)
        first.drop(name)
    admin.execute(f'drop database "other_{name}"')


def test_a_lease_comes_back_when_our_connection_was_lost(elsewhere, admin, spec, name):
    with contextlib.closing(Postgres().open(elsewhere, spec)) as first:
        first.build(name, name, fill)
        first.checkout(name, name)
        admin.execute("select pg_terminate_backend(%s)", [first._admin.pid])
        assert first.find(name)  # whatever it asks next, it has its locks again
        with contextlib.closing(Postgres().open(elsewhere, spec)):
            assert admin.execute("select count(*) from pg_database where datname = %s", [name]).fetchone() == (1,)
        first.drop(name)


def test_a_run_that_lost_the_connection_of_its_leases_keeps_its_copies_while_others_of_its_connections_live(
    elsewhere, admin, spec, name
):
    there = "select count(*) from pg_database where datname = %s"
    with contextlib.closing(Postgres().open(elsewhere, spec)) as first:
        first.build(name, name, fill)
        copy = first.checkout(name, name)
        admin.execute("select pg_terminate_backend(%s)", [first._admin.pid])
        with contextlib.closing(Postgres().open(elsewhere, spec)):
            assert admin.execute(there, [name]).fetchone() == (1,)
        admin.execute("select pg_terminate_backend(%s)", [copy._link.pid])  # all of them: as when the machine is lost
        with contextlib.closing(Postgres().open(elsewhere, spec)):
            assert admin.execute(there, [name]).fetchone() == (0,)


def test_a_connection_that_was_ended_is_noticed_before_a_test_begins(embedded, embedded_store, name):
    """And not only when it is needed, which may be at the end of the run."""
    store = embedded_store
    store.build(name, name, fill)
    copy = store.checkout(name, name)
    with psycopg.connect(embedded.admin.url(), autocommit=True) as other:
        assert wait.until(copy.ready, timeout=30)
        store._admin.run("set application_name to 'tells'")  # what the server tells by itself is no end
        assert copy.ready()
        other.execute("select pg_terminate_backend(%s)", [store._admin.pid])
        assert wait.until(lambda: not copy.ready(), timeout=30)
        copy.settle()
        lease = "select count(*) from pg_locks where locktype = 'advisory' and pid = %s"
        assert other.execute(lease, [store._admin.pid]).fetchone()[0] >= 2  # of the run, and of the copy
    store.drop(name)


def test_a_lease_that_another_has_for_a_moment_comes_back_and_one_that_he_keeps_is_told(
    elsewhere, admin, spec, name, monkeypatch
):
    with (
        contextlib.closing(Postgres().open(elsewhere, spec)) as first,
        contextlib.closing(Postgres().open(elsewhere, spec)) as second,
    ):
        for moment in (True, False):
            admin.execute("select pg_terminate_backend(%s)", [first._admin.pid])
            assert wait.until(lambda: second._leases.take(f"run {first.run}"), timeout=30)
            if moment:
                give_back = threading.Timer(0.3, second._leases.give_back, [f"run {first.run}"])
                give_back.start()
                first._admin.run("select 1")
                give_back.join()
            else:
                monkeypatch.setattr(connection, "AGAIN", 0.3)
                with pytest.raises(ServerLost, match="another run has taken its databases"):
                    first._admin.run("select 1")


def test_the_server_learns_within_a_minute_that_a_machine_is_lost(elsewhere, spec):
    with contextlib.closing(Postgres().open(elsewhere, spec)) as store:
        idle, interval, count = store._admin.rows(
            "select current_setting('tcp_keepalives_idle')::int, current_setting('tcp_keepalives_interval')::int, "
            "current_setting('tcp_keepalives_count')::int"
        )[0]
        assert 0 < idle + interval * count < 60


def tables(url, spec, **keys):
    return dataclasses.replace(spec, url=url, data={key: str(value) for key, value in keys.items()})


def test_workers_of_all_machines_wait_for_their_share_of_the_connections(elsewhere, spec, name):
    two = tables("-", spec, connections=15, worker_connections=7)
    stores = [Postgres().open(elsewhere, two) for _ in range(3)]
    try:
        wait_for_a_share(stores, name, fill)
    finally:
        for store in stores:
            store.close()


def test_a_worker_that_gets_no_share_is_told_who_has_them(elsewhere, spec, name, monkeypatch):
    monkeypatch.setattr(budget, "PATIENCE", 0.3)
    one = tables("-", spec, connections=10)
    with contextlib.closing(Postgres().open(elsewhere, one)) as first:
        first.build(name, name, fill)
        with (
            contextlib.closing(Postgres().open(elsewhere, one)) as second,
            pytest.raises(ProviderError, match="no connections left for another worker") as caught,
        ):
            second.checkout(name, f"{name}_2")
    assert caught.value.cause == "1 of all machines have 10, this one would take 10, and `connections` is 10"
    assert "`connections`" in caught.value.fix


def test_a_share_ends_with_the_connection_that_took_it_and_comes_back_with_a_new_one(elsewhere, admin, spec, name):
    one = tables("-", spec, connections=10)
    with contextlib.closing(Postgres().open(elsewhere, one)) as first:
        first.build(name, name, fill)
        admin.execute("select pg_terminate_backend(%s)", [first._admin.pid])
        first.find(name)
        with contextlib.closing(Postgres().open(elsewhere, one)) as second:
            assert second._budget._ask(10, 10).taken is False
        first._admin.close()  # as when the machine is lost
        with contextlib.closing(Postgres().open(elsewhere, one)) as third:
            assert wait.until(lambda: third._budget._ask(10, 10).taken, timeout=30)
        first.drop(name)


def test_without_a_budget_workers_take_what_the_server_leaves(elsewhere, admin, spec, name, monkeypatch):
    """Connections of others count, the reserved ones are not for us, those of apps to copies are in the shares."""
    with contextlib.closing(Postgres().open(elsewhere, spec)) as store:
        before = store._budget._ask(10, 0)
        limits = [int(admin.execute(f"show {one}").fetchone()[0]) for one in ("max_connections",)]
        assert 0 < before.free < limits[0]
        with psycopg.connect(admin.info.dsn, password="secret"):
            assert store._budget._ask(10, 0).free == before.free - 1
        store.build(name, name, fill)
        with store.checkout(name, name).connect():
            assert store._budget._ask(10, 0).free == before.free
        store.drop(name)
        crowded = dataclasses.replace(before, free=9, workers=0, used=0, taken=False)
        monkeypatch.setattr(shares, "ask", lambda *asked: crowded)
        with (
            contextlib.closing(Postgres().open(elsewhere, spec)) as other,
            pytest.raises(ProviderError, match="no connections left") as caught,
        ):
            other.checkout(name, name)
        assert caught.value.cause == "the server leaves 9 to us, and one worker with its app takes 10"


def test_a_server_that_has_no_connection_left_is_waited_for_and_then_named(another_server, spec, monkeypatch):
    monkeypatch.setattr(crowded, "FULL", 0.5)
    settings = ("max_connections=8", "superuser_reserved_connections=0")
    with another_server(*settings) as endpoint, contextlib.ExitStack() as stack:
        held = [stack.enter_context(psycopg.connect(endpoint.admin.url())) for _ in range(8)]
        with pytest.raises(ServerLost, match="has had no connection left") as caught:
            Postgres().open(endpoint, spec)
        assert "too many clients" in caught.value.cause
        monkeypatch.setattr(crowded, "FULL", 60)
        threading.Timer(0.3, lambda: [one.close() for one in held[:3]]).start()
        Postgres().open(endpoint, spec).close()


@pytest.mark.parametrize(
    ("keys", "message"),
    [
        ({"connections": "many"}, '`connections` is "many"'),
        ({"connections": "0"}, '`connections` is "0"'),
        ({"worker_connections": "5"}, '`worker_connections` is "5"'),
        ({"connections": "8"}, "`connections` is 8, and one worker takes 10"),
    ],
)
def test_a_budget_that_can_not_be_met_is_told(keys, message, tmp_path):
    with pytest.raises(ConfigError) as caught:
        Postgres().spec(Requirements.of(project=tmp_path, **keys))
    assert caught.value.what == message
    assert caught.value.fix


def test_a_budget_is_no_matter_of_a_server_of_ours(tmp_path):
    assert Postgres().spec(Requirements.of(project=tmp_path, connections="60")) == Postgres().spec(
        Requirements.of(project=tmp_path)
    )


def test_what_there_is_and_who_has_it_can_be_told(elsewhere, endpoint, spec, name):
    with contextlib.closing(Postgres().open(elsewhere, tables("-", spec, connections=20))) as store:
        assert store.connections() == "20 for the workers of all machines, 10 each; 0 have 0 now"
        store.build(name, name, fill)
        assert store.connections() == "20 for the workers of all machines, 10 each; 1 has 10 now"
    with contextlib.closing(Postgres().open(endpoint, spec)) as ours:
        assert ours.connections() == ""
