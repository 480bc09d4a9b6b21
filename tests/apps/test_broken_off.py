"""A response that the app breaks off is never whole for who called: on a socket, and through the bridge to a service."""

from __future__ import annotations

import asyncio

import flask
import httpx
import pytest
from fastapi import FastAPI
from fastapi.responses import StreamingResponse
from starlette.background import BackgroundTask


def fails():
    raise LookupError("no more rows")


def some():
    yield b"first"
    fails()


def over_a_socket(running):
    return httpx.Client(base_url=running.live().base_url, trust_env=False)


def by_the_bridge(running):
    return httpx.Client(base_url="http://stock", transport=running.bridge(httpx))


WAYS = pytest.mark.parametrize("reach", [over_a_socket, by_the_bridge])


@pytest.fixture
def asgi(serve):
    app = FastAPI()

    @app.get("/broken")
    def broken(length: int = 0) -> StreamingResponse:
        return StreamingResponse(some(), headers={"content-length": str(length)} if length else {})

    @app.get("/whole")
    def whole() -> StreamingResponse:
        return StreamingResponse(iter([b"first"]), background=BackgroundTask(fails))

    return serve(app)


@pytest.fixture
def wsgi(serve):
    app = flask.Flask("stock")

    @app.get("/broken")
    def broken():
        length = flask.request.args.get("length")
        return flask.Response(some(), headers={"content-length": length} if length else {})

    @app.get("/whole")
    def whole():
        response = flask.Response(iter([b"first"]))
        response.call_on_close(fails)
        return response

    @app.get("/page")
    def page():
        fails()

    return serve(app, "wsgi")


@WAYS
@pytest.mark.parametrize("kind", ["asgi", "wsgi"])
@pytest.mark.parametrize("path", ["/broken", "/broken?length=100"])
def test_the_caller_gets_what_was_sent_and_is_told_that_there_is_no_more(request, kind, reach, path, caplog):
    with reach(request.getfixturevalue(kind)) as client:
        with client.stream("GET", path) as response:
            assert response.status_code == 200
            pieces = response.iter_raw()
            assert next(pieces) == b"first"
            with pytest.raises(httpx.RemoteProtocolError):
                next(pieces)
        with pytest.raises(httpx.RemoteProtocolError):
            client.get(path)
    assert "no more rows" in caplog.text


@WAYS
@pytest.mark.parametrize("kind", ["asgi", "wsgi"])
def test_what_fails_after_a_whole_response_takes_nothing_from_it(request, kind, reach):
    with reach(request.getfixturevalue(kind)) as client:
        assert client.get("/whole").content == b"first"


@WAYS
def test_flask_s_page_for_a_failure_is_a_whole_response(wsgi, reach):
    with reach(wsgi) as client:
        assert client.get("/page").status_code == 500


def test_an_async_caller_is_told_too(asgi):
    async def ask():
        async with httpx.AsyncClient(base_url="http://stock", transport=asgi.bridge(httpx)) as client:
            await client.get("/broken")

    with pytest.raises(httpx.RemoteProtocolError, match="GET http://stock/broken: the app broke its response off"):
        asyncio.run(ask())


def test_who_leaves_a_stream_early_is_told_nothing(asgi):
    with by_the_bridge(asgi) as client, client.stream("GET", "/broken") as response:
        assert next(response.iter_raw()) == b"first"
