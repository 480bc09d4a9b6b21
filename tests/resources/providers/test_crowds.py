"""Many starts at the same moment: each gets a server of its own, and reaches that one."""

from __future__ import annotations

import socket
from concurrent.futures import ThreadPoolExecutor
from threading import Barrier

import pytest
from tests.resources.providers.chosen import described, provider_of

from seatrial.resources.supervisor import client

LIGHT = ("command", "nats", "valkey")
"""One project may have many of these, and all of them are its own."""
HEAVY = ("mariadb", "postgres", "s3")
"""A project has one of these for all its workers. Fifty fill several gigabytes of memory."""
CROWDS = (
    pytest.param("command", 50),
    *(pytest.param(name, 8) for name in (*LIGHT[1:], *HEAVY)),
    *(pytest.param(name, 50, marks=pytest.mark.nightly) for name in (*LIGHT[1:], *HEAVY)),
)


@pytest.fixture
def crowd(tmp_path):
    """Reserves and starts servers of a kind at once, one thread each; they are ended after the test."""
    servers = []

    def start(name, many):
        projects = [tmp_path] * many if name in LIGHT else [tmp_path / str(number) for number in range(many)]
        for project in projects:
            project.mkdir(exist_ok=True)
        specs = [described(name, project) for project in projects]
        provider = provider_of(specs[0])
        ready = Barrier(many)

        def one(spec):
            ready.wait()
            server = provider.reserve(spec)
            servers.append(server)
            assert server.start() is False
            return server

        with ThreadPoolExecutor(many) as pool:
            return list(pool.map(one, specs))

    yield start
    for server in servers:
        server.release()
    with ThreadPoolExecutor(len(servers) or 1) as pool:
        list(pool.map(lambda server: client.down(server.instance), servers))


@pytest.mark.parametrize(("name", "many"), CROWDS)
def test_as_many_servers_run_as_are_started_at_once_and_whoever_started_one_reaches_that_one(crowd, name, many):
    servers = crowd(name, many)
    assert len({server.endpoint.admin.port for server in servers}) == many
    assert len({client.ask(server.instance, "status")["pid"] for server in servers}) == many
    for server in servers:  # whoever reached another's would be answered after the end of his own, or not before it
        assert server.spec.program.answers(server.endpoint)
        assert listens(server)
        server.release()
        client.down(server.instance)
        assert not listens(server)


def listens(server):
    """Whether somebody listens at its port."""
    try:
        socket.create_connection((server.endpoint.admin.host, server.endpoint.admin.port), 5).close()
    except OSError:
        return False
    return True
