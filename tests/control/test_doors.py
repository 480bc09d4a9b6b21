"""A worker's own socket answers what encloses its tests as the server's own sockets do."""

from __future__ import annotations

import http.client
import json
import os
import socket
import tempfile
import time
from pathlib import Path

import pytest
from tests.control.conftest import Client, Worker

from seatrial.control.server import Options

LONGEST = 107
"""Bytes of the path of a unix socket, on Linux."""
PATIENCE = 60.0


class AtDoor(Client):
    """One connection to a worker's own socket."""

    def __init__(self, path: str, token: str) -> None:
        self.token = token
        self._connection = http.client.HTTPConnection("localhost", timeout=PATIENCE)
        self._connection.sock = dial(path)


def dial(path):
    made = socket.socket(socket.AF_UNIX)
    made.settimeout(PATIENCE)
    made.connect(path)
    return made


@pytest.fixture
def folder():
    """A short path: that of a socket has to be."""
    with tempfile.TemporaryDirectory() as made:
        yield Path(made)


@pytest.fixture
def served(serving, folder):
    with serving(options=Options(socket=folder / "s")) as running:
        yield running


@pytest.fixture
def door(worker):
    """The same worker by its own socket."""
    client = AtDoor(worker.told["socket"], worker.client.token)
    yield Worker(client, worker.told)
    client.close()


def test_tests_of_a_worker_begin_and_end_at_its_own_socket(door):
    door.checkout("one")
    door.run("insert into users (name) values ('Grace')")
    assert door.checkin()["undone"]["db"]["tables"] == ["users", "users_id_seq"]
    assert door.names() == ["Ada"]
    door.next("two")
    door.run("insert into users (name) values ('Grace')")
    told = door.next("three")
    assert (told["checkin"]["test"], told["checkout"]["test"]) == ("two", "three")
    assert door.names() == ["Ada"]


def test_a_test_begins_at_one_socket_and_ends_at_the_other(worker, door):
    for one, other in ((worker, door), (door, worker), (worker, door)):
        one.checkout("it")
        one.run("insert into users (name) values ('Grace')")
        assert other.checkin()["test"] == "it"
        assert one.names() == ["Ada"]


def test_a_write_after_the_end_is_told_to_the_next_test(door):
    door.checkout("early")
    door.checkin()
    door.run("insert into users (name) values ('late')")
    assert door.checkout("next")["resources"]["db"]["late"]["test"] == "early"
    assert door.names() == ["Ada"]


def test_only_its_owner_can_open_the_socket(worker):
    assert Path(worker.told["socket"]).stat().st_mode & 0o777 == 0o600
    assert os.getuid() == Path(worker.told["socket"]).stat().st_uid


def test_a_wrong_token_is_refused(door):
    for given in ("Bearer wrong", "", door.client.token):
        refused = door.client.ask("POST", f"{door.path}/checkout", {"test": "x"}, Authorization=given)
        assert (refused.status, refused.headers["www-authenticate"]) == (401, "Bearer")


@pytest.mark.parametrize(
    ("method", "path"),
    [("GET", "/checkout"), ("POST", "/layers"), ("DELETE", ""), ("POST", "2/checkout"), ("POST", "/hold")],
)
def test_everything_else_is_sent_to_the_sockets_of_the_server(door, method, path):
    refused = door.client.ask(method, door.path + path, {"test": "x"})
    assert (refused.status, refused.body["fix"]) == (404, "send it to the server's own socket, or to its port")


@pytest.mark.parametrize(
    ("raw", "status"),
    [
        (b"{", 400),
        (b"[]", 422),
        (b"{}", 422),
        (b'{"test": 1}', 422),
        (b'{"test": "x", "isolation": {"bd": "reset"}}', 404),
        (b'{"test": "' + b"x" * 70_000 + b'"}', 413),
    ],
)
def test_a_malformed_body_has_the_status_that_it_has_elsewhere(worker, door, raw, status):
    here, elsewhere = (one.client.ask("POST", f"{one.path}/checkout", raw=raw) for one in (door, worker))
    assert (here.status, here.body) == (elsewhere.status, elsewhere.body)
    assert here.status == status
    door.checkout("nothing was left checked out")


def test_another_type_of_body_is_refused(door):
    refused = door.client.ask("POST", f"{door.path}/checkout", raw=b"test=x", Content_Type="text/plain")
    assert refused.status == 415


def test_what_comes_at_the_wrong_time_is_refused_as_elsewhere(worker, door):
    for one in (worker, door):
        assert one.client.ask("POST", f"{one.path}/checkin", {}).status == 409
    door.checkout("it")
    for one in (worker, door):
        assert "is running the test" in one.client.ask("POST", f"{one.path}/checkout", {"test": "x"}).body["what"]


def request(door, step, **message):
    body = json.dumps(message)
    return (
        f"POST {door.path}/{step} HTTP/1.1\r\nhost: x\r\nauthorization: Bearer {door.client.token}\r\n"
        f"content-length: {len(body)}\r\n\r\n{body}"
    ).encode()


def answers(sock, count):
    """So many of them, each with its status."""
    found = []
    for _ in range(count):
        response = http.client.HTTPResponse(sock)
        response.begin()
        found.append((response.status, json.loads(response.read())))
    return found


def test_requests_are_read_in_whatever_pieces_they_come(door):
    with dial(door.told["socket"]) as sock:
        for byte in request(door, "checkout", test="byte by byte"):
            sock.sendall(bytes([byte]))
        assert answers(sock, 1)[0][1]["test"] == "byte by byte"
        head = request(door, "checkin").replace(b"content-length: 2", b"transfer-encoding: chunked")
        sock.sendall(head.replace(b"{}", b"1\r\n{\r\n1\r\n}\r\n0\r\n\r\n"))
        assert answers(sock, 1)[0][1]["test"] == "byte by byte"


def test_requests_that_are_sent_at_once_are_answered_in_their_order(door):
    with dial(door.told["socket"]) as sock:
        sock.sendall(request(door, "checkout", test="one") + request(door, "checkin") + request(door, "checkin"))
        with sock.makefile("rb") as stream:
            said = [stream.readline().split()[1] for _ in range(3) if skip(stream, first=_ == 0)]
    assert said == [b"200", b"200", b"409"]


def skip(stream, *, first):
    """Read on to the next answer."""
    if not first:
        length = 0
        while line := stream.readline().strip():
            if line.startswith(b"content-length"):
                length = int(line.split()[1])
        stream.read(length)
    return True


@pytest.mark.parametrize("noise", [b"\x16\x03\x01\x02\x00", b"GET", b"POST / HTTP/1.1\r\ncontent-length: 10\r\n\r\n{"])
def test_noise_is_hung_up_on(door, noise):
    with dial(door.told["socket"]) as sock:
        sock.sendall(noise)
        sock.shutdown(socket.SHUT_WR)
        assert sock.recv(1000) == b""
    door.checkout("it is answered")


@pytest.mark.parametrize(
    "asked",
    [
        b"GET / HTTP/1.1\r\nhost: x\r\nconnection: upgrade\r\nupgrade: h2c\r\n\r\n",
        b"CONNECT x:1 HTTP/1.1\r\nhost: x\r\n\r\n",
        b"POST /v1/workers/1/checkout HTTP/1.1\r\nhost: x\r\nconnection: upgrade\r\nupgrade: h2c\r\ncontent-length: 2\r\n\r\n{}",
    ],
)
def test_a_client_that_wants_another_protocol_is_hung_up_on(door, asked):
    with dial(door.told["socket"]) as sock:
        sock.sendall(asked)
        assert sock.recv(1000) == b""
    door.checkout("it is answered")


def test_what_a_client_asked_before_it_vanished_is_carried_out(door):
    gone = dial(door.told["socket"])
    gone.sendall(request(door, "checkout", test="nobody reads this"))
    gone.close()
    until = time.monotonic() + PATIENCE
    while (ended := door.client.ask("POST", f"{door.path}/checkin", {})).status == 409:
        assert time.monotonic() < until
    assert ended.body["test"] == "nobody reads this"


def test_a_request_without_end_is_not_read_without_end(door):
    with dial(door.told["socket"]) as sock, pytest.raises(OSError, match=r"pipe|reset"):
        sock.sendall(b"POST / HTTP/1.1\r\n" + (b"x: " + b"y" * 1000 + b"\r\n") * 10_000)
    door.checkout("it is answered")


def test_a_client_that_asks_for_it_is_hung_up_on(door):
    with dial(door.told["socket"]) as sock:
        sock.sendall(request(door, "checkout", test="it").replace(b"host: x", b"connection: close"))
        assert b"200 OK" in sock.recv(1000)
        assert sock.recv(1000) == b""


def test_the_socket_is_gone_with_its_worker_and_whoever_is_connected_sees_that(worker, door):
    with dial(door.told["socket"]) as sock:
        sock.sendall(request(door, "checkout", test="it"))
        answers(sock, 1)
        worker.client.delete(door.path)
        assert sock.recv(1000) == b""
    assert not Path(door.told["socket"]).exists()


def test_two_workers_have_a_socket_each(worker, door):
    other = worker.client.post("/v1/workers", worker="other")
    assert other["socket"] != worker.told["socket"]
    second = Worker(AtDoor(other["socket"], worker.client.token), other)
    door.checkout("here")
    second.checkout("there")
    door.run("insert into users (name) values ('Grace')")
    assert second.names() == ["Ada"]
    assert (door.checkin()["test"], second.checkin()["test"]) == ("here", "there")
    second.client.close()
    worker.client.delete("/v1/workers/other")


def test_where_the_path_would_be_too_long_all_is_served_by_the_sockets_of_the_server(serving, folder):
    path = folder / ("s" * (LONGEST - len(str(folder)) - 1))
    with serving(options=Options(socket=path)) as served:
        client = served.client()
        told = client.post("/v1/workers", worker="1")
        assert told["socket"] is None
        client.post("/v1/workers/1/checkout", test="it")
        client.close()


def test_a_server_without_a_socket_gives_none_to_its_workers(serving):
    with serving() as served:
        client = served.client()
        assert client.post("/v1/workers", worker="1")["socket"] is None
        client.close()


def test_no_socket_is_left(serving, folder):
    with serving(options=Options(socket=folder / "s")) as served:
        client = served.client()
        for name in ("1", "2"):
            client.post("/v1/workers", worker=name)
        client.close()
        assert len(list(folder.iterdir())) == 3
    assert list(folder.iterdir()) == []
