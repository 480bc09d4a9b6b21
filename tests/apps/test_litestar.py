"""Litestar answers an exception with a page, and announces it: a test sees the exception, as with other frameworks."""

from __future__ import annotations

import asyncio
from contextlib import asynccontextmanager

import pytest
from litestar import Litestar, MediaType, Response, WebSocket, get, websocket
from litestar.exceptions import HTTPException, WebSocketException

from seatrial.errors import AppError, WebSocketClosed


class SoldOut(Exception):
    pass


@pytest.fixture
def app() -> Litestar:
    @get("/broken")
    async def broken() -> None:
        raise LookupError("no such ticket")

    @get("/sold-out")
    async def sold_out() -> None:
        raise SoldOut

    @get("/teapot")
    async def teapot() -> None:
        raise HTTPException(detail="short and stout", status_code=500)

    @websocket("/ws")
    async def ws(socket: WebSocket) -> None:
        await socket.accept()
        word = await socket.receive_text()
        if word == "refuse":
            raise WebSocketException(detail="not you", code=4001)
        raise LookupError("no such room")

    def handle(request, error: SoldOut) -> Response[str]:
        return Response("sold out", status_code=500, media_type=MediaType.TEXT)

    return Litestar([broken, sold_out, teapot, ws], exception_handlers={SoldOut: handle})


def test_an_exception_is_raised_in_the_test_with_its_own_traceback(serve, app):
    running = serve(app)
    with pytest.raises(LookupError, match="no such ticket") as caught:
        running.client().get("/broken")
    assert caught.traceback[-1].name == "broken"

    async def test():
        async with running.async_client() as client:
            with pytest.raises(LookupError, match="no such ticket"):
                await client.get("/broken")

    asyncio.run(test())


def test_litestars_page_is_there_for_who_asks_not_to_raise_and_over_a_socket(serve, app, caplog):
    running = serve(app)
    assert running.client(raise_server_exceptions=False).get("/broken").json()["status_code"] == 500
    assert running.live().client.get("/broken").status_code == 500


@pytest.mark.parametrize(("path", "text"), [("/sold-out", "sold out"), ("/teapot", "Internal Server Error")])
def test_what_the_app_handles_itself_is_a_response(serve, app, path, text):
    response = serve(app).client().get(path)
    assert (response.status_code, text in response.text) == (500, True)


def test_a_page_for_a_status_handles_no_exception(serve):
    def page(request, error: Exception) -> Response[str]:
        return Response("we are sorry", status_code=500, media_type=MediaType.TEXT)

    @get("/")
    async def broken() -> None:
        raise LookupError("no such ticket")

    running = serve(Litestar([broken], exception_handlers={500: page}))
    assert running.client(raise_server_exceptions=False).get("/").text == "we are sorry"
    with pytest.raises(LookupError, match="no such ticket"):
        running.client().get("/")


def test_what_a_websocket_raises_is_raised_and_what_it_refuses_is_closed(serve, app):
    client = serve(app).client()
    with client.websocket_connect("/ws") as socket:
        socket.send_text("hello")
        with pytest.raises(LookupError, match="no such room"):
            socket.receive_text(timeout=20)
    with client.websocket_connect("/ws") as socket:
        socket.send_text("refuse")
        with pytest.raises(WebSocketClosed) as caught:
            socket.receive_text(timeout=20)
    assert caught.value.code == 4001


def test_what_its_lifespan_raises_is_told_and_not_the_task_group_around_it(serve):
    @asynccontextmanager
    async def lifespan(app):
        raise ConnectionError("no broker at localhost:5672")
        yield

    with pytest.raises(AppError, match="did not start: ConnectionError: no broker") as caught:
        serve(Litestar(lifespan=[lifespan])).client()
    assert 'raise ConnectionError("no broker at localhost:5672")' in caught.value.cause


def test_beneath_a_middleware_too_and_the_app_is_left_as_it_was(serve, app):
    class Middleware:
        def __init__(self, app):
            self.app = app

        async def __call__(self, scope, receive, send):
            await self.app(scope, receive, send)

    before = list(app.after_exception)
    running = serve(Middleware(app))
    with pytest.raises(LookupError):
        running.client().get("/broken")
    running.close()
    assert app.after_exception == before
