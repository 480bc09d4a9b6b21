"""A worker: its copies, its tests one after the other, and what each of them is told."""

from __future__ import annotations

import os
import re
import signal
import socket
import sqlite3
import threading
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing

import psycopg
import pytest
from tests.control.conftest import databases

from seatrial.core import processes, wait
from seatrial.harness.harness import Harness


def test_a_worker_gets_what_to_export_and_is_answered_the_same_again(client, worker):
    assert set(worker.told["env"]) == {"DATABASE_URL", "NOTES_URL"}
    assert worker.names() == ["Ada"]
    assert client.post("/v1/workers", worker=worker.told["worker"]) == worker.told


def test_requests_for_one_worker_at_the_same_time_open_it_once(served):
    answers = []

    def ask():
        one = served.client()
        answers.append(one.post("/v1/workers", worker="same"))
        one.close()

    threads = [threading.Thread(target=ask) for _ in range(5)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(answers) == 5
    assert all(answer == answers[0] for answer in answers)
    one = served.client()
    one.delete("/v1/workers/same")
    one.close()


def test_what_a_test_commits_is_undone_whoever_wrote_it(worker):
    worker.checkout("it writes")
    worker.run("insert into users (name) values ('Grace'); delete from users where name = 'Ada'")
    with sqlite3.connect(worker.told["env"]["NOTES_URL"].removeprefix("sqlite:///")) as notes:
        notes.execute("insert into notes (text) values ('x')")
    notes.close()
    done = worker.checkin()
    assert worker.names() == ["Ada"]
    assert done["test"] == "it writes"
    assert done["told"] == []
    assert done["undone"]["db"]["path"] == "log"
    assert done["undone"]["db"]["tables"] == ["users", "users_id_seq"]
    assert done["undone"]["notes"]["path"] not in ("nothing", "clone")
    with sqlite3.connect(worker.told["env"]["NOTES_URL"].removeprefix("sqlite:///")) as notes:
        assert notes.execute("select * from notes").fetchall() == []
    notes.close()


def test_next_ends_one_test_and_begins_the_next_in_one_request(worker):
    first = worker.next("one")
    assert first["checkin"] is None
    worker.run("insert into users (name) values ('Grace')")
    second = worker.next("two")
    assert (second["checkin"]["test"], second["checkin"]["undone"]["db"]["rows"]) == ("one", 1)
    assert second["checkout"]["test"] == "two"
    assert second["checkout"]["resources"]["db"]["url"] == worker.url
    assert worker.names() == ["Ada"]


def test_a_test_may_ask_for_another_isolation(worker):
    told = worker.checkout("it changes the schema", db="clone")
    assert told["resources"]["db"]["isolation"] == "clone"
    assert told["resources"]["notes"]["isolation"] == "reset"
    worker.run("alter table users add column age int")
    assert worker.checkin()["undone"]["db"]["path"] == "clone"
    assert worker.run("select * from users") == [(1, "Ada")]


def test_a_rollback_that_held_everything_is_not_complained_about(worker):
    worker.checkout("it rolls back", db="rollback")
    with psycopg.connect(worker.url) as connection:
        connection.execute("insert into users (name) values ('Grace')")
        connection.rollback()
    done = worker.checkin()
    assert (done["told"], done["undone"]["db"]["path"]) == ([], "rollback")
    assert worker.run("insert into users (name) values ('next') returning id") == [(2,)]
    worker.checkout("the next")
    worker.checkin()


def test_a_commit_in_rollback_mode_is_told_and_undone(worker):
    worker.checkout("it commits", db="rollback")
    worker.run("insert into users (name) values ('Grace')")
    (told,) = worker.checkin()["told"]
    assert "wrote past its transaction in rollback mode" in told["what"]
    asks = 'check it out with {"isolation": {"db": "reset"}} (in TypeScript: await seatrial.use("reset"))'
    assert told["fix"] == f"this test needs reset: {asks}"
    assert worker.names() == ["Ada"]


def test_a_late_writer_is_undone_and_the_test_that_started_it_is_named(worker):
    worker.checkout("it starts a job")
    worker.checkin()
    worker.run("insert into users (name) values ('late')")
    late = worker.checkout("the next")["resources"]["db"]["late"]
    assert late["test"] == "it starts a job"
    assert "users" in late["tables"]
    assert worker.names() == ["Ada"]
    worker.checkin()


def test_a_failed_test_is_told_what_the_server_logged_meanwhile(worker):
    worker.checkout("it fails")
    with pytest.raises(psycopg.Error):
        worker.run("select no_such_column from users")
    assert "no_such_column" in worker.checkin(failed=True)["logs"]["db"]


def test_a_test_that_passed_is_not_told_the_log(worker):
    worker.checkout("it expects an error")
    with pytest.raises(psycopg.Error):
        worker.run("select no_such_column from users")
    assert worker.checkin()["logs"] == {}


def test_a_copy_can_be_kept_and_the_next_test_has_another(worker):
    worker.checkout("it is looked at")
    worker.run("insert into users (name) values ('Grace')")
    kept = worker.checkin(failed=True, keep=True)["kept"]["db"]
    assert worker.names(kept) == ["Ada", "Grace"]
    assert worker.names() == ["Ada"]
    worker.checkout("the next")
    worker.checkin()


def test_two_workers_run_their_tests_side_by_side(served, worker):
    one = served.client()
    other = type(worker)(one, one.post("/v1/workers", worker="beside"))
    worker.checkout()
    other.checkout()
    worker.run("insert into users (name) values ('mine')")
    other.run("insert into users (name) values ('other')")
    assert (worker.names(), other.names()) == (["Ada", "mine"], ["Ada", "other"])
    worker.checkin()
    assert (worker.names(), other.names()) == (["Ada"], ["Ada", "other"])
    one.delete(other.path)
    one.close()


def test_a_second_checkout_and_a_second_checkin_are_refused_in_three_parts(client, worker):
    worker.checkout("the first")
    refused = client.ask("POST", f"{worker.path}/checkout", {"test": "the second"})
    assert refused.status == 409
    assert 'running the test "the first"' in refused.body["what"]
    assert "/v1/clones" in refused.body["fix"]
    worker.checkin()
    refused = client.ask("POST", f"{worker.path}/checkin", {})
    assert (refused.status, refused.body["what"]) == (409, f"worker {worker.told['worker']} runs no test")


def test_a_worker_that_nobody_opened_is_unknown(client):
    for method, path in (("POST", "checkout"), ("POST", "checkin"), ("GET", "hold"), ("POST", "next")):
        body = {"test": "x"} if path != "checkin" else {}
        assert client.ask(method, f"/v1/workers/nobody/{path}", body).status == 404
    assert client.ask("DELETE", "/v1/workers/nobody").status == 404


def test_a_long_name_of_a_worker_still_fits_into_a_databases(client):
    told = [client.post("/v1/workers", worker="w" * 31 + last) for last in "ab"]
    assert len({one["env"]["DATABASE_URL"] for one in told}) == 2
    for last in "ab":
        client.delete(f"/v1/workers/{'w' * 31 + last}")


def test_a_worker_can_be_opened_again_while_the_one_of_that_name_is_still_closing(served, client):
    client.post("/v1/workers", worker="twice")
    with ThreadPoolExecutor() as pool:
        other = served.client()
        closing = pool.submit(other.delete, "/v1/workers/twice")
        opened = client.post("/v1/workers", worker="twice")
        closing.result()
        other.close()
    again = client.post("/v1/workers", worker="twice")
    assert opened["env"]["DATABASE_URL"] == again["env"]["DATABASE_URL"]
    client.post("/v1/workers/twice/checkout", test="it has its copies")
    client.delete("/v1/workers/twice")


def test_the_next_process_of_a_worker_that_was_killed_ends_its_test(worker):
    worker.checkout("it was killed")
    worker.run("insert into users (name) values ('Grace')")
    ended = worker.next("the next process's first")["checkin"]
    assert (ended["test"], ended["undone"]["db"]["rows"]) == ("it was killed", 1)
    worker.checkin()


def test_a_schema_that_fails_is_told_and_can_be_mended_while_the_server_runs(serving, tmp_path):
    (tmp_path / "seatrial.toml").write_text('[resources.db]\nkind = "sqlite"\nschema = "schema.sql"\n')
    schema = tmp_path / "schema.sql"
    schema.write_text("create table users (id no such type,);")
    with serving(tmp_path) as served:
        client = served.client()
        refused = client.ask("POST", "/v1/workers", {"worker": "1"})
        assert refused.status == 422
        assert "schema.sql" in refused.body["what"]
        schema.write_text("create table users (id integer primary key);")
        before = client.post("/v1/workers", worker="1")["resources"]["db"]["template"]
        schema.write_text("create table users (id integer primary key, name text);")
        client.delete("/v1/workers/1")
        assert client.post("/v1/workers", worker="1")["resources"]["db"]["template"] != before
        client.close()


def kill_server(worker, *, to_the_end=True):
    """Its backends serve on until they notice, which takes a busy machine a while."""
    (postmaster,) = worker.run("select pg_read_file('postmaster.pid')")
    pid = int(postmaster[0].splitlines()[0])
    backends = {child: start for child in processes.children(pid) if (start := processes.started(child))}
    os.kill(pid, signal.SIGKILL)
    if to_the_end:
        assert wait.until(
            lambda: all(processes.started(child) != start for child, start in backends.items()), timeout=60
        )


def test_a_server_that_was_killed_is_started_again_and_the_test_is_told(worker, client):
    worker.checkout("it kills the server")
    clone = client.post("/v1/clones", resource="db")
    kill_server(worker)
    (told,) = worker.checkin()["told"]
    assert "PostgreSQL" in told["what"]
    worker.checkout("the next")
    assert worker.names() == ["Ada"]
    worker.checkin()
    client.ask("DELETE", f"/v1/clones/{clone['id']}")
    again = client.post("/v1/clones", resource="db")
    assert worker.names(again["url"]) == ["Ada"]
    client.delete(f"/v1/clones/{again['id']}")

    worker.checkout("it kills the server, and nobody waits for its end")
    kill_server(worker, to_the_end=False)
    client.delete(worker.path)
    with pytest.raises(psycopg.OperationalError):
        worker.run("select 1")  # nothing was started again for a copy that is given up
    client.ask("POST", "/v1/clones", {"resource": "db"})
    again = client.post("/v1/clones", resource="db")
    client.delete(f"/v1/clones/{again['id']}")


def test_what_is_written_for_several_tests_is_their_baseline_until_the_layer_is_lifted(client, worker):
    worker.checkout("it starts a job")
    worker.checkin()
    worker.run("insert into users (name) values ('late')")
    layer = client.post(f"{worker.path}/layers", name="a file")
    assert worker.names() == ["Ada"]
    worker.run("insert into users (name) values ('of the file')")
    assert client.post(f"{worker.path}/layers/{layer['id']}/lay")["resources"] == ["db"]
    for _ in range(2):
        worker.next("a test of the file")
        assert worker.run("insert into users (name) values ('of the test') returning id") == [(3,)]
        worker.run("delete from users where name = 'of the file'")
        worker.checkin()
        assert worker.names() == ["Ada", "of the file"]
    assert client.ask("DELETE", f"{worker.path}/layers/{layer['id']}").body["resources"] == ["db"]
    assert worker.run("insert into users (name) values ('next') returning id") == [(2,)]
    assert client.ask("DELETE", f"{worker.path}/layers/{layer['id']}").status == 404


def test_layers_of_a_process_that_was_killed_are_listed_and_lifted_with_the_lowest(client, worker):
    numbers = []
    for name in ("file", "suite"):
        numbers.append(client.post(f"{worker.path}/layers", name=name)["id"])
        worker.run(f"insert into users (name) values ('{name}')")
        client.post(f"{worker.path}/layers/{numbers[-1]}/lay")
    worker.checkout("it is killed")
    assert client.ask("POST", f"{worker.path}/layers", {"name": "in a test"}).status == 409
    worker.checkin()
    again = client.post("/v1/workers", worker=worker.told["worker"])
    assert again == worker.told | {"layers": numbers}
    client.delete(f"{worker.path}/layers/{numbers[0]}")
    assert worker.names() == ["Ada"]
    assert client.post("/v1/workers", worker=worker.told["worker"])["layers"] == []


def test_a_layer_that_nobody_wrote_to_costs_no_copy(client, worker):
    layer = client.post(f"{worker.path}/layers", name="a file")
    assert client.post(f"{worker.path}/layers/{layer['id']}/lay")["resources"] == []
    assert client.delete(f"{worker.path}/layers/{layer['id']}")["resources"] == []


def test_what_a_test_left_at_work_is_told_in_words(worker):
    worker.checkout("it forgets")
    with psycopg.connect(worker.url, application_name="shop") as busy:
        busy.execute("insert into users (name) values ('half')")
        (note,) = worker.checkin()["notes"]
        busy.close()
    assert note.startswith("it forgets: left a connection idle in transaction (pid ")
    assert ", shop); it was ended. It ran: insert into users (name) values ('half'). To wait for it, commit" in note
    assert worker.checkout("the next")["notes"] == []
    assert worker.checkin()["notes"] == []


def test_what_a_test_did_after_its_end_is_told_when_the_next_begins(worker):
    worker.checkout("it is late")
    worker.checkin()
    worker.run("insert into users (name) values ('late')")
    with psycopg.connect(worker.url) as busy:
        busy.execute("select 1")
        notes = worker.checkout("the next")["notes"]
        busy.close()
    assert re.match(r"it is late: wrote to users\S*, users\S* after its end; undone before the next test\. ", notes[0])
    assert "To wait for it, join the thread, or await the task, that runs it before the test ends" in notes[0]
    assert notes[1].startswith("it is late: left a connection idle in transaction")


def test_a_test_that_wrote_late_is_named_when_a_layer_begins_and_who_writes_it_when_it_is_laid(client, worker):
    worker.checkout("it is late")
    worker.checkin()
    worker.run("insert into users (name) values ('late')")
    layer = client.post(f"{worker.path}/layers", name="a file")
    (note,) = layer["notes"]
    assert note.startswith("it is late: wrote to users")
    with psycopg.connect(worker.url) as busy:
        busy.execute("insert into users (name) values ('half')")
        (note,) = client.post(f"{worker.path}/layers/{layer['id']}/lay")["notes"]
        busy.close()
    assert note.startswith("the layer a file: left a connection idle in transaction")
    assert worker.next("a test of the file")["checkout"]["notes"] == []
    worker.checkin()
    assert client.delete(f"{worker.path}/layers/{layer['id']}")["notes"] == []


def test_what_a_killed_process_left_at_work_is_told_when_its_layer_goes(client, worker):
    layer = client.post(f"{worker.path}/layers", name="a file")
    client.post(f"{worker.path}/layers/{layer['id']}/lay")
    worker.checkout("it is killed")
    with psycopg.connect(worker.url) as busy:
        busy.execute("insert into users (name) values ('half')")
        (note,) = client.delete(f"{worker.path}/layers/{layer['id']}")["notes"]
        busy.close()
    assert note.startswith("it is killed: left a connection idle in transaction")


def test_the_databases_of_a_worker_go_with_it_though_its_last_test_can_not_be_undone(client, monkeypatch):
    own = client.post("/v1/workers", worker="own")["resources"]["db"]["url"]
    client.post("/v1/workers/own/checkout", test="a")
    name, url = own.rpartition("/")[2], client.post("/v1/workers", worker="looks")["resources"]["db"]["url"]
    assert databases(url, name) == {name}

    def breaks(*_, **__):
        monkeypatch.undo()
        raise RuntimeError("made up")

    monkeypatch.setattr(Harness, "end", breaks)
    assert client.ask("DELETE", "/v1/workers/own").status >= 400
    assert databases(url, name) == set()


def test_a_copy_that_is_not_kept_is_told_with_the_reason(worker):
    worker.checkout("it rolls back", db="rollback")
    with psycopg.connect(worker.url) as connection:
        connection.execute("insert into users (name) values ('Grace')")
        connection.rollback()
    notes = worker.checkin(keep=True)["notes"]
    asks = 'check the test out with {"isolation": {"db": "reset"}} (in TypeScript: await seatrial.use("reset"))'
    why = f"a rollback leaves nothing to look at; {asks}, and run it again"
    assert notes == [f"db: it rolls back: not kept: {why}"]
    worker.checkout("it writes nothing")
    why = "the test has left nothing in it, so it is as at the start of every test"
    assert f"db: it writes nothing: not kept: {why}" in worker.checkin(failed=True, keep=True)["notes"]


def test_a_second_worker_is_told_that_a_fixed_address_has_one_at_a_time(serving, tmp_path):
    with closing(socket.create_server(("127.0.0.1", 0))) as taken:
        port = taken.getsockname()[1]
    (tmp_path / "seatrial.toml").write_text(
        f'[resources.db]\nkind = "postgres"\nat = "postgresql://test:test@localhost:{port}/testdb"\n'
    )
    with serving(tmp_path) as running:
        one = running.client()
        first = one.post("/v1/workers", worker="first")
        refused = one.ask("POST", "/v1/workers", {"worker": "second"})
        assert refused.status == 409
        assert refused.body["what"] == "worker second can't have db at its fixed address (`at`): worker first has it"
        assert "remove `at`" in refused.body["fix"]
        assert one.post("/v1/workers", worker="first") == first
        one.delete("/v1/workers/first")
        assert one.post("/v1/workers", worker="second")["env"] == first["env"]
        one.close()
