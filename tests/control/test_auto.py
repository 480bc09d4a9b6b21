"""`isolation = "auto"` for tests that run elsewhere: rollback is chosen only where their runner can join it."""

from __future__ import annotations

import contextlib
import sqlite3

import jsonschema_rs
import pytest

from seatrial.control.api.description import describe
from seatrial.isolation import choose

TOML = '[resources.db]\nkind = "sqlite"\nschema = "schema.sql"\nisolation = "auto"\n'


@pytest.fixture
def client(serving, tmp_path, monkeypatch):
    (tmp_path / "seatrial.toml").write_text(TOML)
    (tmp_path / "schema.sql").write_text("create table t (id integer primary key);")
    monkeypatch.setattr(choose, "DEAR", 0.0)  # as on a database that is large
    with serving(tmp_path) as served:
        one = served.client()
        yield one
        one.close()


def run_once(client, name, **said):
    """One test that writes, by a worker of its own: what was learnt is there for the next worker."""
    told = client.post("/v1/workers", worker=name)
    lease = client.post(f"/v1/workers/{name}/checkout", test="it writes", **said)["resources"]["db"]
    with contextlib.closing(sqlite3.connect(told["env"]["DATABASE_URL"].removeprefix("sqlite:///"))) as app:
        app.execute("insert into t values (1)")
        if lease["isolation"] == "reset":
            app.commit()
    assert client.post(f"/v1/workers/{name}/checkin")["told"] == []
    client.delete(f"/v1/workers/{name}")
    return lease


def test_rollback_is_chosen_for_a_runner_that_says_that_it_can_join_it_and_for_no_other(client):
    assert run_once(client, "1", joins={"db": True})["reason"] == "nothing is known of it yet"
    for said in ({}, {"joins": {}}, {"joins": {"db": False}}):
        lease = run_once(client, "2", **said)
        assert (lease["isolation"], "its sessions can't join" in lease["reason"]) == ("reset", True)
    assert run_once(client, "3", joins={"db": True})["isolation"] == "rollback"
    assert run_once(client, "4", joins={"db": True})["reason"] == "last time one transaction held it"
    assert run_once(client, "5")["isolation"] == "reset"


def test_a_test_that_asks_for_rollback_has_it_whatever_its_runner_says_of_joining(client):
    assert run_once(client, "1", isolation={"db": "rollback"})["isolation"] == "rollback"


def test_a_resource_that_nobody_has_cannot_be_joined(client):
    client.post("/v1/workers", worker="1")
    refused = client.ask("POST", "/v1/workers/1/checkout", {"test": "x", "joins": {"nobody": True}})
    assert (refused.status, refused.body["what"]) == (404, 'there is no resource "nobody"')


def test_the_description_knows_that_auto_can_be_configured(client):
    for name, told in (
        ("Resources", client.get("/v1/resources")),
        ("Worker", client.post("/v1/workers", worker="1")),
        ("Checkout", client.post("/v1/workers/1/checkout", test="x")),
    ):
        schema = {"$ref": f"#/components/schemas/{name}", "components": describe()["components"]}
        jsonschema_rs.Draft202012Validator(schema).validate(told)
