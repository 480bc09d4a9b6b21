"""When things end: with the connection that holds them, after the idle time, when told to; nothing is left."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
import time

import psycopg
import pytest
from tests.control.conftest import Client, databases

from seatrial.control.leases.lease import Patience
from seatrial.control.server import Options
from seatrial.errors import ProviderError
from seatrial.resources.kinds.sqlite.copy import SQLiteCopy

SOON = 30.0


def hold(client, worker):
    """An open connection that reads the response without end."""
    sock = socket.create_connection(("127.0.0.1", client.port))
    sock.sendall(
        f"GET /v1/workers/{worker}/hold HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {client.token}\r\n\r\n".encode()
    )
    assert b"200 OK" in sock.recv(1000)
    return sock


def eventually(question):
    until = time.monotonic() + SOON
    while not question():
        assert time.monotonic() < until
        time.sleep(0.05)


def test_when_the_connection_that_holds_a_worker_is_lost_its_copies_are_dropped(serving, worker):
    with serving(patience=Patience(grace=0.2, unheld=600)) as served:
        client = served.client()
        told = client.post("/v1/workers", worker="held")
        clone = client.post("/v1/clones", resource="db", worker="held")
        names = {told["env"]["DATABASE_URL"].rpartition("/")[2], clone["url"].rpartition("/")[2]}
        sock = hold(client, "held")
        client.post("/v1/workers/held/checkout", test="it is killed")
        with psycopg.connect(told["env"]["DATABASE_URL"]) as busy:
            busy.execute("insert into users (name) values ('half')")
            sock.close()  # as the kernel does for a process that was killed
            before = time.monotonic()
            eventually(lambda: client.ask("DELETE", "/v1/workers/held").status == 404)
            eventually(lambda: names.isdisjoint(databases(worker.url) - {clone["url"].rpartition("/")[2]}))
            assert time.monotonic() - before < SOON
            busy.close()
        assert client.ask("DELETE", f"/v1/clones/{clone['id']}").status == 404
        client.close()
    assert not names & databases(worker.url)


def test_a_copy_that_can_not_be_put_back_is_told_and_ends_neither_the_server_nor_what_others_have(serving, monkeypatch):
    def crashes(self):
        raise RuntimeError("the driver has no words for this")

    said = []
    with serving(patience=Patience(grace=0.2, unheld=1), say=said.append) as served:
        client = served.client()
        monkeypatch.setattr(SQLiteCopy, "undo", crashes)
        clone = client.post("/v1/clones", resource="notes")
        eventually(lambda: said)
        monkeypatch.undo()
        another = client.post("/v1/clones", resource="notes")
        assert another["url"] != clone["url"]
        client.close()
    trouble = "could not be put back: RuntimeError: the driver has no words for this"
    assert said == [f"copy {clone['id']} of notes {trouble}"]


def test_a_worker_ends_although_a_copy_that_went_with_it_can_not_be_put_back(serving, worker, monkeypatch):
    def crashes(self):
        raise RuntimeError("the driver has no words for this")

    said = []
    with serving(say=said.append) as served:
        client = served.client()
        told = client.post("/v1/workers", worker="ends")
        clone = client.post("/v1/clones", resource="notes", worker="ends")
        monkeypatch.setattr(SQLiteCopy, "undo", crashes)
        client.delete("/v1/workers/ends")
        assert told["env"]["DATABASE_URL"].rpartition("/")[2] not in databases(worker.url)
        client.close()
    assert said[0].startswith(f"copy {clone['id']} of notes could not be put back: RuntimeError: ")


def test_a_worker_that_is_held_again_in_time_stays(serving):
    with serving(patience=Patience(grace=1.5, unheld=600)) as served:
        client = served.client()
        client.post("/v1/workers", worker="again")
        hold(client, "again").close()
        second = hold(client, "again")
        time.sleep(2)
        client.post("/v1/workers/again/checkout", test="it is still there")
        second.close()
        client.close()


def test_a_held_response_ends_with_its_worker(client):
    client.post("/v1/workers", worker="done")
    sock = hold(client, "done")
    client.delete("/v1/workers/done")
    sock.settimeout(SOON)
    while sock.recv(1000):
        pass
    sock.close()


def test_the_server_ends_by_itself_when_nobody_has_had_anything_for_the_idle_time(serving):
    with serving(idle=0.5) as served:
        client = served.client()
        client.post("/v1/workers", worker="last")
        time.sleep(1.2)
        client.delete("/v1/workers/last")
        client.close()
        assert served.ended()


def test_a_socket_answers_as_the_port_does_and_is_its_owners_alone(serving, tmp_path):
    path = tmp_path / "s"
    with serving(options=Options(socket=path)) as served:
        assert served.told["socket"] == str(path)
        assert path.stat().st_mode & 0o777 == 0o600
        sock = socket.socket(socket.AF_UNIX)
        sock.connect(str(path))
        sock.sendall(b"GET /v1/health HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
        assert b"200 OK" in sock.recv(10_000)
        sock.close()


def test_a_socket_that_another_server_answers_at_is_refused_and_stays_with_that_one(serving, tmp_path):
    path = tmp_path / "s"
    with serving(options=Options(socket=path)):
        with pytest.raises(ProviderError, match="is taken"), serving(options=Options(socket=path)):
            pass
        sock = socket.socket(socket.AF_UNIX)
        sock.connect(str(path))
        sock.close()


def test_sockets_of_a_server_that_was_killed_are_taken_over(process, serving, tmp_path):
    path = tmp_path / "s"
    one = process("--socket", str(path))
    told = json.loads(one.stdout.readline())
    client = Client(told["url"], told["token"])
    left = client.post("/v1/workers", worker="1")["socket"]
    client.close()
    one.kill()
    one.wait(SOON)
    with serving(options=Options(socket=path)) as served:
        client = served.client()
        assert client.post("/v1/workers", worker="1")["socket"] == left
        client.close()


def test_everything_is_gone_after_a_shutdown(serving, worker):
    with serving() as served:
        client = served.client()
        urls = [client.post("/v1/workers", worker=name)["env"]["DATABASE_URL"] for name in "ab"]
        client.post("/v1/workers/a/checkout", test="it is running")
        urls.append(client.post("/v1/clones", resource="db")["url"])
        urls.append(client.post("/v1/templates", hash="unfinished")["url"])
        client.post("/v1/shutdown")
        client.close()
        assert served.ended()
    assert not {url.rpartition("/")[2] for url in urls} & databases(worker.url)


@pytest.fixture
def process(root, clean_environ):
    """`seatrial serve`, as a test runner starts it."""
    started = []

    def start(*arguments):
        one = subprocess.Popen(
            [sys.executable, "-m", "seatrial", "serve", *arguments], cwd=root, env=clean_environ,
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
        )  # fmt: skip
        started.append(one)
        return one

    yield start
    for one in started:
        if one.poll() is None:
            one.kill()
        one.communicate()


def test_the_command_prints_one_line_and_ends_with_its_standard_input(process, worker):
    one = process("--until-stdin-closes")
    told = json.loads(one.stdout.readline())
    assert told["pid"] == one.pid
    client = Client(told["url"], told["token"])
    url = client.post("/v1/workers", worker="1")["env"]["DATABASE_URL"]
    client.close()
    out, err = one.communicate(timeout=SOON)  # closes its standard input
    assert (one.returncode, out, err) == (0, "", "")
    assert url.rpartition("/")[2] not in databases(worker.url)


def test_who_holds_its_standard_input_open_finds_it_there_after_the_idle_time(process):
    one = process("--until-stdin-closes", "--idle", "0.2")
    told = json.loads(one.stdout.readline())
    time.sleep(1)
    client = Client(told["url"], told["token"])
    client.post("/v1/workers", worker="late")
    client.close()
    assert one.communicate(timeout=SOON) == ("", "")


def test_an_interrupt_ends_it_and_a_kill_leaves_nothing_for_long(process, root, clean_environ, serving, worker):
    for number in (signal.SIGINT, signal.SIGKILL):
        one = process()
        told = json.loads(one.stdout.readline())
        client = Client(told["url"], told["token"])
        name = client.post("/v1/workers", worker="1")["env"]["DATABASE_URL"].rpartition("/")[2]
        client.close()
        os.kill(one.pid, number)
        assert one.wait(SOON) == (0 if number == signal.SIGINT else -signal.SIGKILL)
        with serving() as served:  # the next one sweeps
            client = served.client()
            client.post("/v1/workers", worker="sweeps")
            client.close()
        assert name not in databases(worker.url)


def test_what_concerns_no_test_is_said_once_on_standard_error(process, tmp_path):
    (tmp_path / "seatrial.toml").write_text('[resources.db]\nkind = "sqlite"\nschema = "true"\n')
    one = process("--until-stdin-closes", "-C", str(tmp_path))
    told = json.loads(one.stdout.readline())
    client = Client(told["url"], told["token"])
    for name in "12":
        client.post("/v1/workers", worker=name)
        assert client.post(f"/v1/workers/{name}/checkout", test="it")["notes"] == []
    client.close()
    _, err = one.communicate(timeout=SOON)
    says = "`true` runs again in each run: `inputs` (globs of the files it reads) would save that"
    assert err == f"seatrial: db: {says}\n"


def test_a_project_without_configuration_is_told_so_and_nothing_is_served(process, tmp_path, root):
    one = process("-C", str(tmp_path), "--json")
    out, err = one.communicate(timeout=SOON)
    assert one.returncode == 2
    assert json.loads(out)["error"]["kind"] == "ConfigError"
    assert "no configuration was found" in err


def test_the_description_is_printed_without_a_project(process, tmp_path):
    one = process("-C", str(tmp_path), "--openapi")
    out, _ = one.communicate(timeout=SOON)
    assert json.loads(out)["paths"]["/v1/workers/{worker}/next"]
