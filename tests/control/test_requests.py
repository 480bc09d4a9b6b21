"""What is asked wrongly is refused with a status that says how, and in three parts."""

from __future__ import annotations

import socket

import pytest

from seatrial.control.api.endpoints import ENDPOINTS

NO_BODY = b""


def test_health_and_the_description_take_no_token(client):
    client.token = "none"
    assert client.get("/v1/health")["status"] == "ok"
    assert client.get("/v1/openapi.json")["openapi"] == "3.1.0"


@pytest.mark.parametrize("endpoint", [one for one in ENDPOINTS if not one.public], ids=lambda one: one.name)
def test_everything_else_refuses_a_wrong_token_before_it_reads_anything(client, endpoint):
    path = (
        endpoint.path.replace("{worker}", "1").replace("{id}", "1").replace("{hash}", "a").replace("{resource}", "db")
    )
    for given in ("Bearer wrong", "Bearer ", "", f"Basic {client.token}", client.token):
        refused = client.ask(endpoint.method, path, raw=b"{", Authorization=given)
        assert refused.status == 401
        assert refused.headers["www-authenticate"] == "Bearer"
        assert "Authorization: Bearer TOKEN" in refused.body["fix"]


@pytest.mark.parametrize(
    ("raw", "status", "what"),
    [
        (b"{", 400, "the body is no JSON"),
        (b"\xff\xfe", 400, "the body is no JSON"),
        (b"[" * 5000, 400, "the body is no JSON"),
        (b"[]", 422, "the body is a list"),
        (b"null", 422, "the body is null"),
        (NO_BODY, 422, 'the key "worker" is missing'),
        (b"{}", 422, 'the key "worker" is missing'),
        (b'{"worker": 1}', 422, "worker is a number; it must be a string"),
        (b'{"worker": null}', 422, "worker is null"),
        (b'{"worker": "a b"}', 422, 'worker is "a b"'),
        (b'{"worker": ""}', 422, "worker is of 0 characters"),
        (b'{"worker": "1\\n"}', 422, "worker is"),
        (b'{"worker": "1", "colour": "red"}', 422, 'there is no key "colour"'),
        (b'{"worker": "' + b"1" * 70_000 + b'"}', 413, "the body has more than"),
    ],
)
def test_a_malformed_body_is_refused(client, raw, status, what):
    refused = client.ask("POST", "/v1/workers", raw=raw)
    assert (refused.status, refused.body["what"][: len(what)]) == (status, what)
    assert refused.body["fix"]


def test_an_offer_of_another_protocol_is_not_taken_and_the_request_is_answered(client):
    offer = {"Connection": "Upgrade, HTTP2-Settings", "Upgrade": "h2c", "HTTP2_Settings": "AAEAAEAAAAIAAAAB"}
    for _ in range(2):
        refused = client.ask("POST", "/v1/workers", {"worker": "a b"}, **offer)
        assert (refused.status, refused.body["what"][:15]) == (422, 'worker is "a b"')


def test_another_type_of_body_is_refused(client):
    refused = client.ask("POST", "/v1/workers", raw=b"worker=1", Content_Type="application/x-www-form-urlencoded")
    assert refused.status == 415


def test_a_wrong_isolation_and_a_wrong_resource_are_told_apart(client, worker):
    path = f"{worker.path}/checkout"
    refused = client.ask("POST", path, {"test": "x", "isolation": {"db": "magic"}})
    assert (refused.status, refused.body["what"]) == (
        422,
        'isolation.db is "magic"; it must be reset or rollback or clone',
    )
    refused = client.ask("POST", path, {"test": "x", "isolation": {"bd": "reset"}})
    assert (refused.status, refused.body["fix"]) == (404, "the resources are: db, notes")
    worker.checkout("neither of them has left anything checked out")
    worker.checkin()


def test_unknown_paths_methods_and_numbers_have_their_statuses(client):
    assert client.ask("GET", "/v1/nothing").status == 404
    assert client.ask("PATCH", "/v1/workers").status == 405
    assert client.ask("POST", "/v1/copies/99999/reset").status == 404
    assert client.ask("POST", "/v1/copies/none/reset").status == 422
    assert client.ask("GET", "/v1/resources/none/log").status == 404
    assert client.ask("GET", "/v1/resources/db/log?since=-1").status == 422


def test_the_log_can_be_read_on_from_where_an_answer_ended(client, worker):
    size = client.get("/v1/resources/db/log")["size"]
    worker.checkout()
    with pytest.raises(Exception, match="no_such_table"):
        worker.run("select 1 from no_such_table")
    worker.checkin()
    more = client.get(f"/v1/resources/db/log?since={size}")
    assert "no_such_table" in more["text"]
    assert client.get(f"/v1/resources/db/log?since={more['size']}")["text"] == ""


def test_the_resources_are_listed_with_what_they_export(client):
    told = client.get("/v1/resources")["resources"]
    assert told["db"]["variables"] == ["DATABASE_URL"]
    assert (told["notes"]["kind"], told["notes"]["variables"]) == ("sqlite", ["NOTES_URL"])


def test_a_client_that_sends_half_a_request_and_goes_does_no_harm(served, client):
    with socket.create_connection(("127.0.0.1", client.port)) as half:
        half.sendall(b"POST /v1/workers HTTP/1.1\r\nHost: x\r\nContent-Length: 100\r\n")
        half.sendall(
            f"Authorization: Bearer {served.told['token']}\r\nContent-Type: application/json\r\n\r\n{{".encode()
        )
    with socket.create_connection(("127.0.0.1", client.port)) as noise:
        noise.sendall(b"\x16\x03\x01 this is no HTTP\r\n\r\n")
        noise.recv(1000)
    assert client.get("/v1/health")["status"] == "ok"
