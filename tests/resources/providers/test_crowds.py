"""Many starts at the same moment: each gets a server of its own, and reaches that one."""

from __future__ import annotations

import socket
import sys
from concurrent.futures import ThreadPoolExecutor
from threading import Barrier

import pytest

from seatrial.errors import ProviderError
from seatrial.resources import registry
from seatrial.resources.protocol import Wish
from seatrial.resources.resolve import resolve
from seatrial.resources.supervisor import client

PROGRAM = f"{sys.executable} -I -m http.server --bind 127.0.0.1 {{port}}"
LIGHT = ("command", "nats", "valkey")
HEAVY = ("mariadb", "postgres", "s3")
"""Fifty of these fill several gigabytes of memory. Fifty of S3 collide: SeaweedFS has eight ports more, and `launch`
chooses them without holding them until it listens."""
CROWDS = (
    *(pytest.param(name, 50) for name in LIGHT),
    *(pytest.param(name, 8) for name in HEAVY),
    *(pytest.param(name, 50, marks=pytest.mark.nightly) for name in ("mariadb", "postgres")),
)


@pytest.fixture
def crowd(tmp_path):
    """Reserves and starts servers of a kind at once, each of a project and in a thread of its own; they are ended
    after the test."""
    servers = []

    def start(name, many):
        specs = []
        for number in range(many):
            project = tmp_path / str(number)
            project.mkdir()
            options = {"command": PROGRAM, "reset": "nothing"} if name == "command" else {}
            specs.append(registry.kind(name).spec(Wish(project=project, options=options)))
        try:
            provider = resolve(specs[0]).provider
        except ProviderError as error:
            pytest.skip(error.cause)
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
def test_as_many_servers_run_as_are_started_at_once_and_each_project_reaches_its_own(crowd, name, many):
    servers = crowd(name, many)
    assert len({server.endpoint.admin.port for server in servers}) == many
    assert len({client.ask(server.instance, "status")["pid"] for server in servers}) == many
    for server in servers:  # whoever reached another's would be answered after the end of his own, or not before it
        assert server.spec.program.answers(server.endpoint)
        server.release()
        client.down(server.instance)
        assert not answers(server)


def answers(server):
    """Whether somebody still listens where it did."""
    try:
        socket.create_connection((server.endpoint.admin.host, server.endpoint.admin.port), 5).close()
    except OSError:
        return False
    return True
