"""A connection beyond this machine is seen by name, and refused where that is asked; all others pass."""

from __future__ import annotations

import asyncio
import socket
from functools import partial

import httpx
import pytest
import trio

from seatrial.outbound.guard import Guard

FAR = "192.0.2.7"
"""An address for documentation (RFC 5737): nobody has it."""

KNOWN = {"api.example.org": FAR, "maps.example.org": FAR, "next-door": "127.0.0.1"}
"""Names that the resolver of these tests knows."""


class Asked:
    def __init__(self) -> None:
        self.beyond = []

    def __call__(self, host: str, port: int) -> bool:
        self.beyond.append((host, port))
        return True


@pytest.fixture
def asked():
    return Asked()


@pytest.fixture
def guard(asked, monkeypatch):
    resolve = socket.getaddrinfo

    def made_up(host, port, family=0, type=0, proto=0, flags=0):  # noqa: A002 - as the real one has it
        name = host.decode() if isinstance(host, bytes) else host
        if name in KNOWN and not flags & socket.AI_NUMERICHOST:
            return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", (KNOWN[name], port or 0))]
        return resolve(host, port, family, type, proto, flags)

    monkeypatch.setattr(socket, "getaddrinfo", made_up)
    guard = Guard(asked, ["maps.example.org:8443", "10.*"])
    guard.apply()
    yield guard
    guard.undo()


def test_a_host_beyond_is_told_by_its_name_and_the_connection_refused(guard, asked):
    with pytest.raises(ConnectionRefusedError, match=r"seatrial refused the connection to api\.example\.org:443"):
        socket.create_connection(("api.example.org", 443))
    assert asked.beyond == [("api.example.org", 443)]


def test_an_address_without_a_name_is_told_as_it_is(guard, asked):
    with socket.socket() as made, pytest.raises(ConnectionRefusedError):
        made.connect_ex((FAR, 80))
    assert asked.beyond == [(FAR, 80)]


def test_a_port_that_is_allowed_is_that_port_only(guard, asked):
    with socket.socket() as made:
        made.setblocking(False)
        socket.getaddrinfo("maps.example.org", 8443)
        made.connect_ex((FAR, 8443))
    assert asked.beyond == []
    with pytest.raises(ConnectionRefusedError):
        socket.create_connection(("maps.example.org", 443))


def test_a_name_that_nobody_knows_is_told_too(guard, asked):
    with pytest.raises(socket.gaierror):
        socket.create_connection(("no-such-host.invalid", 443))
    assert asked.beyond == [("no-such-host.invalid", 443)]


def test_asyncio_is_seen(guard, asked):
    with pytest.raises(ConnectionRefusedError):
        asyncio.run(asyncio.open_connection("api.example.org", 443))
    assert asked.beyond == [("api.example.org", 443)]


@pytest.fixture(params=[asyncio.run, trio.run])
def get(request):
    """Asks for an address with `httpx.AsyncClient`, which hands names to the resolver as bytes."""

    async def ask(url):
        async with httpx.AsyncClient(timeout=0.2, trust_env=False) as client:
            return await client.get(url)

    return lambda url: request.param(ask, url) if request.param is trio.run else request.param(ask(url))


def test_an_async_client_s_host_is_told_by_its_name(guard, asked, get):
    with pytest.raises(httpx.ConnectError):
        get("http://api.example.org/")
    assert asked.beyond == [("api.example.org", 80)]


def test_an_async_client_reaches_for_a_host_that_is_allowed(guard, asked, get):
    with pytest.raises((httpx.ConnectTimeout, httpx.ConnectError)):  # nobody is there
        get("http://maps.example.org:8443/")
    assert asked.beyond == []


def test_an_async_client_s_host_that_nobody_knows_is_told_too(guard, asked, get):
    with pytest.raises(httpx.ConnectError):
        get("http://no-such-host.invalid/")
    assert asked.beyond == [("no-such-host.invalid", 80)]


def test_a_name_of_this_machine_is_not_beyond(guard, asked, get):
    with socket.create_server(("127.0.0.1", 0)) as server, pytest.raises(httpx.ReadTimeout):
        get(f"http://next-door:{server.getsockname()[1]}/")
    assert asked.beyond == []


def test_who_asks_for_the_address_of_an_address_does_not_make_its_name_forgotten(guard, asked):
    socket.getaddrinfo("maps.example.org", 8443)
    socket.getaddrinfo(FAR, 8443)
    with socket.socket() as made:
        made.setblocking(False)
        made.connect_ex((FAR.encode(), 8443))
    assert asked.beyond == []


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost", "127.8.0.1"])
def test_this_machine_is_not_beyond(guard, asked, host):
    with socket.create_server(("0.0.0.0", 0)) as server, socket.create_connection((host, server.getsockname()[1])):
        assert asked.beyond == []


def test_datagrams_and_unix_sockets_are_none_of_its_business(guard, asked, tmp_path):
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as datagrams:
        datagrams.connect((FAR, 53))
    with socket.socket(socket.AF_UNIX) as server, socket.socket(socket.AF_UNIX) as client:
        server.bind(str(tmp_path / "s"))
        server.listen()
        client.connect(str(tmp_path / "s"))
    assert asked.beyond == []


def test_undone_it_leaves_the_sockets_of_the_standard_library(asked):
    before = socket.socket.connect, socket.socket.connect_ex, socket.getaddrinfo
    guard = Guard(asked)
    guard.apply()
    guard.apply()
    assert socket.socket.connect is not before[0]
    guard.undo()
    assert (socket.socket.connect, socket.socket.connect_ex, socket.getaddrinfo) == before
    assert "connect" not in vars(socket.socket)


def test_a_guard_inside_another_leaves_the_outer_one_at_work(guard, asked):
    inner = Guard(Asked())
    inner.apply()
    inner.undo()
    with pytest.raises(ConnectionRefusedError):
        socket.create_connection((FAR, 80))
    assert asked.beyond == [(FAR, 80)]


def test_it_looks_again_before_the_next_test_where_a_plugin_has_put_the_standard_library_s_back(asked):
    """pytest-socket does after each test, whether or not it has blocked anything."""
    before = socket.socket.connect, socket.socket.connect_ex, socket.getaddrinfo
    guard = Guard(asked)
    guard.apply()
    socket.socket.connect = before[0]
    guard.apply()
    with pytest.raises(ConnectionRefusedError):
        socket.create_connection((FAR, 80))
    guard.undo()
    assert (socket.socket.connect, socket.socket.connect_ex, socket.getaddrinfo) == before


def test_undone_it_leaves_what_another_has_put_there_since(asked, monkeypatch):
    guard = Guard(asked)
    guard.apply()
    monkeypatch.setattr(socket.socket, "connect", others := lambda *_: None)
    guard.undo()
    assert socket.socket.connect is others
    monkeypatch.undo()
    del socket.socket.connect


def test_what_another_has_put_there_for_a_moment_is_found_again_by_who_did(asked):
    """pytest-socket takes its own away only where it finds it."""
    before = socket.getaddrinfo
    guard = Guard(asked)
    guard.apply()
    with pytest.MonkeyPatch.context() as other:
        ours = socket.getaddrinfo
        other.setattr(socket, "getaddrinfo", others := partial(ours))
        guard.apply()
        assert socket.getaddrinfo is others
    guard.apply()
    assert socket.getaddrinfo is ours
    guard.undo()
    assert socket.getaddrinfo is before
