"""The lifespan of an app: started once before the first client, ended once, its failures told in full."""

from __future__ import annotations

import asyncio
import signal
import threading
from contextlib import asynccontextmanager

import pytest
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, PlainTextResponse
from starlette.routing import Route

from seatrial.apps import loop
from seatrial.apps.inprocess import InProcess
from seatrial.errors import AppError


async def hello(request: Request) -> PlainTextResponse:
    return PlainTextResponse("hello")


def starlette(lifespan) -> Starlette:
    return Starlette(routes=[Route("/", hello)], lifespan=lifespan)


def test_the_start_runs_once_for_all_clients_and_the_end_once_at_close():
    told = []

    @asynccontextmanager
    async def lifespan(app):
        told.append("start")
        yield
        told.append("end")

    app = InProcess(starlette(lifespan), "asgi")
    assert told == []
    for _ in range(3):
        assert app.client().get("/").text == "hello"
        app.restore()
    assert told == ["start"]
    app.close()
    app.close()
    assert told == ["start", "end"]


def test_a_start_that_a_time_out_of_the_test_s_has_broken_off_does_not_go_on_beside_the_next(serve):
    told = []

    @asynccontextmanager
    async def lifespan(app):
        told.append("start")
        try:
            if len(told) == 1:
                signal.setitimer(signal.ITIMER_REAL, 0.01, 0.1)  # again, where it came just before the test waited
                await asyncio.sleep(3600)
        except asyncio.CancelledError:
            await asyncio.sleep(0.2)  # it takes back what it has begun
            told.append("broken off")
            raise
        yield

    def time_out(*_):
        signal.setitimer(signal.ITIMER_REAL, 0)
        raise TimeoutError

    app = serve(starlette(lifespan))
    before = signal.signal(signal.SIGALRM, time_out)
    try:
        with pytest.raises(TimeoutError):
            app.client()
    finally:
        signal.signal(signal.SIGALRM, signal.SIG_IGN)
    assert app.client().get("/").text == "hello"
    signal.signal(signal.SIGALRM, before)
    assert told == ["start", "broken off", "start"]


def test_a_start_that_blocks_the_loop_for_ever_is_not_waited_for_at_the_end(monkeypatch):
    monkeypatch.setattr(loop, "PATIENCE", 0.2)
    free = threading.Event()

    @asynccontextmanager
    async def lifespan(app):
        signal.setitimer(signal.ITIMER_REAL, 0.1, 0.1)  # again, where it came just before the test waited
        free.wait(20)
        yield

    def time_out(*_):
        signal.setitimer(signal.ITIMER_REAL, 0)
        raise TimeoutError

    app = InProcess(starlette(lifespan), "asgi")
    before = signal.signal(signal.SIGALRM, time_out)
    try:
        with pytest.raises(TimeoutError):
            app.client()
        with pytest.raises(AppError, match="did not end within"):
            app.close()
    finally:
        free.set()
        signal.signal(signal.SIGALRM, before)


def test_what_the_lifespan_yields_is_the_state_of_each_request_a_copy_for_each(serve):
    @asynccontextmanager
    async def lifespan(app):
        yield {"pool": "a pool", "seen": []}

    async def look(request: Request) -> JSONResponse:
        request.state.mine = "only here"
        request.state.seen.append(request.url.path)
        return JSONResponse({"pool": request.state.pool, "keys": sorted(request.scope["state"])})

    client = serve(Starlette(routes=[Route("/", look)], lifespan=lifespan)).client()
    expected = {"pool": "a pool", "keys": ["mine", "pool", "seen"]}
    assert [client.get("/").json(), client.get("/").json()] == [expected, expected]
    assert set(client.app_state) == {"pool", "seen"}
    assert client.app_state["seen"] == ["/", "/"]


def test_a_start_that_raises_is_an_error_with_the_apps_own_exception_as_its_cause(serve):
    calls = []

    @asynccontextmanager
    async def lifespan(app):
        calls.append("start")
        raise ConnectionError("no broker at localhost:5672")
        yield

    app = serve(starlette(lifespan))
    for _ in range(2):
        with pytest.raises(AppError, match="did not start: ConnectionError: no broker") as caught:
            app.client()
        assert isinstance(caught.value.__cause__, ConnectionError)
        assert 'raise ConnectionError("no broker at localhost:5672")' in caught.value.cause
        assert "site-packages" not in caught.value.cause
        assert caught.value.fix
    assert calls == ["start"], "a start that failed is told again, not tried again"


def test_an_end_that_raises_is_an_error_with_the_apps_own_exception_as_its_cause():
    @asynccontextmanager
    async def lifespan(app):
        yield
        raise RuntimeError("the pool would not close")

    app = InProcess(starlette(lifespan), "asgi")
    app.client()
    with pytest.raises(AppError, match="did not stop: RuntimeError: the pool would not close") as caught:
        app.close()
    assert isinstance(caught.value.__cause__, RuntimeError)


def test_an_app_that_exits_at_its_start_does_not_take_the_test_run_with_it(serve):
    async def app(scope, receive, send):
        await receive()
        raise SystemExit("settings are missing")

    with pytest.raises(AppError, match="settings are missing"):
        serve(app).client()


async def respond(send) -> None:
    await send({"type": "http.response.start", "status": 200, "headers": []})
    await send({"type": "http.response.body", "body": b"fine"})


async def returns_at_once(scope, receive, send):
    if scope["type"] == "http":
        await respond(send)


async def raises_at_once(scope, receive, send):
    assert scope["type"] == "http"
    await respond(send)


async def takes_all_for_requests(scope, receive, send):
    await receive()
    await respond(send)


@pytest.mark.parametrize("app", [returns_at_once, raises_at_once, takes_all_for_requests])
def test_an_app_without_a_lifespan_is_fine(serve, app):
    assert serve(app).client().get("/").text == "fine"


def test_an_app_that_only_says_that_its_start_failed_is_believed(serve):
    async def app(scope, receive, send):
        await receive()
        await send({"type": "lifespan.startup.failed", "message": "no licence"})

    with pytest.raises(AppError, match="did not start: no licence"):
        serve(app).client()


def test_an_app_that_dies_after_its_start_is_told_at_the_end():
    async def app(scope, receive, send):
        await receive()
        await send({"type": "lifespan.startup.complete"})
        raise ValueError("the ticker stopped")

    running = InProcess(app, "asgi")
    running.client()
    with pytest.raises(AppError, match="the ticker stopped"):
        running.close()
