"""`isolation = "auto"` for tests that run elsewhere: rollback is chosen only where their runner can join it."""

from __future__ import annotations

import contextlib
import sqlite3

import jsonschema_rs
import psycopg
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


def test_a_failed_test_is_told_the_servers_log_and_that_its_isolation_was_chosen(serving, tmp_path):
    (tmp_path / "seatrial.toml").write_text(TOML.replace("sqlite", "postgres"))
    (tmp_path / "schema.sql").write_text("create table t (id int);")
    with serving(tmp_path) as served:
        client = served.client()
        for name in "12":
            url = client.post("/v1/workers", worker=name)["env"]["DATABASE_URL"]
            client.post(f"/v1/workers/{name}/checkout", test="it alters")
            with psycopg.connect(url, autocommit=True) as app:
                app.execute("alter table t add column age int")
                with pytest.raises(psycopg.Error):
                    app.execute("select no_such_column from t")
            done = client.post(f"/v1/workers/{name}/checkin", failed=True)
            client.delete(f"/v1/workers/{name}")
        client.close()
    assert "no_such_column" in done["logs"]["db"]
    (note,) = done["notes"]
    assert note.startswith("db ran in clone, which Seatrial chose (last time the schema was changed: ")
    asks = 'check it out with {"isolation": {"db": "reset"}} (in TypeScript: await seatrial.use("reset"))'
    assert note.endswith(f"To see whether the test fails because of that: {asks}")
