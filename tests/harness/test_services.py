"""Several services of one worker: two apps of this process, and a process of its own."""

from __future__ import annotations

import json
import socket
import sys
import textwrap
import urllib.request

import httpx
import httpx2
import pytest
from fastapi import FastAPI
from fastapi.responses import StreamingResponse

from seatrial.apps.clients.transport import library
from seatrial.apps.inprocess import InProcess
from seatrial.apps.process import Command, Process
from seatrial.harness.asked.watch import Watch
from seatrial.harness.services import ServicePlan, Services
from seatrial.patches.shortcuts import Shortcuts

PRICES = """
    import os, urllib.request
    from http.server import BaseHTTPRequestHandler, HTTPServer

    class Prices(BaseHTTPRequestHandler):
        def do_GET(self):
            with urllib.request.urlopen(os.environ["STOCK_URL"] + "/levels/lamp") as answer:
                body = b'{"price": 5, "stock": %b}' % answer.read()
            print("asked for", self.path, flush=True)
            self.send_response(200)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_):
            pass

    HTTPServer(("127.0.0.1", int(os.environ["PORT"])), Prices).serve_forever()
"""


BREAKS = """
    import os
    from http.server import BaseHTTPRequestHandler, HTTPServer

    class Breaks(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_GET(self):
            self.send_response(200)
            self.send_header("Content-Length", "100")
            self.end_headers()
            self.wfile.write(b"first")
            self.close_connection = True

    HTTPServer(("127.0.0.1", int(os.environ["PORT"])), Breaks).serve_forever()
"""


def as_they_are(name, app, resources):
    """No dependency is replaced."""


class Seen:
    """A test as the harness sees it."""

    def __init__(self) -> None:
        self.sections = {}

    def log(self, title, text):
        self.sections[title] = text


@pytest.fixture
def watch():
    watch = Watch({})
    watch.begin("test_it")
    return watch


@pytest.fixture
def made(watch, tmp_path):
    """orders (async, asks by httpx and by urllib) -> stock (in this process) <- prices (a process)."""
    (tmp_path / "prices.py").write_text(textwrap.dedent(PRICES))
    urls = {}

    def stock():
        app = FastAPI()

        @app.get("/levels/{product}")
        def level(product: str) -> int:
            return 3

        return InProcess(app, "asgi", witness=watch.witness("stock"))

    def orders():
        app = FastAPI()

        @app.get("/async")
        async def by_httpx() -> int:
            async with httpx.AsyncClient(base_url=urls["STOCK_URL"]) as client:
                return (await client.get("/levels/lamp")).json()

        @app.get("/sync")
        def by_urllib() -> int:
            with urllib.request.urlopen(f"{urls['STOCK_URL']}/levels/lamp") as answer:
                return json.load(answer)

        return InProcess(app, "asgi", witness=watch.witness("orders"))

    def prices(variables):
        argv = [sys.executable, "prices.py"]
        return Process("the service prices", Command(argv=argv, folder=tmp_path, env=variables))

    def points_at_stock(others):
        return {"STOCK_URL": others["stock"]}

    plans = [
        ServicePlan(
            name="orders", needs=("stock",), resources=("db",), variables=points_at_stock, load=orders, direct=True
        ),
        ServicePlan(name="stock", needs=(), resources=("levels",), variables=lambda _: {}, load=stock, direct=True),
        ServicePlan(name="prices", needs=("stock",), resources=(), variables=points_at_stock, process=prices),
    ]
    services = Services(plans, watch, library)
    shortcuts = Shortcuts(services.bridges)
    shortcuts.apply()
    urls.update(services.variables())
    yield services
    shortcuts.undo()
    services.close()


def asked(watch):
    return [str(each) for each in watch.exchanges]


@pytest.fixture
def connections(monkeypatch):
    """Where sockets of this process have connected to."""
    found = []
    connect = socket.socket.connect

    def connecting(self, address):
        found.append(address)
        return connect(self, address)

    monkeypatch.setattr(socket.socket, "connect", connecting)
    return found


def test_a_service_of_this_process_is_reached_without_a_socket_and_by_one_where_httpx_is_not_used(
    made, watch, connections
):
    made.begin(["orders"], as_they_are)
    client = made.client("orders")
    assert client.get("/async").json() == 3
    assert connections == []
    assert client.get("/sync").json() == 3
    assert connections == [("127.0.0.1", made._edges["orders", "stock"].port)]
    assert asked(watch) == [
        "test -> orders: GET /async 200",
        "orders -> stock: GET /levels/lamp 200",
        "test -> orders: GET /sync 200",
        "orders -> stock: GET /levels/lamp 200",
    ]
    made.restore()


def test_a_process_calls_and_is_called_and_its_lines_are_shown_with_the_test(made, watch):
    made.begin(["prices"], as_they_are)
    assert made.client("prices").get("/lamp").json() == {"price": 5, "stock": 3}
    test = Seen()
    made.explain_failure(test)
    assert test.sections == {"log of the service prices": "asked for /lamp"}
    assert asked(watch) == [
        "test -> prices: GET /lamp 200",
        "prices -> stock: GET /levels/lamp 200",
    ]
    assert made.end() == []


def test_what_a_service_needs_brings_its_resources_along(made):
    assert made.resources("orders") in (("db", "levels"), ("levels", "db"))
    assert set(made.apps) == set(), "nothing is imported before a test needs it"


def test_a_process_that_ends_in_a_test_is_told_with_it(made):
    import os
    import signal

    made.begin(["prices"], as_they_are)
    process = made._outer["prices"]
    os.kill(process.pid, signal.SIGKILL)
    while process.alive:
        pass
    assert made.client("prices").get("/lamp").status_code == 502
    (told,) = made.end()
    assert "the service prices ended, by signal 9" in str(told)
    made.begin(["prices"], as_they_are)
    assert made.client("prices").get("/lamp").status_code == 200, "the next test finds it again"


@pytest.fixture
def by_socket(watch, tmp_path):
    """Two services that break their responses off: one in this process, always through a socket, and a process."""
    (tmp_path / "breaks.py").write_text(textwrap.dedent(BREAKS))

    def inner():
        app = FastAPI()

        @app.get("/")
        def broken() -> StreamingResponse:
            def some():
                yield b"first"
                raise LookupError("no more rows")

            return StreamingResponse(some())

        @app.get("/levels")
        def levels() -> int:
            return 3

        return InProcess(app, "asgi", witness=watch.witness("inner"))

    def outer(variables):
        return Process("the service outer", Command(argv=[sys.executable, "breaks.py"], folder=tmp_path, env=variables))

    plans = [
        ServicePlan(name="inner", needs=(), resources=(), variables=lambda _: {}, load=inner),
        ServicePlan(name="outer", needs=(), resources=(), variables=lambda _: {}, process=outer),
    ]
    services = Services(plans, watch, library)
    yield services
    services.close()


@pytest.mark.parametrize(
    ("name", "why"),
    [
        ("inner", "LookupError: no more rows"),
        ("outer", "ConnectionError: the connection was closed 95 bytes before the end of the response"),
    ],
)
def test_a_response_that_a_service_breaks_off_is_broken_off_for_the_test_and_the_exchange_says_why(
    by_socket, watch, name, why
):
    by_socket.begin([name], as_they_are)
    client = by_socket.client(name)
    with pytest.raises(httpx2.RemoteProtocolError):
        client.get("/")
    by_socket.restore()
    (exchange,) = watch.exchanges
    assert (exchange.status, exchange.error) == (200, why)


def test_a_proxy_that_the_environment_names_is_not_asked_for_a_service(by_socket, monkeypatch):
    for variable in ("HTTP_PROXY", "http_proxy", "ALL_PROXY", "all_proxy"):
        monkeypatch.setenv(variable, "http://127.0.0.1:9")
    for variable in ("NO_PROXY", "no_proxy"):
        monkeypatch.delenv(variable, raising=False)
    by_socket.begin(["inner"], as_they_are)
    assert by_socket.client("inner").get("/levels").json() == 3
    by_socket.restore()
