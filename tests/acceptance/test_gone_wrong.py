"""What goes wrong with an app or a service is one clear error within seconds, and nothing is left running.

Each case is a real run. Every process that it starts inherits a mark; when the run is over, none bears it any more.
"""

from __future__ import annotations

import secrets
import socket
import sys
from pathlib import Path

import pytest

from seatrial.core import folders, wait

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="it looks into /proc")

PATIENCE = 60.0
"""Seconds for a run that has nothing to wait for, on a machine that does much else."""

MODULES = {
    "pyproject.toml": """
        [tool.pytest.ini_options]
        pythonpath = ["."]
        filterwarnings = ["error"]
        """,
    "service.py": """
        import asyncio, os, threading
        from contextlib import asynccontextmanager
        from fastapi import FastAPI

        app = FastAPI()
        app.state.entered = threading.Event()

        @app.get("/slow")
        async def slow():
            app.state.entered.set()
            await asyncio.sleep(600)

        @app.get("/")
        async def look():
            return "ahoy"

        @asynccontextmanager
        async def no_broker(app):
            raise ConnectionError("no broker at localhost:5672")
            yield

        @asynccontextmanager
        async def no_end(app):
            yield
            raise ConnectionError("the broker had gone before")

        no_start = FastAPI(lifespan=no_broker)
        ends_badly = FastAPI(lifespan=no_end)
        """,
    "raises.py": """
        import os
        app = os.environ["NO_SUCH_SETTING"]
        """,
    "server.py": """
        import os, subprocess, sys
        from http.server import BaseHTTPRequestHandler, HTTPServer

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self):
                status = 200 if self.path == "/" else 503
                self.send_response(status)
                self.end_headers()

        # One more, as servers with workers have it.
        subprocess.Popen([sys.executable, "-S", "-c", "import time; time.sleep(600)"])
        port = int(sys.argv[1] if len(sys.argv) > 1 else os.environ["PORT"])
        print("about to listen", flush=True)
        HTTPServer(("127.0.0.1", port), Handler).serve_forever()
        """,
    "dies.py": """
        import os, subprocess, sys
        subprocess.Popen([sys.executable, "-S", "-c", "import time; time.sleep(600)"])
        print("there is no NO_SUCH_SETTING", flush=True)
        os._exit(3)
        """,
}

APP = "[tool.seatrial]\napp = '{}'\n"
SERVICE = "[tool.seatrial.services.shop]\ncmd = 'python {}'\npatience = 2\n"


class Marked:
    """A made-up project whose processes can be told from all others."""

    def __init__(self, project):
        self.project = project.write(MODULES)
        self.mark = f"MADE_UP_MARK={secrets.token_hex(8)}"

    def pytest(self, configuration, tests, *options):
        """Two tests, or what `tests` says; the outcome. Nothing that bears the mark is left of it."""
        self.project.write(
            {"seatrial.toml": configuration.replace("[tool.seatrial.", "[").replace("[tool.seatrial]", "")}
        )
        self.project.write({"test_it.py": tests})
        name, _, value = self.mark.partition("=")
        outcome = self.project.pytest("-q", *options, audit=False, timeout=PATIENCE * 3, **{name: value})
        assert wait.until(lambda: not self.left(), timeout=PATIENCE), self.left()
        return outcome

    def left(self):
        """Processes of the run, and servers and supervisors of its cache."""
        rooms = [str(room).encode() for room in folders.running(Path(self.project.environ["SEATRIAL_CACHE"]))]
        found = []
        for process in Path("/proc").glob("[0-9]*"):
            try:
                told, environ = (process / "cmdline").read_bytes(), (process / "environ").read_bytes()
            except OSError:
                continue
            if self.mark.encode() in environ or any(room in told for room in rooms):
                found.append((process.name, told))
        return found


@pytest.fixture
def marked(project):
    return Marked(project)


def two(fixture):
    return f"def test_one({fixture}):\n    pass\n\n\ndef test_two({fixture}):\n    pass\n"


@pytest.mark.parametrize(
    ("app", "what"),
    [
        ("service:ap", 'fix: write "service:app"'),
        ("servise:app", 'fix: write "service'),
        ("raises:app", "KeyError: 'NO_SUCH_SETTING'"),
        ("service:no_start", 'raise ConnectionError("no broker at localhost:5672")'),
    ],
    ids=["wrong name", "wrong module", "raises at import", "raises in its lifespan"],
)
@pytest.mark.parametrize("fixture", ["client", "live_app", "shop"])
def test_an_app_that_can_not_be_had(marked, app, what, fixture):
    """Told in full to the first test that asks, in one line to the others."""
    table = APP.format(app) if fixture != "shop" else f"[tool.seatrial.services.shop]\napp = '{app}'\nrun = 'thread'\n"
    outcome = marked.pytest(table, two(fixture))
    assert outcome.counts() == {"error": 2}, outcome.text
    assert what in outcome.text, outcome.text
    assert outcome.text.count("fix: ") == 1, outcome.text
    assert "told in full at the first test that met it" in outcome.text, outcome.text
    assert "INTERNALERROR" not in outcome.text


@pytest.mark.parametrize("options", [[], ["-n", "2"]], ids=["alone", "two workers"])
def test_an_app_whose_lifespan_ends_badly(marked, options):
    """No test can be told, so the run is: it fails, and says why, once."""
    outcome = marked.pytest(APP.format("service:ends_badly"), two("client"), *options)
    assert outcome.status == 1, outcome.text
    assert outcome.counts() == {"passed": 2}, outcome.text
    assert outcome.text.count("The app did not stop: ConnectionError: the broker had gone before") == 1, outcome.text
    assert "Traceback" not in outcome.text, outcome.text


@pytest.mark.parametrize(
    ("program", "ready", "told"),
    [
        ("dies.py", "tcp", ["the service shop ended before it was ready, with exit status 3", "no NO_SUCH_SETTING"]),
        ("dies.py", "log:listening", ["the service shop ended before it was ready", "no NO_SUCH_SETTING"]),
        ("no_such.py", "tcp", ["the service shop ended before it was ready", "no_such.py"]),
        ("-S -c 'import time; time.sleep(600)'", "tcp", ["was not ready after 2 s", "it does not listen on port"]),
        ("server.py", "/health", ["was not ready after 2 s", "GET /health does not answer", "raise `patience`"]),
        ("server.py", "log:listening", ["was not ready after 2 s", "no line of its log matches", "| about to listen"]),
    ],
    ids=["dies", "dies before its word", "is not there", "never listens", "never gets healthy", "never says its word"],
)
def test_a_child_that_does_not_get_ready(marked, program, ready, told):
    """Told in full to the first test that asks; the others do not wait for it again."""
    table = SERVICE.replace("'python {}'", f'"""python {program}"""') + f"ready = '{ready}'\n"
    outcome = marked.pytest(table, "\n\n".join(f"def test_{n}(shop):\n    pass\n" for n in range(30)))
    assert outcome.counts() == {"error": 30}, outcome.text
    for words in told:
        assert words in outcome.text, outcome.text
    assert outcome.text.count("fix: ") == 1, outcome.text


def test_a_port_that_is_taken(marked):
    """By somebody else, where the command has a port of its own: that one is not taken for the service."""
    with socket.create_server(("127.0.0.1", 0)) as other:
        port = other.getsockname()[1]
        outcome = marked.pytest(SERVICE.format(f"server.py {port}"), two("shop"))
    assert outcome.counts() == {"error": 2}, outcome.text
    assert "Address already in use" in outcome.text, outcome.text
    assert "the service shop ended before it was ready" in outcome.text, outcome.text


def test_services_that_need_each_other(marked):
    table = SERVICE + "env = {{ OTHER = '{{services.other}}' }}\n"
    other = table.replace("shop", "other").replace("services.other}}", "services.shop}}")
    outcome = marked.pytest(table.format("server.py") + other.format("server.py"), two("shop"))
    assert outcome.status == 4, outcome.text
    assert "services that need each other" in outcome.text, outcome.text
    assert "fix: take one of these" in outcome.text, outcome.text


def test_a_child_that_dies_in_a_test_and_a_good_one_leave_nothing(marked):
    tests = """
        import os, signal, subprocess

        def test_one(shop):
            assert shop.get("/").status_code == 200

        def test_two(shop, request):
            services = request.config.pluginmanager.get_plugin("seatrial-session").harness.services
            os.kill(services._outer["shop"].pid, signal.SIGKILL)
            assert shop.get("/").status_code == 502
            while services._outer["shop"].alive:
                pass  # its keeper has yet to hear of it

        def test_three(shop):
            assert shop.get("/").status_code == 200
        """
    outcome = marked.pytest(SERVICE.format("server.py"), tests)
    assert outcome.counts() == {"passed": 3, "error": 1}, outcome.text
    assert "the service shop ended, by signal 9" in outcome.text, outcome.text
    assert "fix: " in outcome.text


@pytest.mark.parametrize(("fixture", "ask"), [("client", "get"), ("live_app", "client.get"), ("shop", "get")])
def test_a_test_that_leaves_a_request_running(marked, fixture, ask):
    """It is named with its test, cancelled, and the next test is not bothered."""
    table = APP.format("service:app") + "[tool.seatrial.services.shop]\napp = 'service:app'\nrun = 'thread'\n"
    tests = f"""
        import threading
        from service import app

        def asks({fixture}):
            try:
                {fixture}.{ask}("/slow")
            except Exception:
                pass

        def test_leaves_it({fixture}):
            threading.Thread(target=asks, args=[{fixture}], daemon=True).start()
            assert app.state.entered.wait(30)

        def test_next({fixture}):
            assert {fixture}.{ask}("/").status_code == 200
        """
    outcome = marked.pytest(table, tests)
    assert outcome.counts() == {"passed": 2, "error": 1}, outcome.text
    assert "The test ended while the app still answered: GET /slow" in outcome.text, outcome.text
    assert "fix: wait for each request" in outcome.text, outcome.text
