"""Clones for tests that run at once, and templates that a caller fills: each copy comes at its baseline and goes."""

from __future__ import annotations

import resource
import socket
import threading
import time
from concurrent.futures import ThreadPoolExecutor

import psycopg
import pytest
from tests.control.conftest import databases

from seatrial.errors import IsolationError
from seatrial.isolation import restore

FEW = 4


def run(url, statement):
    with psycopg.connect(url, autocommit=True) as connection:
        cursor = connection.execute(statement)
        return cursor.fetchall() if cursor.description else []


@pytest.fixture
def template(client, request):
    """A template by hash with one table and one row."""
    hash_ = f"t-{abs(hash(request.node.name)) % 10**9}"
    begun = client.post("/v1/templates", hash=hash_)
    assert begun["yours"]
    run(begun["url"], "create table items (id serial primary key, name text); insert into items (name) values ('one')")
    assert client.post(f"/v1/templates/{hash_}/finalize")["state"] == "ready"
    yield hash_
    assert client.ask("DELETE", f"/v1/templates/{hash_}").status in (204, 404)


def test_clones_for_concurrent_tests_are_apart_and_bring_what_to_export(client):
    one, two = (client.post("/v1/clones", resource="db", test=name) for name in "ab")
    assert one["env"] == {"DATABASE_URL": one["url"]}
    run(one["url"], "insert into users (name) values ('Grace')")
    assert run(two["url"], "select name from users") == [("Ada",)]
    for clone in (one, two):
        client.delete(f"/v1/clones/{clone['id']}")
    assert client.ask("DELETE", f"/v1/clones/{one['id']}").status == 404


def test_a_clone_that_was_given_back_comes_again_at_its_baseline(client):
    one = client.post("/v1/clones", resource="db")
    run(one["url"], "insert into users (name) values ('Grace'); alter table users add column age int")
    client.delete(f"/v1/clones/{one['id']}")
    again = client.post("/v1/clones", resource="db")
    assert again["id"] != one["id"]
    assert run(again["url"], "select * from users") == [(1, "Ada")]
    client.delete(f"/v1/clones/{again['id']}")


def test_nobody_who_had_a_clone_is_connected_to_it_when_it_is_handed_out_again(client):
    one = client.post("/v1/clones", resource="db")
    with psycopg.connect(one["url"], autocommit=True) as idle:
        idle.execute("select 1")
        client.delete(f"/v1/clones/{one['id']}")
        taken = [client.post("/v1/clones", resource="db")]
        while taken[-1]["url"] != one["url"]:  # those that were free before it come first
            taken.append(client.post("/v1/clones", resource="db"))
        with pytest.raises(psycopg.OperationalError):
            idle.execute("insert into users (name) values ('Grace')")
    assert run(one["url"], "select * from users") == [(1, "Ada")]
    for clone in taken:
        client.delete(f"/v1/clones/{clone['id']}")


def test_clones_of_a_worker_go_with_it(client):
    client.post("/v1/workers", worker="owner")
    clone = client.post("/v1/clones", resource="db", worker="owner")
    client.delete("/v1/workers/owner")
    assert client.ask("DELETE", f"/v1/clones/{clone['id']}").status == 404
    assert client.ask("POST", "/v1/clones", {"resource": "db", "worker": "owner"}).status == 404


def test_a_template_is_filled_by_one_and_found_by_the_others(client, template):
    found = client.post("/v1/templates", hash=template)
    assert (found["state"], found["yours"], found["url"]) == ("ready", False, None)
    copy = client.post(f"/v1/templates/{template}/copies")
    assert run(copy["url"], "select * from items") == [(1, "one")]
    client.delete(f"/v1/copies/{copy['id']}")


def test_a_copy_is_reset_where_it_is_and_tells_what_was_undone(client, template):
    copy = client.post(f"/v1/templates/{template}/copies")
    run(copy["url"], "insert into items (name) values ('two')")
    undone = client.post(f"/v1/copies/{copy['id']}/reset")
    assert undone["tables"] == ["items", "items_id_seq"]
    assert run(copy["url"], "insert into items (name) values ('two') returning id") == [(2,)]
    client.delete(f"/v1/copies/{copy['id']}")


def test_a_copy_can_be_kept(client, template):
    copy = client.post(f"/v1/templates/{template}/copies")
    run(copy["url"], "insert into items (name) values ('look')")
    kept = client.post(f"/v1/copies/{copy['id']}/keep")["url"]
    assert run(kept, "select name from items") == [("one",), ("look",)]
    assert client.ask("POST", f"/v1/copies/{copy['id']}/keep").status == 404


def test_a_copy_that_its_kind_cannot_keep_stays_with_who_has_it_and_is_given_back_as_advised(serving, tmp_path):
    (tmp_path / "seatrial.toml").write_text('[resources.queue]\nkind = "redis"\n')
    with serving(tmp_path, copies=1, wait=0.3) as served:
        client = served.client()
        clone = client.post("/v1/clones", resource="queue")
        refused = client.ask("POST", f"/v1/copies/{clone['id']}/keep")
        assert (refused.status, refused.body["fix"]) == (422, "check it in")
        client.delete(f"/v1/copies/{clone['id']}")
        client.post("/v1/clones", resource="queue")
        client.close()


def test_a_copy_that_could_not_be_kept_leaves_room_for_another(serving, worker):
    with serving(copies=1, wait=0.3) as served:
        client = served.client()
        clone = client.post("/v1/clones", resource="db")
        worker.run(f"drop database {clone['url'].rpartition('/')[2]} with (force)")
        assert client.ask("POST", f"/v1/copies/{clone['id']}/keep").status >= 400
        assert client.ask("DELETE", f"/v1/copies/{clone['id']}").status == 404
        assert run(client.post("/v1/clones", resource="db")["url"], "select name from users") == [("Ada",)]
        client.close()


def test_while_a_template_is_filled_others_wait_for_it(served, client):
    begun = client.post("/v1/templates", hash="slow")
    assert client.post("/v1/templates", hash="slow")["state"] == "building"
    with ThreadPoolExecutor() as pool:
        one = served.client()
        waiting = pool.submit(one.ask, "POST", "/v1/templates/slow/copies", {})
        run(begun["url"], "create table items (name text)")
        time.sleep(0.2)
        assert not waiting.done()
        client.post("/v1/templates/slow/finalize")
        answer = waiting.result()
        one.close()
    assert answer.status == 200
    client.delete(f"/v1/copies/{answer.body['id']}")
    client.delete("/v1/templates/slow")


def test_those_who_wait_for_a_template_that_is_given_up_are_told_so(served, client):
    begun = client.post("/v1/templates", hash="hopeless")
    with ThreadPoolExecutor() as pool:
        one = served.client()
        waiting = pool.submit(one.ask, "POST", "/v1/templates/hopeless/copies", {})
        time.sleep(0.2)
        client.delete("/v1/templates/hopeless")
        assert waiting.result().status == 410
        one.close()
    with pytest.raises(psycopg.OperationalError):
        run(begun["url"], "select 1")


def test_a_hash_that_nobody_has_begun_is_unknown(client):
    assert client.ask("POST", "/v1/templates/nobody/copies", {}).status == 404
    assert client.ask("POST", "/v1/templates/nobody/finalize").status == 404
    assert client.ask("DELETE", "/v1/templates/nobody").status == 404
    assert client.ask("POST", "/v1/templates", {"hash": "x", "resource": "nobody"}).status == 404
    assert client.ask("POST", "/v1/templates", {"hash": "a/b"}).status == 422


def test_a_hash_belongs_to_one_resource(client, template):
    refused = client.ask("POST", "/v1/templates", {"hash": template, "resource": "notes"})
    assert (refused.status, refused.body["what"]) == (409, f'the hash "{template}" is that of a template of db')


def test_a_template_in_use_is_removed_with_its_copies_and_can_be_filled_anew(client, template):
    copy = client.post(f"/v1/templates/{template}/copies")
    client.delete(f"/v1/templates/{template}")
    assert client.ask("POST", f"/v1/copies/{copy['id']}/reset").status == 404
    again = client.post("/v1/templates", hash=template)
    assert again["yours"]
    client.delete(f"/v1/templates/{template}")


def test_a_template_that_nobody_finalizes_is_refused_and_then_given_up(serving):
    with serving(wait=0.3, patience=_impatient()) as served:
        client = served.client()
        begun = client.post("/v1/templates", hash="forgotten")
        refused = client.ask("POST", "/v1/templates/forgotten/copies", {})
        assert (refused.status, refused.body["what"]) == (409, 'the template "forgotten" was not finalized in 0.3 s')
        until = time.monotonic() + 30
        while client.ask("POST", "/v1/templates/forgotten/copies", {}).status != 404:
            assert time.monotonic() < until
        with pytest.raises(psycopg.OperationalError):
            run(begun["url"], "select 1")
        client.close()


def test_who_asks_for_more_copies_than_there_can_be_waits_and_is_told(serving):
    with serving(copies=1, wait=0.3) as served:
        client = served.client()
        clone = client.post("/v1/clones", resource="db")
        refused = client.ask("POST", "/v1/clones", {"resource": "db"})
        assert refused.status == 503
        assert "--copies" in refused.body["fix"]
        client.delete(f"/v1/clones/{clone['id']}")
        client.post("/v1/clones", resource="db")
        client.close()


def test_a_copy_that_could_not_be_made_ready_is_dropped_and_leaves_room_for_another(serving, monkeypatch):
    """As where a late writer had changed what can't be put back."""

    def refuse(copy):
        monkeypatch.undo()
        raise IsolationError("made up", cause="", fix="")

    with serving(copies=1, wait=0.3) as served:
        client = served.client()
        url = client.post("/v1/workers", worker="own")["resources"]["db"]["url"]
        before = databases(url, "db_%_c%")
        monkeypatch.setattr(restore, "ready", refuse)
        assert client.ask("POST", "/v1/clones", {"resource": "db"}).body["what"] == "made up"
        assert databases(url, "db_%_c%") == before
        client.post("/v1/clones", resource="db")
        client.close()


def test_a_client_that_goes_while_it_waits_for_a_copy_keeps_none(serving):
    with serving(copies=1, wait=30) as served:
        client = served.client()
        clone = client.post("/v1/clones", resource="db")
        with socket.create_connection(("127.0.0.1", client.port)) as gone:
            body = b'{"resource": "db"}'
            gone.sendall(
                f"POST /v1/clones HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {client.token}\r\n"
                f"Content-Type: application/json\r\nContent-Length: {len(body)}\r\n\r\n".encode()
                + body
            )
            time.sleep(0.3)
        client.delete(f"/v1/clones/{clone['id']}")
        again = client.post("/v1/clones", resource="db")
        assert int(again["id"]) > int(clone["id"])
        client.close()


@pytest.mark.parametrize("many", [100, pytest.param(1000, marks=pytest.mark.nightly)])
def test_many_checkouts_at_once_lose_nothing_and_leak_nothing(serving, worker, many):
    """So many connections ask for a copy at once, and give it back; there are four copies."""
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    threading.stack_size(256 * 1024)
    try:
        with serving(copies=FEW, wait=600) as served:
            first = served.client()
            clones = [first.post("/v1/clones", resource="db") for _ in range(FEW)]
            start = threading.Barrier(many + 1)

            def one(number):
                client = served.client()
                client.ask("GET", "/v1/health")
                start.wait()
                clone = client.ask("POST", "/v1/clones", {"resource": "db", "test": str(number)})
                assert clone.status == 200, clone
                answer = client.ask("DELETE", f"/v1/clones/{clone.body['id']}")
                client.close()
                return clone.body["id"], clone.body["url"], answer.status

            with ThreadPoolExecutor(many) as pool:
                asked = [pool.submit(one, number) for number in range(many)]
                start.wait()
                for clone in clones:
                    run(clone["url"], "insert into users (name) values ('left')")
                    first.delete(f"/v1/clones/{clone['id']}")
                answers = [each.result() for each in asked]
            assert {status for _, _, status in answers} == {204}
            assert len({number for number, _, _ in answers}) == many
            urls = {url for _, url, _ in answers}
            assert urls <= {clone["url"] for clone in clones}
            for url in urls:
                assert run(url, "select name from users") == [("Ada",)]
            first.close()
            names = {url.rpartition("/")[2] for url in urls}
    finally:
        threading.stack_size(0)
    assert not names & databases(worker.url)


def _impatient():
    from seatrial.control.leases.lease import Patience

    return Patience(grace=0.3, unheld=2.0)
