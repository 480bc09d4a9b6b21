"""Many starts at the same moment: each gets a server of its own, and reaches that one."""

from __future__ import annotations

import contextlib
from concurrent.futures import ThreadPoolExecutor
from threading import Barrier

import psycopg
import pytest
import redis

from seatrial.resources.kinds.nats import Nats
from seatrial.resources.kinds.nats.wire import Wire
from seatrial.resources.kinds.redis import Valkey
from seatrial.resources.protocol import Wish
from seatrial.resources.providers.embedded import Embedded
from seatrial.resources.supervisor import client


@pytest.fixture
def crowd():
    """Reserves and starts servers for all of these at once, one thread each; they are ended after the test."""
    servers = []

    def start(specs):
        ready = Barrier(len(specs))

        def one(spec):
            ready.wait()
            server = Embedded().reserve(spec)
            servers.append(server)
            assert server.start() is False
            return server

        with ThreadPoolExecutor(len(specs)) as pool:
            return list(pool.map(one, specs))

    yield start
    for server in servers:
        server.release()
    with ThreadPoolExecutor(len(servers) or 1) as pool:
        list(pool.map(lambda server: client.down(server.instance), servers))


def test_fifty_starts_at_once_are_fifty_servers(crowd, tmp_path):
    spec = Valkey().spec(Wish(project=tmp_path))
    servers = crowd([spec] * 50)
    assert len({server.endpoint.admin.port for server in servers}) == 50
    assert len({client.ask(server.instance, "status")["pid"] for server in servers}) == 50
    apps = [redis.Redis.from_url(Valkey().copy_address(server.endpoint, spec, "0").url()) for server in servers]
    for number, app in enumerate(apps):
        app.set(f"key of {number}", number)
    for number, (app, server) in enumerate(zip(apps, servers, strict=True)):
        assert app.keys() == [f"key of {number}".encode()]
        assert app.config_get("port") == {"port": str(server.endpoint.admin.port)}
        app.close()


def test_fifty_starts_at_once_are_fifty_servers_of_nats(crowd, tmp_path):
    spec = Nats().spec(Wish(project=tmp_path))
    servers = crowd([spec] * 50)
    assert len({server.endpoint.admin.port for server in servers}) == 50
    assert len({client.ask(server.instance, "status")["pid"] for server in servers}) == 50
    for number, server in enumerate(servers):
        with contextlib.closing(Wire(server.endpoint)) as wire:
            wire.api(f"STREAM.CREATE.of_{number}", name=f"of_{number}", subjects=[f"of_{number}"])
    for number, server in enumerate(servers):
        with contextlib.closing(Wire(server.endpoint)) as wire:
            assert wire.api("STREAM.NAMES")["streams"] == [f"of_{number}"]


def test_eight_projects_that_start_at_once_have_eight_servers_of_postgresql(crowd, spec, tmp_path):
    projects = [tmp_path / str(number) for number in range(8)]
    for project in projects:
        project.mkdir()
    servers = crowd([spec(project=project) for project in projects])
    for number, server in enumerate(servers):
        with psycopg.connect(server.endpoint.admin.url(), autocommit=True) as connection:
            connection.execute(f"create database of_{number}")
    for number, server in enumerate(servers):
        with psycopg.connect(server.endpoint.admin.url()) as connection:
            made = connection.execute("select datname from pg_database where datname like 'of_%'").fetchall()
            assert made == [(f"of_{number}",)]
            assert connection.execute("show port").fetchone() == (str(server.endpoint.admin.port),)
