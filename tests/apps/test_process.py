"""An app as a child process: ready when it answers and is ours, told about when it is not, ended with all of it."""

from __future__ import annotations

import os
import shutil
import signal
import socket
import subprocess
import sys
import textwrap
import urllib.request
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from seatrial.apps.process import Command, Process
from seatrial.core import processes, wait
from seatrial.errors import AppError, ConfigError

SERVER = """
    import http.server, os, sys, time

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self):
            self.send_response(200)
            self.end_headers()
            self.wfile.write(os.environ.get("GREETING", "hello").encode())
            if self.path == "/die":
                self.wfile.flush()
                os._exit(7)

    server = http.server.ThreadingHTTPServer(("127.0.0.1", int(os.environ["PORT"])), Handler)
    print("listening", flush=True)
    server.serve_forever()
"""

SICK = """
    import os, socket
    with socket.create_server(("127.0.0.1", int(os.environ["PORT"]))) as server:
        print("listening", flush=True)
        while True:
            with server.accept()[0] as peer:
                peer.recv(4096)
                peer.sendall(b"HTTP/1.1 503 Sick\\r\\nContent-Length: 0\\r\\n\\r\\n")
"""

NODE = """
    const http = require('node:http');
    http.createServer((_, answer) => answer.end('hello from node')).listen(process.env.PORT, '127.0.0.1');
"""


@pytest.fixture
def start(tmp_path: Path) -> Iterator[Callable[..., Process]]:
    """`start(source, ...)`: a process that runs this Python program."""
    running: list[Process] = []

    def start(source: str = SERVER, *, argv=None, **options) -> Process:
        (tmp_path / "server.py").write_text(textwrap.dedent(source))
        command = Command(argv=argv or [sys.executable, "server.py"], folder=tmp_path, **options)
        running.append(Process("shop", command))
        return running[-1]

    yield start
    for each in running:
        each.close()


def get(url: str) -> str:
    with urllib.request.urlopen(url, timeout=10) as answer:
        return answer.read().decode()


@pytest.mark.parametrize("ready", ["/", "tcp", "log: ^listening$"])
def test_it_answers_when_serve_returns_and_not_after_close(start, ready):
    app = start(ready=ready, env={"GREETING": "from {host}:{port}, {url}/ {braces}"})
    assert app.serve() == app.base_url
    assert get(app.base_url) == f"from 127.0.0.1:{app.port}, {app.base_url}/ {{braces}}"
    assert app.serve() == app.base_url
    app.close()
    app.close()
    assert not app.alive
    assert processes.listener(app.port) == ""


def test_a_program_in_another_language_is_run_by_its_command_line(start, tmp_path):
    if not shutil.which("node"):
        pytest.skip("there is no node on this machine")
    (tmp_path / "server.js").write_text(NODE)
    app = start(argv="node server.js")
    assert get(app.serve()) == "hello from node"


def test_the_log_is_cut_to_what_was_printed_since_a_mark(start):
    app = start(ready="/")
    app.serve()
    mark = app.log_size()
    get(f"{app.base_url}/second")
    assert wait.until(lambda: "/second" in app.log_tail(mark), timeout=5)
    assert "listening" in app.log_tail()
    assert "listening" not in app.log_tail(mark)


def test_one_that_dies_while_it_starts_is_told_at_once_with_its_last_words(start):
    app = start("print('no settings'); raise SystemExit(3)")
    with pytest.raises(AppError, match="ended before it was ready, with exit status 3") as caught:
        app.serve()
    assert "| no settings" in str(caught.value)
    assert "server.py" in caught.value.cause
    assert caught.value.fix


def test_what_it_prints_is_told_without_the_secrets_that_it_was_given(start):
    app = start(
        "import sys; sys.exit(f'I have {sys.argv[1]} of you')",
        argv=[sys.executable, "server.py", "hunter22"],
        secrets=("hunter22",),
    )
    with pytest.raises(AppError) as caught:
        app.serve()
    assert "I have *** of you" in str(caught.value)
    assert "hunter22" not in str(caught.value)


def test_one_that_can_not_be_run_names_its_command_line(start):
    with pytest.raises(AppError, match="can't be run: no-such-program: No such file") as caught:
        start(argv="no-such-program --port {port}").serve()
    assert "no-such-program --port" in caught.value.cause


@pytest.mark.parametrize(
    ("source", "ready", "cause"),
    [
        ("import time; time.sleep(60)", "tcp", "it does not listen on port"),
        (SICK, "/sick", "GET /sick does not answer with a status under 400"),
        (SICK, "log:never", "no line of its log matches 'never'"),
        (SICK.replace('"127.0.0.1"', '"127.0.0.2"'), "tcp", "it takes no connection on 127.0.0.1"),
    ],
)
def test_one_that_never_gets_healthy_is_told_why_and_ended(start, source, ready, cause):
    app = start(source, argv=[sys.executable, "-I", "-S", "server.py"], ready=ready, seconds=1.5)
    with pytest.raises(AppError, match=r"was not ready after 1\.5 s") as caught:
        app.serve()
    assert cause in caught.value.cause
    assert not app.alive
    assert app.pid == 0


def test_a_port_that_somebody_else_has_is_told_with_who_has_it(start):
    with socket.create_server(("127.0.0.1", 0)) as other:
        app = start(port=other.getsockname()[1])
        with pytest.raises(AppError, match=rf"can't have port .*pid {os.getpid()}\) listens on it"):
            app.serve()


def test_an_answer_of_somebody_else_s_is_not_taken_for_the_apps(start):
    """It took the port after we had looked: the child can't listen, and does not mind."""
    app = start("import time; time.sleep(60)")
    with socket.socket() as other:
        other.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        other.bind(("127.0.0.1", app.port))
        begun = Process._start

        def late(self):
            begun(self)
            other.listen()

        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(Process, "_start", late)
            with pytest.raises(AppError, match=rf"can't have port .*pid {os.getpid()}\)"):
                app.serve()


def test_a_server_that_has_lost_its_environment_is_known_for_the_apps(start):
    """gunicorn and granian write a title over theirs if setproctitle is installed; so does Ruby's puma."""
    app = start(argv=["env", "-i", "PORT={port}", sys.executable, "server.py"], ready="/")
    assert get(app.serve()) == "hello"


def test_one_that_dies_later_is_told_and_started_anew_when_it_is_needed_again(start):
    app = start(ready="/")
    app.serve()
    app.check()
    first = app.pid
    get(f"{app.base_url}/die")
    assert wait.until(lambda: not app.alive, timeout=5)
    with pytest.raises(AppError, match="shop ended, with exit status 7"):
        app.check()
    assert get(app.serve()) == "hello"
    assert app.pid != first
    app.check()


FAMILY = """
    import os, subprocess, sys, time
    stubborn = "import signal, time; signal.signal(signal.SIGTERM, signal.SIG_IGN); print('up', flush=True); time.sleep(60)"
    same_group = subprocess.Popen([sys.executable, "-c", stubborn])
    away = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(60)"], start_new_session=True)
    print("pids", same_group.pid, away.pid, flush=True)
    time.sleep(60)
"""


def family(app: Process) -> list[int]:
    line = next(line for line in app.log_tail().splitlines() if line.startswith("pids"))
    return [app.pid, *map(int, line.split()[1:])]


def test_the_whole_group_is_ended_and_what_left_it(start, monkeypatch):
    monkeypatch.setattr("seatrial.core.children.PATIENCE", 0.5)
    app = start(FAMILY, ready="log:^up")
    app.serve()
    assert wait.until(lambda: "pids" in app.log_tail(), timeout=5)
    pids = family(app)
    assert all(processes.started(pid) for pid in pids)
    app.close()
    assert [pid for pid in pids if processes.started(pid)] == []


def test_what_a_dead_child_has_left_is_ended_too(start):
    app = start(FAMILY, ready="log:^pids")
    app.serve()
    pids = family(app)
    os.kill(app.pid, signal.SIGKILL)
    assert wait.until(lambda: not any(processes.started(pid) for pid in pids), timeout=10)
    assert not app.alive


OWNER = """
import sys, time
from pathlib import Path
from seatrial.apps.process import Command, Process
app = Process("shop", Command(argv=[sys.executable, "server.py"], folder=Path(), ready="log:^pids"))
app.serve()
print(app.log_tail().split("pids")[1].splitlines()[0], app.pid, flush=True)
time.sleep(60)
"""


def test_nothing_is_left_when_the_owner_is_killed(tmp_path):
    (tmp_path / "server.py").write_text(textwrap.dedent(FAMILY))
    (temporary := tmp_path / "temporary").mkdir()
    environ, argv = {**os.environ, "TMPDIR": str(temporary)}, [sys.executable, "-c", OWNER]
    with subprocess.Popen(argv, cwd=tmp_path, env=environ, stdout=subprocess.PIPE, text=True) as owner:
        assert owner.stdout is not None
        pids = [int(word) for word in owner.stdout.readline().split()]
        assert len(pids) == 3
        assert list(temporary.iterdir())
        assert all(processes.started(pid) for pid in pids)
        owner.kill()
    assert wait.until(lambda: not any(processes.started(pid) for pid in pids), timeout=15)
    assert wait.until(lambda: not list(temporary.iterdir()), timeout=15)


@pytest.mark.parametrize("ready", ["health", "log", "log:(", "udp"])
def test_a_ready_that_says_nothing_is_refused(tmp_path, ready):
    with pytest.raises(ConfigError) as caught:
        Process("shop", Command(argv="true", folder=tmp_path, ready=ready))
    assert caught.value.fix
