"""`live_app`: the same app on a real socket, isolated as it is in process."""

from __future__ import annotations

import asyncio
import importlib
import shutil
import socket
import subprocess
import sys
import threading
from contextlib import asynccontextmanager
from typing import Annotated

import flask
import pytest
from fastapi import Depends, FastAPI, Request, WebSocket
from fastapi.responses import HTMLResponse, StreamingResponse
from starlette.applications import Starlette
from starlette.background import BackgroundTask
from starlette.responses import PlainTextResponse
from starlette.routing import Route
from websockets.exceptions import InvalidStatus
from websockets.sync.client import connect

from seatrial.errors import AppError


def unit() -> str:
    return "metres"


@pytest.fixture
def app() -> FastAPI:  # noqa: C901 - one app with an endpoint for each test
    @asynccontextmanager
    async def lifespan(app):
        yield {"loop": id(asyncio.get_running_loop())}

    app = FastAPI(lifespan=lifespan)

    @app.get("/")
    async def look(request: Request, unit: Annotated[str, Depends(unit)]):
        return {"same loop": request.state.loop == id(asyncio.get_running_loop()), "unit": unit}

    @app.get("/slow")
    async def slow(request: Request):
        app.state.entered.set()
        await asyncio.sleep(60)

    @app.get("/events")
    async def events():
        async def endless():
            number = 0
            while True:
                yield f"data: {number}\n\n"
                number += 1
                await asyncio.sleep(0.001)

        return StreamingResponse(endless(), media_type="text/event-stream")

    @app.get("/broken")
    async def broken():
        raise LookupError("no such user")

    @app.websocket("/echo")
    async def echo(websocket: WebSocket):
        await websocket.accept()
        async for text in websocket.iter_text():
            await websocket.send_text(text)

    @app.get("/page")
    async def page():
        return HTMLResponse(
            "<p id=told></p><script>fetch('/').then(r => r.json()).then(j => told.textContent = j.unit)</script>"
        )

    app.state.entered = threading.Event()
    return app


def test_a_request_over_the_socket_meets_the_same_app_on_the_same_loop(serve, app, monkeypatch):
    monkeypatch.setenv("HTTP_PROXY", "http://127.0.0.1:1")  # a proxy that can't reach us
    running = serve(app)
    live = running.live()
    assert live.base_url.startswith("http://127.0.0.1:")
    assert str(live) == live.base_url
    assert live.client.get("/").json() == {"same loop": True, "unit": "metres"}
    assert running.client().get("/").json() == {"same loop": True, "unit": "metres"}
    assert running._live._socket.proto == socket.IPPROTO_TCP


def test_overrides_of_a_test_apply_and_end_with_it_at_the_same_address(serve, app):
    running = serve(app)
    running.override({unit: lambda: "miles"})
    first = running.live()
    assert first.client.get("/").json()["unit"] == "miles"
    running.restore()
    assert first.client.is_closed
    second = running.live()
    assert second.client.get("/").json()["unit"] == "metres"
    assert second.base_url == first.base_url


def test_between_two_tests_it_answers_503(serve, app):
    running = serve(app)
    url = running.live().base_url
    running.restore()
    http = importlib.import_module("httpx2")
    response = http.get(url)
    assert response.status_code == 503
    assert "no test is running" in response.text
    with pytest.raises(InvalidStatus, match="403"):
        connect(url.replace("http", "ws") + "/echo")


def test_async_tests_reach_it_and_streams_and_websockets_work(serve, app):
    live = serve(app).live()

    async def test():
        async with live.async_client as client, client.stream("GET", "/events") as response:
            lines = response.aiter_lines()
            assert [await anext(lines) for _ in range(3)] == ["data: 0", "", "data: 1"]

    asyncio.run(test())
    with connect(live.base_url.replace("http", "ws") + "/echo") as websocket:
        websocket.send("hello")
        assert websocket.recv(timeout=5) == "hello"


def test_what_the_app_raises_is_a_500_and_in_the_log_of_the_test(serve, app, caplog):
    assert serve(app).live().client.get("/broken").status_code == 500
    assert "LookupError: no such user" in caplog.text, "when its client has the response"


def test_a_request_that_still_runs_when_its_test_ends_is_cancelled_and_named(serve, app):
    running = serve(app)
    url = running.live().base_url
    answers = []

    def ask():
        answers.append(importlib.import_module("httpx2").get(f"{url}/slow", timeout=30))

    thread = threading.Thread(target=ask)
    thread.start()
    assert app.state.entered.wait(5)
    with pytest.raises(AppError, match="still answered: GET /slow of live_app") as caught:
        running.restore()
    assert caught.value.fix
    thread.join(5)
    assert (answers[0].status_code, answers[0].text) == (503, "seatrial: the test that asked has ended\n")


def test_other_processes_reach_it_and_nothing_listens_after_the_end(serve, app):
    running = serve(app)
    url = running.live().base_url
    program = "import sys, urllib.request as r; print(r.urlopen(sys.argv[1]).read().decode())"
    done = subprocess.run([sys.executable, "-c", program, url], capture_output=True, text=True, timeout=30, check=False)
    assert '"unit":"metres"' in done.stdout, done.stderr
    running.close()
    host, port = url.removeprefix("http://").split(":")
    with pytest.raises(ConnectionRefusedError):
        socket.create_connection((host, int(port)))


def test_a_browser_reaches_it(serve, app, tmp_path):
    browser = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
    if browser is None:
        pytest.skip("there is no chromium on this machine")
    running = serve(app)
    running.override({unit: lambda: "miles"})
    options = [
        "--headless",
        "--no-sandbox",
        "--disable-gpu",
        f"--user-data-dir={tmp_path}",
        "--virtual-time-budget=5000",
    ]
    url = f"{running.live().base_url}/page"
    done = subprocess.run(
        [browser, *options, "--dump-dom", url], capture_output=True, text=True, timeout=60, check=False
    )
    assert '<p id="told">miles</p>' in done.stdout, done.stderr


def test_without_uvicorn_the_error_names_what_to_install(serve, app, monkeypatch):
    monkeypatch.setitem(sys.modules, "uvicorn", None)
    with pytest.raises(AppError, match="uvicorn is not installed") as caught:
        serve(app).live()
    assert caught.value.fix == "pip install 'seatrial[live]'"


@pytest.fixture
def wsgi():
    app = flask.Flask("shop")
    entered, go_on = threading.Event(), threading.Event()
    app.config.update(entered=entered, go_on=go_on)

    @app.post("/echo/<name>")
    def echo(name):
        return {"name": name, "body": flask.request.get_data(as_text=True), "query": flask.request.args["q"]}

    @app.get("/events")
    def events():
        def endless():
            number = 0
            try:
                while True:
                    yield f"data: {number}\n\n"
                    number += 1
            finally:
                go_on.set()

        return flask.Response(flask.stream_with_context(endless()), mimetype="text/event-stream")

    @app.get("/slow")
    def slow():
        entered.set()
        go_on.wait(10)
        return "late"

    @app.get("/broken")
    def broken():
        raise LookupError("no such user")

    return app


def test_a_wsgi_app_is_served_too(serve, wsgi, caplog):
    live = serve(wsgi, "wsgi").live()
    told = live.client.post("/echo/ü", params={"q": "1"}, content=iter([b"a", b"b"])).json()
    assert told == {"name": "ü", "body": "ab", "query": "1"}
    with live.client.stream("GET", "/events") as response:
        lines = response.iter_lines()
        assert [next(lines) for _ in range(3)] == ["data: 0", "", "data: 1"]
    assert wsgi.config["go_on"].wait(5)
    assert live.client.get("/broken").status_code == 500
    assert "LookupError: no such user" in caplog.text, "when its client has the response"


@pytest.mark.parametrize("interface", ["asgi", "wsgi"])
def test_a_kept_connection_takes_the_next_request_after_a_500(serve, app, wsgi, interface):
    client = serve(wsgi if interface == "wsgi" else app, interface).live().client
    for _ in range(20):
        assert [client.get("/broken").status_code, client.get("/nowhere").status_code] == [500, 404]


def test_a_kept_connection_takes_the_next_request_after_a_background_task_that_raised(serve, caplog):
    async def work():
        raise LookupError("no such mailbox")

    async def send_mail(request):
        return PlainTextResponse("sent", background=BackgroundTask(work))

    client = serve(Starlette(routes=[Route("/", send_mail)])).live().client
    for _ in range(20):
        assert client.get("/").text == "sent"
    assert "LookupError: no such mailbox" in caplog.text


def test_a_wsgi_request_that_still_runs_is_named(serve, wsgi):
    running = serve(wsgi, "wsgi")
    url = running.live().base_url
    thread = threading.Thread(target=importlib.import_module("httpx2").get, args=[f"{url}/slow"])
    thread.start()
    assert wsgi.config["entered"].wait(5)
    with pytest.raises(AppError, match="GET /slow"):
        running.restore()
    wsgi.config["go_on"].set()
    thread.join(5)
