"""What a test may rely on holds for `client` and `async_client` alike, whether they are of httpx or of httpx2."""

from __future__ import annotations

import asyncio
import contextlib
import importlib
import threading

import pytest
from fastapi import FastAPI, Request, Response, WebSocket
from fastapi.responses import StreamingResponse

from seatrial.errors import WebSocketClosed


@pytest.fixture
def app() -> FastAPI:  # noqa: C901 - one app with an endpoint for each promise
    @contextlib.asynccontextmanager
    async def lifespan(app):
        app.state.starts += 1
        yield {"pool": "a pool"}

    app = FastAPI(lifespan=lifespan)
    app.state.starts, app.state.left = 0, threading.Event()

    @app.get("/me")
    async def me(request: Request):
        headers = request.headers
        return [str(request.url), headers.get("authorization"), dict(request.cookies), request.state.pool]

    @app.post("/login")
    async def login(response: Response):
        response.set_cookie("session", "ada's")

    @app.get("/moved")
    async def moved():
        return Response(status_code=307, headers={"location": "/v1/me"})

    @app.get("/broken")
    async def broken():
        raise LookupError("no such user")

    @app.get("/events")
    async def events():
        async def endless():
            try:
                for number in range(10**9):
                    yield f"data: {number}\n\n"
                    await asyncio.sleep(0.001)
            finally:
                app.state.left.set()

        return StreamingResponse(endless(), media_type="text/event-stream")

    @app.websocket("/echo")
    async def echo(websocket: WebSocket):
        if "authorization" not in websocket.headers:
            await websocket.close(1008, "who are you?")
            return
        await websocket.accept()
        async for text in websocket.iter_text():
            await websocket.send_text(text)

    outer = FastAPI(lifespan=lifespan)
    outer.state = app.state
    outer.mount("/v1", app)
    return outer


@pytest.fixture(params=["httpx", "httpx2"])
def running(serve, app, request):
    return serve(app, http=importlib.import_module(request.param))


OPTIONS = {"base_url": "https://shop.example/v1", "cookies": {"lang": "de"}, "auth": ("ada", "secret")}
BASIC = "Basic YWRhOnNlY3JldA=="


def test_the_sync_client(running, app):
    for _ in range(2):  # two tests, one lifespan, no cookie of the first
        client = running.client(**OPTIONS)
        assert client.get("/me").json() == ["https://shop.example/v1/me", BASIC, {"lang": "de"}, "a pool"]
        client.post("/login")
        assert client.get("/me", auth=None, headers={"authorization": "Bearer x"}).json()[1:3] == [
            "Bearer x", {"lang": "de", "session": "ada's"},
        ]  # fmt: skip
        with pytest.raises(LookupError, match="no such user") as caught:
            client.get("/broken")
        assert caught.traceback[-1].name == "broken"
        with client.stream("GET", "/events") as response:
            lines = response.iter_lines()
            assert [next(lines) for _ in range(3)] == ["data: 0", "", "data: 1"]
        assert app.state.left.wait(20)
        app.state.left.clear()
        with client.websocket_connect("/echo") as websocket:
            websocket.send_text("ahoy")
            assert websocket.receive_text(timeout=20) == "ahoy"
        running.restore()
    with pytest.raises(WebSocketClosed, match="who are you"), running.client().websocket_connect("/v1/echo"):
        pytest.fail("it was refused")
    assert app.state.starts == 1


def test_the_async_client(running, app):
    async def test():
        client = running.async_client(**OPTIONS)
        assert (await client.get("/me")).json() == ["https://shop.example/v1/me", BASIC, {"lang": "de"}, "a pool"]
        await client.post("/login")
        answer = await client.get("/me", auth=None, headers={"authorization": "Bearer x"})
        assert answer.json()[1:3] == ["Bearer x", {"lang": "de", "session": "ada's"}]
        with pytest.raises(LookupError, match="no such user") as caught:
            await client.get("/broken")
        assert caught.traceback[-1].name == "broken"
        async with client.stream("GET", "/events") as response:
            lines = response.aiter_lines()
            assert [await anext(lines) for _ in range(3)] == ["data: 0", "", "data: 1"]
        assert await asyncio.to_thread(app.state.left.wait, 20)
        app.state.left.clear()
        async with client.websocket_connect("/echo") as websocket:
            await websocket.send_text("ahoy")
            assert await asyncio.wait_for(websocket.receive_text(), 20) == "ahoy"
        with pytest.raises(WebSocketClosed, match="who are you"):
            async with running.async_client().websocket_connect("/v1/echo"):
                pytest.fail("it was refused")

    for _ in range(2):  # each on a loop of its own
        asyncio.run(test())
        running.restore()
    assert app.state.starts == 1


def test_an_endless_stream_is_ended_with_the_task_that_reads_it(running, app):
    async def reads():
        async with running.async_client().stream("GET", "/v1/events") as response:
            async for _ in response.aiter_lines():
                pass

    async def test():
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.1):
                await reads()
        assert await asyncio.to_thread(app.state.left.wait, 20)

    asyncio.run(test())
    running.restore()
