"""One request is one call of the app, and the test sees all that came of it; httpx and httpx2 alike."""

from __future__ import annotations

import asyncio
import contextlib
import gc
import importlib
import json
import threading
import weakref

import pytest
from fastapi import BackgroundTasks, FastAPI
from fastapi.responses import JSONResponse, RedirectResponse, StreamingResponse
from starlette.requests import Request

from seatrial.apps.clients import transport
from seatrial.errors import AppError


@pytest.fixture(params=["httpx2", "httpx"])
def http(request):
    return importlib.import_module(request.param)


@pytest.fixture
def app() -> FastAPI:
    return FastAPI()


@pytest.fixture
def client(serve, app, http):
    return serve(app, http=http).client()


async def echo(scope, receive, send):
    """Tells what it was called with."""
    if scope["type"] != "http":
        return
    pieces = []
    while True:
        message = await receive()
        pieces.append(message["body"].decode())
        if not message.get("more_body"):
            break
    told = {key: value for key, value in scope.items() if key not in {"state", "headers", "extensions"}}
    told["headers"] = [[name.decode(), value.decode("latin-1")] for name, value in scope["headers"]]
    told["pieces"] = pieces
    body = json.dumps(told, default=bytes.decode).encode()
    await send({"type": "http.response.start", "status": 200, "headers": [(b"content-type", b"application/json")]})
    await send({"type": "http.response.body", "body": body})


def test_the_client_has_the_defaults_of_starlettes_test_client(serve):
    client = serve(echo).client()
    told = client.get("/a%20b/ü?x=1&y=%20").json()
    assert told["path"] == "/a b/ü"
    assert told["raw_path"] == "/a%20b/%C3%BC"
    assert told["query_string"] == "x=1&y=%20"
    assert (told["scheme"], told["server"], told["client"]) == ("http", ["testserver", 80], ["testclient", 50000])
    assert ["host", "testserver"] in told["headers"]
    assert ["user-agent", "testclient"] in told["headers"]
    assert client.follow_redirects


def test_a_percent_sign_that_was_escaped_is_unescaped_once_as_a_server_does(serve):
    assert serve(echo).client().get("/100%2525").json()["path"] == "/100%25"


def test_options_of_httpx_and_the_root_path_of_a_proxy_are_passed_on(serve):
    client = serve(echo).client(
        base_url="https://api.example.org:8443/v1", headers={"User-Agent": "curl", "X-Team": "a"}, root_path="/mounted"
    )
    told = client.get("users").json()
    assert told["path"] == "/v1/users"
    assert told["root_path"] == "/mounted"
    assert (told["scheme"], told["server"]) == ("https", ["api.example.org", 8443])
    assert ["user-agent", "curl"] in told["headers"]
    assert ["x-team", "a"] in told["headers"]


def test_the_app_is_at_hand_on_the_client(serve, app):
    assert serve(app).client().app is app


def test_a_body_of_known_length_comes_in_one_piece_and_a_streamed_one_as_it_was_produced(serve, http):
    client = serve(echo, http=http).client()
    assert client.post("/", content=b"whole").json()["pieces"] == ["whole"]
    assert client.post("/", content=iter([b"one", b"two"])).json()["pieces"] == ["one", "two", ""]
    assert client.get("/").json()["pieces"] == [""]


def test_a_streamed_body_is_sent_again_where_a_redirect_keeps_the_method(app, client):
    @app.post("/old")
    async def old():
        return RedirectResponse("/new", 307)

    @app.post("/new")
    async def new(request: Request):
        return (await request.body()).decode()

    assert client.post("/old", content=iter([b"one", b"two"])).json() == "onetwo"


def test_forms_and_files_arrive(app, client):
    # Form fields without python-multipart: the raw body is what the client is responsible for.
    @app.post("/")
    async def upload(request: Request):
        return {"type": request.headers["content-type"], "body": (await request.body()).decode()}

    told = client.post("/", data={"title": "log"}, files={"file": ("a.txt", b"text", "text/plain")}).json()
    assert told["type"].startswith("multipart/form-data; boundary=")
    assert 'name="title"\r\n\r\nlog\r\n' in told["body"]
    assert 'filename="a.txt"\r\nContent-Type: text/plain\r\n\r\ntext\r\n' in told["body"]


def test_redirects_are_followed_and_can_be_left(app, client):
    @app.get("/old")
    async def old():
        return RedirectResponse("/new?x=1", 302)

    @app.get("/new")
    async def new(x: int):
        return x

    response = client.get("/old")
    assert response.json() == 1
    assert [each.status_code for each in response.history] == [302]
    assert client.get("/old", follow_redirects=False).headers["location"] == "/new?x=1"


def test_cookies_last_for_the_client_and_never_reach_the_next_one(serve, app, http):
    @app.get("/login")
    async def login():
        response = JSONResponse({})
        response.set_cookie("session", "abc")
        return response

    @app.get("/who")
    async def who(request: Request):
        return request.cookies

    running = serve(app, http=http)
    first = running.client()
    first.get("/login")
    assert first.get("/who").json() == {"session": "abc"}
    running.restore()
    assert running.client().get("/who").json() == {}


def test_a_client_is_closed_when_its_test_is_over(serve, app, http):
    running = serve(app, http=http)
    client, async_client = running.client(), running.async_client()
    running.restore()
    assert client.is_closed
    assert async_client.is_closed


def test_head_and_204_have_no_body_and_headers_are_the_apps_own(app, client):
    @app.head("/")
    async def head():
        return JSONResponse({"a": 1})

    @app.delete("/", status_code=204)
    async def delete() -> None:
        return None

    response = client.head("/")
    assert (response.content, response.headers["content-length"]) == (b"", "7")
    response = client.delete("/")
    assert (response.status_code, response.content) == (204, b"")
    assert "content-length" not in response.headers


def test_a_streaming_endpoint_that_ends_gives_its_whole_body_and_no_length_of_ours(app, client):
    @app.get("/")
    async def stream():
        async def numbers():
            for number in range(3):
                yield f"{number}\n"

        return StreamingResponse(numbers())

    response = client.get("/")
    assert response.text == "0\n1\n2\n"
    assert "content-length" not in response.headers
    with client.stream("GET", "/") as response:
        assert list(response.iter_lines()) == ["0", "1", "2"]


def test_background_tasks_are_done_when_the_response_is_there(app, client):
    done = []

    @app.post("/")
    async def register(later: BackgroundTasks):
        later.add_task(done.append, "mail sent")

    client.post("/")
    assert done == ["mail sent"]


def test_an_exception_of_the_app_is_raised_in_the_test_with_its_own_traceback(app, client):
    @app.get("/")
    async def fail():
        raise LookupError("no such user")

    with pytest.raises(LookupError, match="no such user") as caught:
        client.get("/")
    assert caught.traceback[-1].name == "fail"


@pytest.mark.parametrize("interface", ["asgi", "wsgi"])
def test_what_a_failed_request_held_is_let_go_with_its_exception(serve, interface):
    """A session or a connection in the app's frames must not live on until the collector comes by."""
    held = []

    class Session:
        pass

    def work():
        session = Session()
        held.append(weakref.ref(session))
        raise LookupError

    async def asgi(scope, receive, send):
        if scope["type"] == "http":
            work()

    def wsgi(environ, start_response):
        work()

    client = serve({"asgi": asgi, "wsgi": wsgi}[interface], interface).client()
    gc.disable()
    try:
        with contextlib.suppress(LookupError):
            client.get("/")
        assert held[0]() is None
    finally:
        gc.enable()


def test_an_exception_of_a_background_task_is_raised_though_the_response_was_complete(app, client):
    def send_mail():
        raise ConnectionError("no mail server")

    @app.post("/")
    def register(later: BackgroundTasks):
        later.add_task(send_mail)

    with pytest.raises(ConnectionError, match="no mail server"):
        client.post("/")


def test_the_apps_own_page_for_a_failure_is_there_for_who_asks_not_to_raise(serve, app, http):
    @app.get("/")
    async def fail():
        raise LookupError

    @app.exception_handler(Exception)
    async def sorry(request, error):
        return JSONResponse({"sorry": type(error).__name__}, 500)

    response = serve(app, http=http).client(raise_server_exceptions=False).get("/")
    assert (response.status_code, response.json()) == (500, {"sorry": "LookupError"})


def test_an_app_that_fails_without_a_response_is_a_bare_500_for_who_asks_not_to_raise(serve):
    async def app(scope, receive, send):
        raise LookupError

    response = serve(app).client(raise_server_exceptions=False).get("/")
    assert (response.status_code, response.content) == (500, b"")


def test_after_the_body_the_client_leaves_once_the_response_is_complete(serve):
    order = []

    async def app(scope, receive, send):
        if scope["type"] != "http":
            return

        async def listen():
            order.append((await receive())["type"])

        await receive()
        listening = asyncio.create_task(listen())
        await send({"type": "http.response.start", "status": 200})
        await asyncio.sleep(0)
        order.append("response")
        await send({"type": "http.response.body", "body": b"x"})
        await listening
        order.append((await receive())["type"])

    serve(app).client().get("/")
    assert order == ["response", "http.disconnect", "http.disconnect"]


START = {"type": "http.response.start", "status": 200}
BODY = {"type": "http.response.body", "body": b"x"}


@pytest.mark.parametrize(
    ("messages", "complaint"),
    [
        ([], "returned with no response to GET /here"),
        ([START], "returned with an unfinished response"),
        ([START, {**BODY, "more_body": True}], "returned with an unfinished response"),
        ([BODY], "sent 'http.response.body' while it answered GET /here"),
        ([START, START], "sent 'http.response.start' while"),
        ([START, BODY, BODY], "sent 'http.response.body' while"),
    ],
)
def test_an_app_that_breaks_the_order_of_asgi_is_told_so(serve, messages, complaint):
    async def app(scope, receive, send):
        if scope["type"] == "http":
            for message in messages:
                await send(message)

    with pytest.raises(AppError, match=complaint) as caught:
        serve(app).client().get("/here")
    assert caught.value.cause
    assert caught.value.fix


def test_text_in_the_place_of_bytes_is_refused_as_a_server_refuses_it(serve):
    async def app(scope, receive, send):
        if scope["type"] == "http":
            await send(START)
            await send({"type": "http.response.body", "body": "text"})

    with pytest.raises(TypeError):
        serve(app).client().get("/")


def test_trailers_and_the_rendered_template_are_told(serve):
    async def app(scope, receive, send):
        if scope["type"] != "http":
            return
        info = {"template": "home.html", "context": {"user": "a"}}
        await send({"type": "http.response.debug", "info": info})
        await send({**START, "trailers": True})
        await send(BODY)
        await send({"type": "http.response.trailers", "headers": [(b"x-checksum", b"1")]})

    response = serve(app).client().get("/")
    assert response.extensions["http.response.trailers"] == [(b"x-checksum", b"1")]
    assert (response.template, response.context) == ("home.html", {"user": "a"})


def test_a_websocket_url_is_refused_with_the_way_out(serve, app):
    with pytest.raises(AppError, match="can't open 'ws://testserver/ws'") as caught:
        serve(app).client().get("ws://testserver/ws")
    assert "websocket_connect" in caught.value.fix


def test_without_httpx_the_error_names_what_to_install(monkeypatch, serve, app):
    def missing(name):
        raise ModuleNotFoundError(f"No module named {name!r}", name=name)

    monkeypatch.setattr(transport.importlib, "import_module", missing)
    with pytest.raises(AppError) as caught:
        serve(app).client()
    assert caught.value.fix == "pip install 'seatrial[http]'"


def test_httpx2_is_taken_before_httpx_and_httpx_where_it_is_alone(monkeypatch):
    assert transport.library().__name__ == "httpx2"
    monkeypatch.setitem(importlib.import_module("sys").modules, "httpx2", None)
    assert transport.library().__name__ == "httpx"


def test_an_async_test_shares_the_loop_of_the_app_with_all_other_tests(serve, app, http):
    """A pool belongs to the loop that opened it: it must be the same one whichever client a test uses."""
    loops = set()

    @app.post("/")
    async def look(request: Request):
        loops.add((id(asyncio.get_running_loop()), threading.get_ident()))
        return [piece.decode() async for piece in request.stream()]

    running = serve(app, http=http)

    async def pieces():
        yield b"one"
        yield b"two"

    async def test():
        async with running.async_client() as client:
            assert (await client.post("/", content=pieces())).json() == ["one", "two", ""]
            both = await asyncio.gather(client.post("/", content=b"a"), client.post("/", content=b"b"))
            assert [response.json() for response in both] == [["a", ""], ["b", ""]]

    asyncio.run(test())
    asyncio.run(test())
    running.client().post("/")
    assert len(loops) == 1


def test_an_exception_of_the_app_is_raised_in_an_async_test_too(serve, app, http):
    @app.get("/")
    async def fail():
        raise LookupError("no such user")

    async def test():
        async with serve(app, http=http).async_client() as client:
            with pytest.raises(LookupError, match="no such user"):
                await client.get("/")

    asyncio.run(test())


def test_requests_of_one_async_client_overlap(serve, app):
    """Each of two requests waits for the other: they would never end one after the other."""
    arrived: list[asyncio.Event] = []

    @app.get("/meet")
    async def meet():
        arrived.append(asyncio.Event())
        if len(arrived) == 2:
            for each in arrived:
                each.set()
        await arrived[-1].wait()

    async def test():
        async with serve(app).async_client() as client:
            responses = await asyncio.gather(client.get("/meet"), client.get("/meet"))
        assert [response.status_code for response in responses] == [200, 200]

    asyncio.run(test())
