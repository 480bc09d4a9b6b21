"""Every kind of ours keeps the promises that strangers' kinds are checked for."""

from __future__ import annotations

import asyncio
import contextlib
import socket
import sqlite3
import sys
import tempfile

import nats
import psycopg
import pymysql
import pytest
import redis
from tests.conftest import end_servers

from seatrial.resources import registry
from seatrial.resources.kinds.mysql.connection import arguments
from seatrial.resources.kinds.nats.program import NatsProgram
from seatrial.resources.kinds.s3.connection import resource, session
from seatrial.resources.kinds.sqlite.kind import SQLite
from seatrial.resources.kinds.sqlite.store import SQLiteStore
from seatrial.resources.protocol import Requirements, Undone
from seatrial.resources.providers.binary import Binary
from seatrial.testing import Sample, checks

SCHEMA = "create table t (id integer primary key, v text); insert into t values (1, 'seeded')"


def sqlite_do(address, statement):
    database = address.database
    with contextlib.closing(sqlite3.connect(database, uri=database.startswith("file:"))) as connection:
        rows = connection.execute(statement).fetchall()
        connection.commit()
        return rows


def postgres_do(address, statement):
    with psycopg.connect(address.url()) as connection:
        cursor = connection.execute(statement)
        return cursor.fetchall() if cursor.description else []


def mysql_do(address, statement):
    connected = contextlib.closing(pymysql.connect(**arguments(address), autocommit=True))
    with connected as connection, connection.cursor() as cursor:
        cursor.execute(statement)
        return cursor.fetchall()


MYSQL = {
    "fill": lambda target: target.execute(SCHEMA.replace("integer primary", "integer auto_increment primary")),
    "write": lambda address: mysql_do(address, "insert into t (v) values ('x')"),
    "read": lambda address: mysql_do(address, "select * from t order by id"),
}


def redis_write(address):
    with redis.Redis.from_url(address.url()) as app:
        app.incr("count")
        app.rpush("list", "x")


def redis_read(address):
    with redis.Redis.from_url(address.url()) as app:
        return {key: app.dump(key) for key in app.keys("*")}


def redis_fill(target):
    with target.connect() as app:
        app.set("count", 1)


def on_nats(address, work):
    async def connected():
        connection = await nats.connect(address.url())
        try:
            return await work(connection.jetstream())
        finally:
            await connection.close()

    return asyncio.run(connected())


async def nats_seed(js):
    await js.add_stream(name="s", subjects=["s"])
    await js.publish("s", b"seeded")


async def nats_read(js):
    return [(one.config.name, one.state.messages, one.state.last_seq) for one in await js.streams_info()]


SAMPLES = {
    "sqlite": {
        "fill": lambda target: target.execute(SCHEMA),
        "write": lambda address: sqlite_do(address, "insert into t (v) values ('x')"),
        "read": lambda address: sqlite_do(address, "select * from t order by id"),
    },
    "postgres": {
        "fill": lambda target: target.execute(SCHEMA.replace("integer primary", "serial primary")),
        "write": lambda address: postgres_do(address, "insert into t (id, v) select max(id) + 1, 'x' from t"),
        "read": lambda address: postgres_do(address, "select * from t order by id"),
    },
    "redis": {"fill": redis_fill, "write": redis_write, "read": redis_read},
    "valkey": {"fill": redis_fill, "write": redis_write, "read": redis_read},
    "mariadb": MYSQL,
    "mysql": MYSQL,
    "nats": {
        "fill": lambda target: on_nats(target.address, nats_seed),
        "write": lambda address: on_nats(address, lambda js: js.publish("s", b"x")),
        "read": lambda address: on_nats(address, nats_read),
    },
}


@pytest.fixture(scope="module")
def cache(tmp_path_factory):
    path = tmp_path_factory.mktemp("cache")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("SEATRIAL_CACHE", str(path))
        patch.setenv("SEATRIAL_IDLE", "20")
        yield path
    end_servers(path)


BOTO = session()


def s3_write(address):
    bucket = resource(address, BOTO).Bucket(address.database)
    bucket.put_object(Key="new/one", Body=b"x")
    bucket.put_object(Key="seeded", Body=b"other")


def s3_read(address):
    bucket = resource(address, BOTO).Bucket(address.database)
    return {one.key: one.get()["Body"].read() for one in bucket.objects.all()}


def s3_fill(target):
    target.connect().put_object(Key="seeded", Body=b"seed", Metadata={"by": "us"})


SAMPLES["s3"] = {"fill": s3_fill, "write": s3_write, "read": s3_read}
FROM_THE_MACHINE = ("mariadb", "mysql")
"""There is no wheel of them: where the machine has none, that is why their checks are skipped."""


@pytest.mark.parametrize("check", checks(), ids=lambda check: check.__name__)
@pytest.mark.parametrize("name", SAMPLES)
def test_the_kind_keeps_its_promise(name, check, cache):
    lacking = (
        Binary().probe(registry.kind(name).spec(Requirements.of(project=cache))) if name in FROM_THE_MACHINE else None
    )
    if lacking:
        pytest.skip(lacking)
    check(Sample(kind=registry.kind(name), project=cache, **SAMPLES[name]))


def test_every_kind_of_ours_is_checked():
    """`command` is not: what it keeps, and how that is undone, is the project's own affair."""
    ours = {point for point in registry.kinds() if registry.kind(point).__class__.__module__.startswith("seatrial.")}
    assert ours - {"command"} == set(SAMPLES)
    assert sys.modules["seatrial.testing"].__doc__


def broken(whole, **instead):
    """The same copy or store, with one method that does not keep its promise. Its class can all that it could before."""
    kind = type(whole)
    whole.__class__ = type(
        "Broken", (kind,), {"__slots__": ()} | {key: staticmethod(it) for key, it in instead.items()}
    )
    return whole


class Fickle:
    value = property(lambda self: object())

    def settle(self):
        pass

    renew = replace = close = settle


BROKEN_COPIES = {
    "undoes nothing": ("what_a_test_wrote_is_undone_again_and_again", {"undo": lambda: Undone(path="copy")}),
    "says that nothing was written": (
        "what_a_test_wrote_is_undone_again_and_again",
        {"undo": lambda: Undone(path="nothing")},
    ),
    "always undoes": ("a_test_that_only_reads_has_nothing_to_undo", {"undo": lambda: Undone(path="copy")}),
    "is deaf to late writes": ("a_late_write_is_named_and_undone", {"late_writes": tuple}),
    "clones nothing": ("a_clone_is_the_baseline_whatever_happened", {"renew": lambda: None}),
    "forgets its layers": ("a_layer_is_the_baseline_until_it_is_taken_away", {"push": lambda: None}),
    "gives a new client each time": ("a_fixture_is_one_object_from_first_test_to_last", {"client": Fickle}),
}


@pytest.mark.parametrize("how", BROKEN_COPIES)
def test_a_kind_that_breaks_a_promise_is_found_out(how, cache, monkeypatch):
    name, instead = BROKEN_COPIES[how]
    real = SQLiteStore.checkout
    monkeypatch.setattr(SQLiteStore, "checkout", lambda self, *asked: broken(real(self, *asked), **instead))
    [check] = [check for check in checks() if check.__name__ == name]
    with pytest.raises(AssertionError):
        check(Sample(kind=registry.kind("sqlite"), project=cache, **SAMPLES["sqlite"]))


def test_a_kind_that_makes_a_folder_for_whoever_asks_for_an_address_is_found_out(cache, monkeypatch):
    real = SQLite.endpoint

    def endpoint(self, spec):
        tempfile.mkdtemp(prefix="drawer-")
        return real(self, spec)

    monkeypatch.setattr(SQLite, "endpoint", endpoint)
    [check] = [check for check in checks() if check.__name__ == "an_address_leaves_nothing_behind"]
    with pytest.raises(AssertionError, match="who only asked"):
        check(Sample(kind=registry.kind("sqlite"), project=cache, **SAMPLES["sqlite"]))


def says(endpoint, least):
    """Whether somebody listens there, and says so much when one connects."""
    try:
        with socket.create_connection((endpoint.admin.host, endpoint.admin.port)) as connection:
            return len(connection.recv(least)) == least
    except OSError:
        return False


@pytest.mark.parametrize("least", [0, 1])
def test_a_kind_that_takes_whoever_listens_for_a_server_that_is_ready_is_found_out(cache, monkeypatch, least):
    monkeypatch.setattr(NatsProgram, "answers", lambda self, endpoint: says(endpoint, least))
    [check] = [check for check in checks() if check.__name__ == "ready_is_who_answers_a_real_query"]
    with pytest.raises(AssertionError, match="is taken for ready"):
        check(Sample(kind=registry.kind("nats"), project=cache, **SAMPLES["nats"]))


def test_a_store_that_keeps_half_a_template_is_found_out(cache, monkeypatch):
    monkeypatch.setattr(SQLiteStore, "find", lambda self, key: True)
    names = ("a_template_is_made_once", "a_step_that_fails_leaves_no_template")
    for check in [check for check in checks() if check.__name__ in names]:
        with pytest.raises(AssertionError):
            check(Sample(kind=registry.kind("sqlite"), project=cache, **SAMPLES["sqlite"]))
