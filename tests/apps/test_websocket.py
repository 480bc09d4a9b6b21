"""WebSockets of both clients: what Starlette's users expect, and what the app raises."""

from __future__ import annotations

import asyncio
import pickle

import pytest
from fastapi import FastAPI, WebSocket
from starlette.responses import JSONResponse
from starlette.websockets import WebSocketDisconnect

from seatrial.errors import AppError, WebSocketClosed


@pytest.fixture
def seen() -> list[object]:
    return []


@pytest.fixture
def app(seen) -> FastAPI:  # noqa: C901 - one app with an endpoint for each test
    app = FastAPI()

    @app.websocket("/echo")
    async def echo(websocket: WebSocket, times: int = 1):
        await websocket.accept(subprotocol="v2" if "v2" in websocket.scope["subprotocols"] else None)
        try:
            while True:
                message = await websocket.receive()
                if message["type"] == "websocket.disconnect":
                    seen.append((message["code"], message["reason"]))
                    return
                for _ in range(times):
                    if message.get("text") is not None:
                        await websocket.send_text(message["text"])
                    else:
                        await websocket.send_bytes(message["bytes"])
        except asyncio.CancelledError:
            seen.append("cancelled")
            raise

    @app.websocket("/uncaught")
    async def uncaught(websocket: WebSocket):
        await websocket.accept()
        while True:
            await websocket.receive_text()

    @app.websocket("/about")
    async def about(websocket: WebSocket):
        await websocket.accept(headers=[(b"x-room", b"7"), (b"set-cookie", b"seen=1; Path=/")])
        names = ("authorization", "cookie", "x-team", "upgrade", "host")
        headers = {name: websocket.headers[name] for name in names if name in websocket.headers}
        scope = {key: websocket.scope[key] for key in ("scheme", "path", "type", "subprotocols")}
        await websocket.send_json({**scope, **headers, "query": dict(websocket.query_params)})
        await websocket.close(4001, "that is all")

    @app.websocket("/closed")
    async def closed(websocket: WebSocket):
        await websocket.close(1008, "not you")

    @app.websocket("/denied")
    async def denied(websocket: WebSocket):
        await websocket.send_denial_response(JSONResponse({"detail": "pay first"}, 402, {"x-price": "3"}))

    @app.websocket("/broken")
    async def broken(websocket: WebSocket):
        await websocket.accept()
        await websocket.receive_text()
        raise LookupError("no such room")

    @app.websocket("/broken-at-once")
    async def broken_at_once(websocket: WebSocket):
        raise LookupError("no rooms at all")

    return app


@pytest.fixture
def client(serve, app):
    return serve(app).client()


def test_text_bytes_and_json_go_both_ways(client):
    with client.websocket_connect("/echo") as websocket:
        websocket.send_text("hello")
        assert websocket.receive_text() == "hello"
        websocket.send_bytes(b"\x00\xff")
        assert websocket.receive_bytes() == b"\x00\xff"
        websocket.send_json({"a": [1, "ü"]})
        assert websocket.receive_json() == {"a": [1, "ü"]}
        websocket.send_json([1], mode="binary")
        assert websocket.receive_json(mode="binary") == [1]
        websocket.send({"type": "websocket.receive", "text": "raw"})
        assert websocket.receive() == {"type": "websocket.send", "text": "raw"}


def test_an_async_test_has_the_same_calls(serve, app, seen):
    async def test():
        async with (
            serve(app).async_client() as client,
            client.websocket_connect("/echo", subprotocols=["v1", "v2"]) as websocket,
        ):
            assert websocket.accepted_subprotocol == "v2"
            await websocket.send_text("hello")
            assert await websocket.receive_text() == "hello"
            await websocket.send_bytes(b"x")
            assert await websocket.receive_bytes() == b"x"
            await websocket.send_json({"a": 1})
            assert await websocket.receive_json() == {"a": 1}
            with pytest.raises(TimeoutError):
                await asyncio.wait_for(websocket.receive(), 0.05)
            await websocket.send_text("still there")
            assert (await websocket.receive())["text"] == "still there"

    asyncio.run(test())
    assert seen == [(1000, "")]


def test_two_sockets_of_one_app_overlap(client):
    with client.websocket_connect("/echo") as first, client.websocket_connect("/echo?times=2") as second:
        first.send_text("1")
        second.send_text("2")
        assert [second.receive_text(), second.receive_text(), first.receive_text()] == ["2", "2", "1"]


def test_the_app_sees_code_and_reason_of_the_test_s_close(client, seen):
    with client.websocket_connect("/echo"):
        pass
    with client.websocket_connect("/echo") as websocket:
        websocket.close(4000, "enough")
    assert seen == [(1000, ""), (4000, "enough")]


def test_an_app_that_does_not_catch_the_departure_has_done_nothing_wrong(client):
    with client.websocket_connect("/uncaught") as websocket:
        websocket.send_text("x")


def test_headers_cookies_auth_query_and_base_url_are_those_of_the_client(serve, app):
    client = serve(app).client(
        base_url="https://api.example.org/", headers={"x-team": "a"}, cookies={"session": "abc"}, auth=("me", "secret")
    )
    with client.websocket_connect("/about", params={"room": "7"}, subprotocols=["v1"]) as websocket:
        assert websocket.receive_json() == {
            "type": "websocket",
            "scheme": "wss",
            "path": "/about",
            "subprotocols": ["v1"],
            "authorization": "Basic bWU6c2VjcmV0",
            "cookie": "session=abc",
            "x-team": "a",
            "upgrade": "websocket",
            "host": "api.example.org",
            "query": {"room": "7"},
        }
        assert (b"x-room", b"7") in websocket.extra_headers
        assert websocket.response.status_code == 101
    assert client.cookies["seen"] == "1"
    with client.websocket_connect("ws://other.example.org/about") as websocket:
        assert websocket.receive_json()["host"] == "other.example.org"


@pytest.mark.parametrize("kind", [WebSocketClosed, WebSocketDisconnect])
def test_a_close_of_the_app_is_raised_with_code_and_reason_also_by_starlettes_name(client, kind):
    with client.websocket_connect("/about") as websocket:
        websocket.receive_json()
        with pytest.raises(kind) as caught:
            websocket.receive_text()
    assert (caught.value.code, caught.value.reason) == (4001, "that is all")


@pytest.mark.parametrize("kind", [WebSocketClosed, WebSocketDisconnect])
def test_a_refusal_is_raised_at_the_door(client, kind):
    with pytest.raises(kind) as caught, client.websocket_connect("/closed"):
        pytest.fail("it was refused")
    assert (caught.value.code, caught.value.reason) == (1008, "not you")
    assert caught.value.response.status_code == 403


def test_a_refusal_with_a_response_has_that_response(client):
    with pytest.raises(WebSocketClosed) as caught, client.websocket_connect("/denied"):
        pytest.fail("it was refused")
    response = caught.value.response
    assert (response.status_code, response.json(), response.headers["x-price"]) == (402, {"detail": "pay first"}, "3")


def test_a_refusal_that_a_worker_sends_to_the_controller_still_has_its_response(client):
    with pytest.raises(WebSocketClosed) as caught, client.websocket_connect("/denied"):
        pytest.fail("it was refused")
    sent = pickle.loads(pickle.dumps(caught.value))
    assert (sent.code, sent.reason, str(sent)) == (caught.value.code, caught.value.reason, str(caught.value))
    assert (sent.response.status_code, sent.response.json()) == (402, {"detail": "pay first"})


def test_an_async_test_is_refused_too(serve, app):
    async def test(path):
        async with serve(app).async_client() as client, client.websocket_connect(path):
            pytest.fail("it was refused")

    for path, status in (("/closed", 403), ("/denied", 402)):
        with pytest.raises(WebSocketClosed) as caught:
            asyncio.run(test(path))
        assert caught.value.response.status_code == status


def test_beside_litestar_a_refusal_is_its_exception_too(client):
    from litestar.exceptions import WebSocketDisconnect

    with pytest.raises(WebSocketDisconnect) as caught, client.websocket_connect("/closed"):
        pytest.fail("it was refused")
    assert "WebSocketClosed" in repr(caught.value)


def test_what_the_app_raises_is_raised_where_the_test_receives(client):
    with client.websocket_connect("/broken") as websocket:
        websocket.send_text("x")
        with pytest.raises(LookupError, match="no such room") as caught:
            websocket.receive_text()
    assert caught.traceback[-1].name == "broken"


def test_what_the_app_raises_unheard_is_raised_at_the_end(client):
    with pytest.raises(LookupError, match="no such room"), client.websocket_connect("/broken") as websocket:
        websocket.send_text("x")


def test_what_the_app_raises_instead_of_an_answer_is_raised_at_the_door(client):
    with pytest.raises(LookupError, match="no rooms"), client.websocket_connect("/broken-at-once"):
        pytest.fail("there was no answer")


def test_a_client_that_asks_not_to_raise_sees_what_a_server_sends(serve, app):
    client = serve(app).client(raise_server_exceptions=False)
    with client.websocket_connect("/broken") as websocket:
        websocket.send_text("x")
        with pytest.raises(WebSocketClosed) as caught:
            websocket.receive_text()
    assert caught.value.code == 1011
    with pytest.raises(WebSocketClosed) as caught, client.websocket_connect("/broken-at-once"):
        pytest.fail("there was no answer")
    assert caught.value.response.status_code == 500


def test_a_path_that_is_no_websocket_is_refused(client):
    with pytest.raises(WebSocketClosed), client.websocket_connect("/nowhere"):
        pytest.fail("it was refused")


def test_a_receive_may_have_a_time_out_and_the_socket_lives_on(client):
    with client.websocket_connect("/echo") as websocket:
        with pytest.raises(TimeoutError):
            websocket.receive_text(timeout=0.05)
        websocket.send_text("x")
        assert websocket.receive_text(timeout=5) == "x"


def test_a_websocket_that_is_left_open_is_closed_and_named(serve, app):
    running = serve(app)
    running.client().websocket_connect("/echo").__enter__()
    with pytest.raises(AppError, match="WebSocket /echo"):
        running.restore()


@pytest.mark.parametrize(
    ("messages", "complaint"),
    [
        ([{"type": "websocket.send", "text": "x"}], "sent 'websocket.send' to WebSocket /here"),
        ([], "returned without an answer to WebSocket /here"),
        ([{"type": "http.response.start", "status": 200}], "sent 'http.response.start' to"),
    ],
)
def test_an_app_that_breaks_the_order_of_asgi_is_told_so(serve, messages, complaint):
    async def app(scope, receive, send):
        if scope["type"] == "websocket":
            for message in messages:
                await send(message)

    with pytest.raises(AppError, match=complaint) as caught, serve(app).client().websocket_connect("/here"):
        pytest.fail("there was no answer")
    assert caught.value.cause
    assert caught.value.fix


def test_a_wsgi_app_has_no_websockets(serve):
    with pytest.raises(AppError, match="can't open a WebSocket at /ws") as caught:
        serve(lambda environ, start_response: [], "wsgi").client().websocket_connect("/ws").__enter__()
    assert "ASGI" in caught.value.fix
