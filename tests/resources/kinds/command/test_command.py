"""Any program runs as a resource: ready when it says so, told at once when it is not, reset by the project."""

from __future__ import annotations

import asyncio
import contextlib
import sys
import urllib.request
from dataclasses import replace
from pathlib import Path

import pytest
from tests.conftest import end_servers

from seatrial.core import ports, wait
from seatrial.errors import ConfigError, IsolationError, ProviderError
from seatrial.resources.kinds.command import Command
from seatrial.resources.kinds.command.readiness import Readiness, Running, read
from seatrial.resources.protocol import Requirements
from seatrial.resources.providers.binary import Binary
from seatrial.resources.supervisor import client

SERVER = """
import http.server, pathlib, sys, time
how, port, data = sys.argv[1], int(sys.argv[2]), pathlib.Path(sys.argv[3])
kept = []
class Handler(http.server.BaseHTTPRequestHandler):
    def answer(self):
        if self.command == "POST":
            kept.append(self.path)
        if self.command == "DELETE":
            kept.clear()
        self.send_response(503 if self.path == "/sick" else 200)
        self.end_headers()
        self.wfile.write(repr(kept).encode())
    do_GET = do_POST = do_DELETE = answer
    def log_message(self, *args): pass
server = http.server.HTTPServer(("127.0.0.1", port), Handler)
(data / "ready").write_text("yes")
print("listening now", flush=True)
server.serve_forever()
"""

SCRIPT = """
echo a line of the log
case $1 in
dies) echo no licence; exit 1 ;;
waits) exec sleep 60 ;;
esac
exec $0.python -I server.py "$@"
""".replace("$0.python", sys.executable)


@pytest.fixture(scope="module")
def store(tmp_path_factory):
    path = tmp_path_factory.mktemp("cache")
    yield path
    end_servers(path)


@pytest.fixture
def program(store, tmp_path, monkeypatch):
    """Reserves the made-up program, as a configuration would; it is ended after the test."""
    monkeypatch.setenv("SEATRIAL_CACHE", str(store))
    monkeypatch.setenv("SEATRIAL_IDLE", "0.05")
    (tmp_path / "server.py").write_text(SERVER)
    (tmp_path / "server.sh").write_text(SCRIPT)
    reserved = []

    def make(how="serves", **keys):
        command = f"sh server.sh {how} {{port}} {{data}}"
        spec = Command().spec(Requirements.of(project=tmp_path, **{"command": command, "reset": "nothing", **keys}))
        assert Binary().probe(spec) is None
        server = Binary().reserve(spec)
        reserved.append(server)
        return server

    yield make
    for server in reserved:
        server.release()
        client.down(server.instance)


READY = ["tcp", "http:/health", "log:listening \\w+", "file:{data}/ready", "exec:test -e {data}/ready"]


@pytest.mark.parametrize("ready", READY)
def test_a_program_is_ready_when_it_says_so(program, ready):
    server = program(ready=ready)
    assert server.start() is False
    with urllib.request.urlopen(server.endpoint.admin.url(), timeout=5) as answer:
        assert answer.read() == b"[]"
    assert "listening now" in server.log_tail()
    assert server.start() is True


def test_one_that_does_not_get_ready_is_told_with_what_was_waited_for(program):
    server = program("waits", ready="http:/health", patience="4")
    with pytest.raises(ProviderError) as caught:
        server.start()
    assert "no answer in 4 s (http:/health)" in caught.value.what
    assert "server.sh waits" in caught.value.what
    assert "a line of the log" in caught.value.cause
    assert wait.until(lambda: not server.instance.alive, timeout=10)


def test_one_that_does_not_get_ready_is_ended_at_once_however_long_servers_may_be_idle(program, monkeypatch):
    monkeypatch.setenv("SEATRIAL_IDLE", "600")
    server = program("waits", patience="1")
    with pytest.raises(ProviderError) as caught:
        server.start()
    assert "no answer in 1 s" in caught.value.what
    assert "a line of the log" in caught.value.cause
    assert not server.instance.alive


@pytest.mark.parametrize("ready", READY)
def test_whatever_is_waited_for_the_wait_has_an_end(program, ready):
    server = program("waits", ready=ready, patience="1")
    with pytest.raises(ProviderError) as caught:
        server.start()
    assert f"no answer in 1 s ({ready})" in caught.value.what
    assert "server.sh waits" in caught.value.what
    assert wait.until(lambda: not server.instance.alive, timeout=20)


@pytest.mark.parametrize("ready", READY)
def test_until_the_time_is_up_none_of_the_ways_takes_a_silent_program_for_ready(ready, tmp_path):
    held = ports.choose("silent", ())
    (tmp_path / "log").write_text("still waiting")
    running = Running(
        port=held.port, fields={"data": str(tmp_path)}, log=tmp_path / "log", since=0, started=0, cwd=tmp_path
    )
    assert not wait.until(lambda: read(ready).holds(running), timeout=0.05)
    held.close()


@pytest.mark.parametrize("ready", READY)
def test_one_that_dies_while_it_starts_is_told_at_once(program, ready):
    server = program("dies", ready=ready)
    before = wait.now()
    with pytest.raises(ProviderError) as caught:
        server.start()
    assert wait.now() - before < 20  # and not a minute, which it would have had
    assert "exit status 1" in caught.value.what
    assert "server.sh dies" in caught.value.what
    assert "no licence" in caught.value.cause


def test_what_was_there_before_the_start_does_not_count(tmp_path):
    (tmp_path / "ready").write_text("an earlier start's")
    log = tmp_path / "log"
    log.write_text("listening now")
    now = (tmp_path / "ready").stat().st_mtime + 1
    running = Running(port=1, fields={}, log=log, since=len("listening now"), started=now, cwd=tmp_path)
    assert not read("log:listening").holds(running)
    assert not read("file:ready").holds(running)
    with log.open("a") as file:
        file.write("listening again")
    (tmp_path / "ready").touch()
    assert read("log:listening").holds(running)
    assert read("file:ready").holds(replace(running, started=now - 1))


def test_a_line_of_the_log_is_what_matches(tmp_path):
    log = tmp_path / "log"
    log.write_text("reading\nready\nwaiting\n")
    running = Running(port=1, fields={}, log=log, since=0, started=0, cwd=tmp_path)
    assert read("log:^ready$").holds(running)
    assert not read("log:^read$").holds(running)


def test_a_server_that_answers_badly_is_not_ready(program):
    server = program()
    server.start()
    running = Running(port=server.endpoint.admin.port, fields={}, log=Path(), since=0, started=0, cwd=Path())
    assert read("http:/well").holds(running)
    assert not read("http:/sick").holds(running)


def test_each_worker_has_a_program_of_its_own(program):
    one, two = program(), program()
    assert one.endpoint.admin.port != two.endpoint.admin.port


def ask(url, method="GET"):
    with urllib.request.urlopen(urllib.request.Request(url, method=method), timeout=5) as answer:
        return answer.read().decode()


RESET = """
import urllib.request


def empty(url):
    urllib.request.urlopen(urllib.request.Request(url, method="DELETE"), timeout=5).close()
    urllib.request.urlopen(urllib.request.Request(url + "seed", method="POST"), timeout=5).close()
"""


@pytest.mark.parametrize(
    "reset", ["made_up_reset:empty", "python -I -c 'import made_up_reset as r; r.empty(\"{url}\")'"]
)
def test_the_projects_own_reset_brings_it_back(program, tmp_path, reset, monkeypatch):
    (tmp_path / "made_up_reset.py").write_text(RESET)
    monkeypatch.syspath_prepend(tmp_path)
    reset = reset.replace("python -I -c '", f"{sys.executable} -c '")
    server = program(ready="http:/", reset=reset)
    server.start()
    with contextlib.closing(Command().open(server.endpoint, server.spec)) as store:
        assert not store.find("key")
        store.build("key", "", lambda target: ask(target.address.url() + "seed", "POST"))
        assert store.find("key")
        copy = store.checkout("key", "")
        url = copy.client().value
        ask(url + "written", "POST")
        assert ask(url) == "['/seed', '/written']"
        assert copy.undo().path == "copy"
        assert ask(url) == "['/seed']"


ASYNCHRONOUS = """
import asyncio, made_up_reset


async def empty(url):
    await asyncio.to_thread(made_up_reset.empty, url)
"""


@pytest.mark.parametrize("in_a_loop", [False, True])
def test_an_asynchronous_reset_is_waited_for(program, tmp_path, monkeypatch, in_a_loop):
    (tmp_path / "made_up_reset.py").write_text(RESET)
    (tmp_path / "asynchronous_reset.py").write_text(ASYNCHRONOUS)
    monkeypatch.syspath_prepend(tmp_path)
    server = program(ready="http:/", reset="asynchronous_reset:empty")
    server.start()
    with contextlib.closing(Command().open(server.endpoint, server.spec)) as store:
        store.build("key", "", lambda target: None)
        copy = store.checkout("key", "")
        ask(copy.client().value + "written", "POST")

        async def undo():
            copy.undo()

        asyncio.run(undo()) if in_a_loop else copy.undo()
        assert ask(copy.client().value) == "['/seed']"


def test_a_line_of_the_log_is_found_where_the_log_of_earlier_starts_was_large(program):
    """It is put aside at a start, which needs no second try."""
    server = program(ready="log:listening", patience="5")
    server.start()
    client.down(server.instance)
    with server.instance.log.open("ab") as log:
        log.write(b"much was told\n" * 400_000)
    server.start()
    assert server.instance.log.read_text().count("listening now") == 1


def test_a_reset_that_fails_is_told_without_the_password_of_the_program(program):
    server = program(reset="sh -c 'cat secret; exit 3'")
    server.start()
    (server.spec.project / "secret").write_bytes((server.endpoint.socket_folder / "data" / ".password").read_bytes())
    with contextlib.closing(Command().open(server.endpoint, server.spec)) as store:
        store.build("key", "", lambda target: None)
        with pytest.raises(IsolationError) as caught:
            store.checkout("key", "")
    assert caught.value.cause == "exit status 3: ***"


def test_a_reset_that_fails_says_why(program):
    server = program(reset="sh -c 'echo out of order >&2; exit 3'")
    server.start()
    with contextlib.closing(Command().open(server.endpoint, server.spec)) as store:
        store.build("key", "", lambda target: None)
        with pytest.raises(IsolationError) as caught:
            store.checkout("key", "")
    assert caught.value.cause == "exit status 3: out of order"


def test_a_seed_is_run_again_for_each_start_of_the_program(program):
    server = program()
    server.start()
    store = Command().open(server.endpoint, server.spec)
    store.build("key", "", lambda target: None)
    client.down(server.instance)
    server.start()
    assert not store.find("key")


def test_a_fixed_address_is_served_where_the_command_names_none(store, tmp_path, monkeypatch):
    monkeypatch.setenv("SEATRIAL_CACHE", str(store))
    held = ports.choose("command", ())
    held.close()
    spec = Command().spec(
        Requirements.of(
            project=tmp_path,
            command=f"python -I -m http.server --bind 127.0.0.1 {held.port}",
            at=f"http://localhost:{held.port}",
            reset="nothing",
            ready="http:/",
        )
    )
    server = Binary().reserve(spec)
    try:
        server.start()
        assert ask(f"http://localhost:{held.port}/")
        assert Command().copy_address(server.endpoint, spec, "").url() == f"http://localhost:{held.port}/"
    finally:
        server.release()
        client.down(server.instance)


@pytest.mark.parametrize(
    ("keys", "what"),
    [
        ({}, "`command` is missing"),
        ({"command": "serve"}, "does not say on which port"),
        ({"command": "serve {port} {name}"}, "names {name}"),
        ({"command": "serve 'open"}, "is no command line"),
        ({"command": "serve {port}"}, "needs a `reset`"),
        ({"command": "serve {port}", "reset": "nothing", "ready": "soon"}, "does not say how to see"),
        ({"command": "serve {port}", "reset": "nothing", "ready": "http"}, "does not say how to see"),
        ({"command": "serve {port}", "reset": "nothing", "ready": "log:("}, "no regular expression"),
        ({"command": "serve {port}", "reset": "nothing", "ready": "exec:ping {url}"}, "`ready` names {url}"),
        ({"command": "serve {port}", "reset": "nothing", "ready": "exec:ping 'it"}, "`ready` is no command line"),
        ({"command": "serve {port}", "reset": "nothing", "ready": "file:{date}/ready"}, "`ready` names {date}"),
        ({"command": "serve {port", "reset": "nothing"}, "`command` has a brace that can't be filled in"),
        ({"command": "serve {port}", "reset": "empty {port:d}"}, "`reset` has a brace that can't be filled in"),
        ({"command": "serve {port}", "reset": " "}, "needs a `reset`"),
        ({"command": "serve {port}", "reset": "curl {ulr}"}, "`reset` names {ulr}"),
        ({"command": "serve {port}", "reset": "curl -d '{\"a\": 1}' {url}"}, '`reset` names {"a"}'),
        ({"command": "serve {port}", "reset": "nothing", "patience": "long"}, '`patience` is "long"'),
        ({"command": "serve {port}", "reset": "nothing", "url": "http://h"}, "has no `url`"),
    ],
)
def test_a_mistake_is_told_before_anything_runs(tmp_path, keys, what):
    with pytest.raises(ConfigError) as caught:
        Command().spec(Requirements.of(project=tmp_path, **keys))
    assert what in caught.value.what
    assert caught.value.fix


def test_a_folder_with_a_space_in_its_name_is_one_word_of_the_command_that_asks(tmp_path):
    folder = tmp_path / "a folder"
    folder.mkdir()
    running = Running(port=1, fields={"data": str(folder)}, log=Path(), since=0, started=0, cwd=tmp_path)
    assert read("exec:test -d {data}").holds(running)


def test_a_program_that_is_not_there_is_named(tmp_path):
    spec = Command().spec(Requirements.of(project=tmp_path, command="no-such-program {port}", reset="nothing"))
    assert Binary().probe(spec).startswith("no no-such-program on PATH")


def test_every_way_is_read_back():
    assert str(read("tcp")) == "tcp"
    assert read(" http:/health ") == Readiness(way="http", what="/health")
    assert str(read("log:on port \\d+")) == "log:on port \\d+"
