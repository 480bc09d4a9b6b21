"""Containers, on a stub of an engine: it answers as the published API says, and its containers are processes.

No Docker and no Podman was at hand. Paths, fields and status codes are those of the Docker Engine API
(https://docs.docker.com/reference/api/engine/version/v1.57/): SystemVersion, ContainerCreateResponse, ContainerSummary,
ContainerInspectResponse, ContainerWaitResponse, ErrorResponse, and the stream format of ContainerAttach.
"""

from __future__ import annotations

import contextlib
import io
import json
import os
import re
import shutil
import signal
import socketserver
import struct
import subprocess
import tarfile
import tempfile
import threading
import time
from http.server import BaseHTTPRequestHandler
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

import pytest
import redis

from seatrial.core import folders, ports, processes, wait
from seatrial.errors import ProviderError
from seatrial.resources.kinds.postgres import Postgres
from seatrial.resources.kinds.redis import Valkey
from seatrial.resources.protocol import Requirements
from seatrial.resources.providers.container import Container
from seatrial.resources.providers.embedded import Embedded
from seatrial.resources.supervisor import client

_MADE = re.compile(r"/containers/(?P<id>[^/]+)(?:/(?P<verb>\w+))?$")


class Made:
    """One container: its orders, its files, and the process that stands for it."""

    def __init__(self, name, orders, folder):
        self.name, self.orders, self.folder = name, orders, folder
        self.id = f"{abs(hash(name)):064x}"[:64]
        self.process = None
        folder.mkdir()

    @property
    def running(self):
        return self.process is not None and self.process.poll() is None

    def start(self, server):
        [(_, [binding])] = self.orders["HostConfig"]["PortBindings"].items()
        assert binding["HostIp"] == "127.0.0.1"
        program, conf = self.orders["Cmd"]
        assert program == "valkey-server"
        with (self.folder / "output").open("ab") as output:
            self.process = subprocess.Popen(
                [server, self.folder / conf.lstrip("/"), "--port", binding["HostPort"], "--bind", "127.0.0.1"],
                stdout=output, cwd=self.folder,
            )  # fmt: skip

    def stop(self):
        if self.process is not None:
            self.process.terminate()
            self.process.wait()

    def summary(self):
        state = "running" if self.running else "exited"
        return {
            "Id": self.id, "Names": [f"/{self.name}"], "Image": self.orders["Image"], "Labels": self.orders["Labels"],
            "State": state, "Status": state,
        }  # fmt: skip

    def inspect(self):
        state = {"Status": "running" if self.running else "exited", "Running": self.running}
        config = {"Labels": self.orders["Labels"], "Image": self.orders["Image"], "Tty": False}
        return {"Id": self.id, "Name": f"/{self.name}", "State": state, "Config": config, "HostConfig": {}}


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_GET(self):  # noqa: PLR0911 - one for each thing that is asked
        engine, path, _ = self._read()
        if path == "/_ping":
            return self._say(200, "OK")
        if path == "/version":
            return self._say(200, {"Version": "28.0.0", "ApiVersion": "1.48", "MinAPIVersion": "1.24"})
        if path == "/containers/json":
            [label] = json.loads(self.query["filters"][0])["label"]
            name, _, value = label.partition("=")
            listed = [one.summary() for one in engine.made if one.orders["Labels"].get(name) == value]
            return self._say(200, listed)
        if path.startswith("/images/"):
            name = path.removeprefix("/images/").removesuffix("/json")
            if name in engine.pulled:
                return self._say(200, {"Id": "sha256:1", "RepoTags": [name]})
            return self._say(404, {"message": f"No such image: {name}"})
        one, verb = self._container(path)
        if one is None:
            return self._say(404, {"message": "No such container"})
        return self._log(one) if verb == "logs" else self._say(200, one.inspect())

    def do_POST(self):
        engine, path, body = self._read()
        if path == "/images/create":
            name = f"{self.query['fromImage'][0]}:{self.query['tag'][0]}"
            engine.pulled.append(name)
            return self._say(200, {"status": f"Status: Downloaded newer image for {name}"})
        if path == "/containers/create":
            one = Made(self.query["name"][0], json.loads(body), engine.folder / f"made{len(engine.asked)}")
            engine.made.append(one)
            return self._say(201, {"Id": one.id, "Warnings": []})
        one, verb = self._container(path)
        if verb == "start":
            one.start(engine.valkey)
        elif verb == "stop":
            one.stop()
        elif verb == "wait":
            return self._say(200, {"StatusCode": abs(one.process.wait())})
        return self._say(204, "")

    def do_PUT(self):
        _, path, body = self._read()
        one, _ = self._container(path)
        with tarfile.open(fileobj=io.BytesIO(body)) as archive:
            archive.extractall(one.folder, filter="data")
        self._say(200, "")

    def do_DELETE(self):
        engine, path, _ = self._read()
        one, _ = self._container(path)
        one.stop()
        engine.made.remove(one)
        self._say(204, "")

    def _read(self):
        engine, parts = self.server, urlsplit(self.path)
        self.query = parse_qs(parts.query)
        if self.headers.get("Transfer-Encoding") == "chunked":
            body = b""
            while size := int(self.rfile.readline(), 16):
                body += self.rfile.read(size)
                self.rfile.readline()
            self.rfile.readline()
        else:
            body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        path = re.sub(r"^/v[\d.]+", "", parts.path)
        engine.asked.append(f"{self.command} {path}")
        engine.bodies.append(body)
        return engine, path, body

    def _container(self, path):
        found = _MADE.match(path)
        wanted = found["id"]
        return next((one for one in self.server.made if wanted in (one.id, one.name)), None), found["verb"]

    def _log(self, one):
        self.send_response(200)
        self.send_header("Content-Type", "application/vnd.docker.multiplexed-stream")
        self.send_header("Transfer-Encoding", "chunked")
        self.end_headers()
        at = 0
        while True:
            running = one.running
            text = (one.folder / "output").read_bytes()[at:]
            at += len(text)
            if text:
                frame = struct.pack(">BxxxL", 1, len(text)) + text
                self.wfile.write(b"%x\r\n%b\r\n" % (len(frame), frame))
            if not running:
                break
            time.sleep(0.02)
        self.wfile.write(b"0\r\n\r\n")

    def handle(self):
        with contextlib.suppress(BrokenPipeError):  # whoever read the log was killed
            super().handle()

    def _say(self, status, answer):
        text = (answer if isinstance(answer, str) else json.dumps(answer)).encode()
        self.send_response(status)
        self.send_header("Content-Type", "text/plain" if isinstance(answer, str) else "application/json")
        self.send_header("Api-Version", "1.48")
        if status != 204:
            self.send_header("Content-Length", str(len(text)))
        self.end_headers()
        if status != 204:
            self.wfile.write(text)

    def address_string(self):
        return "unix"

    def log_message(self, *_):
        pass


class Engine(socketserver.ThreadingMixIn, socketserver.UnixStreamServer):
    daemon_threads = True

    def __init__(self, folder, valkey):
        self.folder, self.valkey = folder, valkey
        self.made, self.pulled, self.asked, self.bodies = [], [], [], []
        super().__init__(str(folder / "engine.sock"), Handler)


@pytest.fixture
def no_engine(monkeypatch, tmp_path):
    for name in ("DOCKER_HOST", "CONTAINER_HOST"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(tmp_path))
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setattr("seatrial.resources.providers.container._sockets", lambda: [tmp_path / "docker.sock"])


@pytest.fixture
def engine(monkeypatch, no_engine):
    folder = Path(tempfile.mkdtemp(prefix="st-"))
    here = Embedded().reserve(Valkey().spec(Requirements.of(project=folder)))
    valkey = here._binaries.folder / "valkey-server"
    here.release()
    server = Engine(folder, valkey)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)
    thread.start()
    monkeypatch.setenv("DOCKER_HOST", f"unix://{folder}/engine.sock")
    yield server
    for one in server.made:
        one.stop()
    server.shutdown()
    thread.join()
    server.server_close()
    shutil.rmtree(folder)


@pytest.fixture
def reserve_in_container(tmp_path):
    reserved = []

    def make(**changed):
        server = Container().reserve(Valkey().spec(Requirements.of(project=tmp_path, **changed)))
        reserved.append(server)
        return server

    yield make
    for server in reserved:
        server.release()
        client.down(server.instance)


def test_a_container_is_pulled_made_and_started_and_the_next_run_finds_what_was_in_it(engine, reserve_in_container):
    server = reserve_in_container()
    assert server.start() is False
    assert server.endpoint.socket_folder is None
    assert server.spec.program.asked_version(server.endpoint)
    assert engine.pulled == ["valkey/valkey:9"]
    [one] = engine.made
    assert one.orders["HostConfig"]["PortBindings"] == {
        "6379/tcp": [{"HostIp": "127.0.0.1", "HostPort": str(server.endpoint.admin.port)}]
    }
    secret = server.endpoint.admin.password
    assert secret.encode() not in b"".join(body for body in engine.bodies if not body.startswith(b"seatrial/"))
    for orders in ("launch.json", "launch"):
        assert secret.encode() not in (server.instance.folder / orders).read_bytes()
    assert wait.until(lambda: "Ready to accept connections" in server.log_tail(), timeout=10)
    server.release()
    assert wait.until(lambda: not server.instance.alive and not one.running, timeout=20)
    again = reserve_in_container()
    again.start()
    assert engine.made == [one]
    assert one.running
    assert engine.asked.count("POST /containers/create") == 1


@pytest.mark.parametrize("login", ["", ":two%20words@", "someone:secret@"])
def test_a_container_lets_in_whom_the_address_names(engine, reserve_in_container, login):
    held = ports.choose("container", ())
    held.close()
    server = reserve_in_container(at=f"redis://{login}localhost:{held.port}/0")
    server.start()
    with redis.Redis.from_url(Valkey().copy_address(server.endpoint, server.spec, "").url()) as app:
        assert app.ping()


def test_what_a_crash_left_is_ended_by_the_next_start_and_nobody_else_s_is_touched(engine, reserve_in_container):
    server = reserve_in_container()
    server.start()
    [one] = engine.made
    labels = dict(one.orders["Labels"])
    gone = Made(
        "gone", {"Labels": {**labels, "io.seatrial.folder": "/no/such/folder"}, "Image": "x"}, engine.folder / "g"
    )
    other = Made(
        "other",
        {"Labels": {"io.seatrial.folder": "/no/such/folder", "io.seatrial.owner": "another"}, "Image": "x"},
        engine.folder / "o",
    )
    engine.made += [gone, other]
    state = json.loads((server.instance.folder / "state.json").read_text())
    [supervisor] = [pid for pid in _pids() if _parent(state["pid"]) == pid]
    for pid in (state["pid"], supervisor):
        os.kill(pid, signal.SIGKILL)
    assert wait.until(lambda: not server.instance.alive, timeout=5)
    assert one.running
    server.release()
    reserve_in_container().start()  # at another port, since the old one is still taken
    assert other in engine.made
    assert gone not in engine.made
    assert not one.running
    assert [made.running for made in engine.made] == [False, True]


def test_two_caches_on_one_engine_have_a_container_each_of_the_same_project(
    engine, reserve_in_container, tmp_path, monkeypatch
):
    first = reserve_in_container()
    first.start()
    monkeypatch.setenv("SEATRIAL_CACHE", str(tmp_path / "another"))
    second = reserve_in_container()
    second.start()
    assert [one.running for one in engine.made] == [True, True]
    assert first.spec.program.answers(first.endpoint)
    assert len({one.name for one in engine.made}) == 2


def test_the_container_of_another_machine_with_the_same_cache_is_not_touched(
    engine, reserve_in_container, tmp_path, monkeypatch
):
    """Its folders are not seen from here, though they have the same paths, and its host may have the same name."""
    cache = tmp_path / "cache"
    monkeypatch.setenv("SEATRIAL_CACHE", str(cache))
    server = reserve_in_container()
    server.start()
    [theirs] = engine.made
    server.release()
    client.down(server.instance)
    for folder in (cache, *folders.running(cache)):
        shutil.rmtree(folder, ignore_errors=True)
    reserve_in_container().start()
    assert engine.made[0] is theirs
    assert [one.running for one in engine.made] == [False, True]


def test_a_container_of_our_name_that_is_not_ours_stays_and_is_named(engine, reserve_in_container):
    server = reserve_in_container()
    server.start()
    server.release()
    client.down(server.instance)
    [theirs] = engine.made
    theirs.orders["Labels"] = {}
    with pytest.raises(ProviderError) as caught:
        reserve_in_container().start()
    assert f"a container called {theirs.name} that is not ours" in caught.value.cause
    assert engine.made == [theirs]


def test_a_container_that_can_t_be_had_is_told_with_the_engines_words(engine, reserve_in_container, monkeypatch):
    monkeypatch.setattr(Made, "start", lambda *_: (_ for _ in ()).throw(OSError))
    monkeypatch.setattr(Handler, "do_PUT", lambda self: (self._read(), self._say(500, {"message": "no room left"})))
    with pytest.raises(ProviderError) as caught:
        reserve_in_container().start()
    assert "no room left" in caught.value.cause


def test_without_an_engine_the_reason_names_the_places(no_engine, tmp_path):
    refusal = Container().probe(Valkey().spec(Requirements.of(project=tmp_path)))
    assert "no engine runs" in refusal
    assert "docker.sock" in refusal
    assert "DOCKER_HOST" in refusal


def test_an_engine_elsewhere_or_that_does_not_answer_is_named(no_engine, tmp_path, monkeypatch):
    monkeypatch.setenv("DOCKER_HOST", "tcp://docker:2375")
    assert "not on this machine" in Container().probe(Valkey().spec(Requirements.of(project=tmp_path)))
    monkeypatch.setenv("DOCKER_HOST", f"unix://{tmp_path}/nobody")
    assert "the engine at unix://" in Container().probe(Valkey().spec(Requirements.of(project=tmp_path)))


@pytest.mark.parametrize(
    ("wanted", "image"),
    [
        ({}, "postgres:18"),
        ({"version": "<17"}, "postgres:16"),
        ({"version": "15"}, "postgres:15"),
        ({"extensions": ("pgcrypto", "uuid-ossp")}, "postgres:18"),
        ({"extensions": ("vector",), "version": ">=16,<18"}, "pgvector/pgvector:pg17"),
        ({"extensions": ("postgis",)}, "postgis/postgis:18-3.6"),
    ],
)
def test_the_image_is_chosen_by_version_and_extensions(engine, tmp_path, wanted, image):
    _, found, version = Container()._find(Postgres().spec(Requirements.of(project=tmp_path, **wanted)))
    assert f"{found.repository}:{found.tags[version]}" == image


def test_what_no_image_has_is_named(engine, tmp_path):
    refusal = Container().probe(Postgres().spec(Requirements.of(project=tmp_path, extensions=("vector", "postgis"))))
    assert "vector, postgis" in refusal
    assert "pgvector/pgvector:pg18" in refusal


def _pids():
    return [int(path.name) for path in Path("/proc").glob("[0-9]*")]


def _parent(pid):
    return next(parent for one, parent, _ in processes._table() if one == pid)
