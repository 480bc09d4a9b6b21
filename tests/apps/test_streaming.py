"""Bodies are handed over as they are produced, in both directions, and either side may go away."""

from __future__ import annotations

import asyncio
import threading
import time

import flask
import httpx2
import pytest
from fastapi import FastAPI
from fastapi.responses import StreamingResponse
from starlette.background import BackgroundTask
from starlette.requests import Request

from seatrial.errors import AppError


@pytest.fixture
def seen() -> list[str]:
    return []


@pytest.fixture
def app(seen) -> FastAPI:
    app = FastAPI()

    @app.get("/events")
    async def events() -> StreamingResponse:
        async def endless():
            try:
                number = 0
                while True:
                    yield f"data: {number}\n\n"
                    number += 1
                    await asyncio.sleep(0.001)
            finally:
                seen.append("left")

        return StreamingResponse(endless(), media_type="text/event-stream")

    return app


def test_an_endless_stream_is_read_line_by_line_and_left(serve, app, seen):
    client = serve(app).client()
    with client.stream("GET", "/events") as response:
        assert response.headers["content-type"].startswith("text/event-stream")
        lines = response.iter_lines()
        assert [next(lines) for _ in range(5)] == ["data: 0", "", "data: 1", "", "data: 2"]
        assert seen == []
    assert seen == ["left"]
    assert client.get("/docs").status_code == 200


def test_an_async_test_reads_and_leaves_it_too(serve, app, seen):
    async def test():
        async with serve(app).async_client() as client:
            async with client.stream("GET", "/events") as response:
                lines = response.aiter_lines()
                assert [await anext(lines) for _ in range(3)] == ["data: 0", "", "data: 1"]
                assert seen == []
            assert seen == ["left"]

    asyncio.run(test())


def test_a_test_that_is_cancelled_while_it_reads_takes_the_request_with_it(serve, app, seen):
    running = serve(app)

    async def read():
        async with running.async_client() as client, client.stream("GET", "/events") as response:
            async for _ in response.aiter_lines():
                pass

    async def test():
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(read(), 0.2)

    asyncio.run(test())
    running.restore()
    assert seen == ["left"]


def test_an_app_that_does_not_mind_that_its_client_has_gone_is_cancelled(serve, monkeypatch, seen):
    monkeypatch.setattr("seatrial.apps.calls.waiting.GRACE", 0.05)

    async def app(scope, receive, send):
        if scope["type"] != "http":
            return
        await send({"type": "http.response.start", "status": 200})
        try:
            while True:
                await send({"type": "http.response.body", "body": b"x", "more_body": True})
                await asyncio.sleep(0.001)
        finally:
            seen.append("cancelled")

    with serve(app).client().stream("GET", "/") as response:
        assert next(response.iter_raw()) == b"x"
    assert seen == ["cancelled"]


def test_the_headers_come_before_the_first_piece(serve):
    go_on = threading.Event()

    async def app(scope, receive, send):
        if scope["type"] == "http":
            await send({"type": "http.response.start", "status": 202, "headers": [(b"x-job", b"7")]})
            while not go_on.is_set():  # noqa: ASYNC110 - it is set by another thread
                await asyncio.sleep(0.001)
            await send({"type": "http.response.body", "body": b"done"})

    with serve(app).client().stream("GET", "/") as response:
        assert (response.status_code, response.headers["x-job"]) == (202, "7")
        go_on.set()
        assert response.read() == b"done"


def test_an_app_waits_for_a_client_that_is_slow(serve):
    sent = []

    async def app(scope, receive, send):
        if scope["type"] == "http":
            await send({"type": "http.response.start", "status": 200})
            for number in range(100):
                await send({"type": "http.response.body", "body": b"x" * 10_000, "more_body": True})
                sent.append(number)
            await send({"type": "http.response.body"})

    with serve(app).client().stream("GET", "/") as response:
        time.sleep(0.05)
        assert len(sent) < 10
        assert len(response.read()) == 1_000_000
    assert len(sent) == 100


def test_background_tasks_have_ended_when_the_stream_has(serve, app, seen):
    @app.get("/short")
    async def short():
        return StreamingResponse(iter(["a", "b"]), background=BackgroundTask(seen.append, "mail sent"))

    with serve(app).client().stream("GET", "/short") as response:
        assert list(response.iter_text()) == ["a", "b"]
        assert seen == ["mail sent"]


def test_what_the_app_raises_in_the_middle_is_raised_where_the_test_reads(serve, app):
    @app.get("/broken")
    async def broken():
        async def some():
            yield "a"
            raise LookupError("no more rows")

        return StreamingResponse(some())

    running = serve(app)
    with running.client().stream("GET", "/broken") as response:
        pieces = response.iter_text()
        assert next(pieces) == "a"
        with pytest.raises(LookupError, match="no more rows"):
            next(pieces)
    with running.client(raise_server_exceptions=False).stream("GET", "/broken") as response:
        assert response.read() == b"a"


def test_what_the_app_raises_as_it_is_left_is_raised_at_the_end_of_the_block(serve, app):
    @app.get("/broken")
    async def broken():
        async def some():
            try:
                while True:
                    yield "a"
                    await asyncio.sleep(0.001)
            finally:
                raise LookupError("nothing to clean up")

        return StreamingResponse(some())

    stream = serve(app).client().stream("GET", "/broken")
    pieces = stream.__enter__().iter_raw()
    next(pieces)
    with pytest.raises(LookupError, match="clean up"):
        stream.__exit__(None, None, None)


def test_a_request_body_reaches_the_app_while_it_is_produced(serve, app, seen):
    @app.post("/upload")
    async def upload(request: Request):
        async for piece in request.stream():
            seen.append(piece.decode())
        return len(seen)

    def pieces():
        for number in range(3):
            yield f"{number}".encode()
            deadline = time.monotonic() + 5
            while len(seen) <= number and time.monotonic() < deadline:
                time.sleep(0.001)
            assert seen[number] == f"{number}"

    running = serve(app)
    assert running.client().post("/upload", content=pieces()).json() == 4
    seen.clear()

    async def async_pieces():
        for number in range(3):
            yield f"{number}".encode()
            while len(seen) <= number:  # noqa: ASYNC110 - another loop fills it
                await asyncio.sleep(0.001)

    async def test():
        assert (await running.async_client().post("/upload", content=async_pieces())).json() == 4

    asyncio.run(test())


def test_an_endless_request_body_is_not_asked_for_more_when_the_app_has_answered(serve, app):
    @app.post("/upload", status_code=413)
    async def too_large(request: Request):
        async for _ in request.stream():
            break

    def endless():
        while True:
            yield b"x"

    assert serve(app).client().post("/upload", content=endless()).status_code == 413


def test_a_body_that_can_not_be_produced_ends_the_request(serve, app, seen):
    @app.post("/upload")
    async def upload(request: Request):
        try:
            await request.body()
        finally:
            seen.append("left")

    def broken():
        yield b"x"
        raise LookupError("no such file")

    running = serve(app)
    with pytest.raises(LookupError, match="no such file"):
        running.client().post("/upload", content=broken())
    running.restore()
    assert seen == ["left"]


@pytest.mark.parametrize("path", ["/slow", "/silent"])
def test_a_time_out_that_the_test_sets_is_kept_and_cancels_the_request(serve, app, seen, path):
    async def forever():
        try:
            await asyncio.sleep(60)
        finally:
            seen.append("cancelled")

    @app.get("/slow")
    async def slow():
        await forever()

    @app.get("/silent")
    async def silent():
        async def nothing():
            await forever()
            yield b""

        return StreamingResponse(nothing())

    running = serve(app)
    with pytest.raises(httpx2.ReadTimeout, match=r"no answer within 0\.05 s"):
        running.client().get(path, timeout=0.05)
    assert seen == ["cancelled"]
    with pytest.raises(httpx2.ReadTimeout), running.client().stream("GET", path, timeout=0.05) as response:
        response.read()

    async def test():
        with pytest.raises(httpx2.ReadTimeout):
            await running.async_client().get(path, timeout=0.05)

    asyncio.run(test())
    running.restore()
    assert seen == ["cancelled"] * 3


def test_a_request_that_still_runs_when_its_test_ends_is_cancelled_and_named(serve, app, seen):
    entered = threading.Event()

    @app.get("/slow")
    async def slow():
        entered.set()
        try:
            await asyncio.sleep(60)
        finally:
            seen.append("cancelled")

    running = serve(app)
    client = running.client()

    def ask():
        with pytest.raises(AppError, match="cancelled before it ended"):
            client.get("/slow")

    thread = threading.Thread(target=ask)
    thread.start()
    assert entered.wait(5)
    with pytest.raises(AppError, match="ended while the app still answered: GET /slow") as caught:
        running.restore()
    assert caught.value.cause
    assert caught.value.fix
    thread.join(5)
    assert seen == ["cancelled"]
    running.restore()
    assert running.client().get("/docs").status_code == 200


def test_a_stream_that_is_left_open_is_closed_and_named(serve, app, seen):
    running = serve(app)
    client = running.client()
    client.send(client.build_request("GET", "/events"), stream=True)
    with pytest.raises(AppError, match="GET /events"):
        running.restore()
    assert seen == ["left"]


@pytest.fixture
def wsgi(seen):
    app = flask.Flask("shop")

    @app.get("/events")
    def events():
        def endless():
            number = 0
            try:
                while True:
                    yield f"data: {number}\n\n"
                    number += 1
            finally:
                seen.append(f"left {flask.request.path}")

        return flask.Response(flask.stream_with_context(endless()), mimetype="text/event-stream")

    @app.get("/broken")
    def broken():
        def some():
            yield "a"
            raise LookupError("no more rows")

        return flask.Response(some())

    return app


def test_a_wsgi_app_streams_too(serve, wsgi, seen):
    running = serve(wsgi, "wsgi")
    with running.client().stream("GET", "/events") as response:
        lines = response.iter_lines()
        assert [next(lines) for _ in range(3)] == ["data: 0", "", "data: 1"]
    assert seen == ["left /events"]

    async def test():
        async with running.async_client().stream("GET", "/events") as response:
            lines = response.aiter_lines()
            assert [await anext(lines) for _ in range(3)] == ["data: 0", "", "data: 1"]

    asyncio.run(test())
    assert seen == ["left /events"] * 2
    with running.client().stream("GET", "/broken") as response, pytest.raises(LookupError, match="no more rows"):
        response.read()


def test_a_stream_of_a_wsgi_app_that_is_left_open_is_closed_and_named(serve, wsgi, seen):
    running = serve(wsgi, "wsgi")
    client = running.client()
    response = client.send(client.build_request("GET", "/events"), stream=True)
    with pytest.raises(AppError, match="GET /events"):
        running.restore()
    assert seen == ["left /events"]
    assert response.status_code == 200


def test_a_call_of_a_wsgi_app_that_still_runs_is_named_once(serve):
    entered, go_on = threading.Event(), threading.Event()

    def app(environ, start_response):
        entered.set()
        go_on.wait(10)
        start_response("200 OK", [])
        return []

    running = serve(app, "wsgi")
    thread = threading.Thread(target=running.client().get, args=["/slow"])
    thread.start()
    assert entered.wait(5)
    with pytest.raises(AppError, match="GET /slow"):
        running.restore()
    running.restore()
    go_on.set()
    thread.join(5)
