"""WSGI apps: Flask and plain callables, called in the test's own thread."""

from __future__ import annotations

import asyncio
import sys
import threading
import time

import flask
import httpx2
import pytest
import trio

from seatrial.errors import AppError


@pytest.fixture
def app() -> flask.Flask:
    return flask.Flask("shop")


def test_a_flask_app_answers(serve, app):
    @app.post("/users/<name>")
    def create(name):
        return {"name": name, "json": flask.request.json, "x": flask.request.args["x"]}, 201

    response = serve(app, "wsgi").client().post("/users/J%C3%BCrgen?x=%26", json={"a": 1})
    assert (response.status_code, response.json()) == (201, {"name": "Jürgen", "json": {"a": 1}, "x": "&"})


def test_the_app_runs_in_the_thread_of_the_test(serve, app):
    @app.get("/")
    def where():
        return str(threading.get_ident())

    assert serve(app, "wsgi").client().get("/").text == str(threading.get_ident())


def test_an_answer_that_takes_longer_than_the_test_waits_is_a_time_out_once_it_is_there(serve, app):
    @app.get("/")
    def slow():
        time.sleep(0.05)
        return "late"

    @app.get("/stream")
    def stream():
        return flask.Response(slow() for _ in range(2))

    client = serve(app, "wsgi").client()
    for timeout in (0.01, httpx2.Timeout(None, read=0.01)):
        with pytest.raises(httpx2.ReadTimeout, match=r"no answer within 0\.01 s"):
            client.get("/", timeout=timeout)
    with pytest.raises(httpx2.ReadTimeout), client.stream("GET", "/stream", timeout=0.01) as response:
        response.read()
    assert client.get("/", timeout=20).text == "late"


def test_redirects_cookies_forms_files_and_streamed_bodies_work_as_with_asgi(serve, app):
    @app.post("/login")
    def login():
        response = flask.redirect("/who")
        response.set_cookie("user", flask.request.form["user"])
        response.set_cookie("file", flask.request.files["file"].read().decode())
        return response

    @app.get("/who")
    def who():
        return flask.request.cookies

    @app.post("/length")
    def length():
        return str(len(flask.request.get_data()))

    client = serve(app, "wsgi").client()
    response = client.post("/login", data={"user": "a"}, files={"file": ("f.txt", b"b")})
    assert response.json() == {"user": "a", "file": "b"}
    assert client.post("/length", content=iter([b"ab", b"c"])).text == "3"
    assert client.head("/who").content == b""


def test_an_exception_that_flask_turned_into_a_page_is_raised_in_the_test(serve, app):
    @app.get("/")
    def fail():
        raise LookupError("no such user")

    with pytest.raises(LookupError, match="no such user") as caught:
        serve(app, "wsgi").client().get("/")
    assert caught.traceback[-1].name == "fail"


def test_flasks_page_for_a_failure_is_there_for_who_asks_not_to_raise(serve, app):
    @app.get("/")
    def fail():
        raise LookupError

    @app.errorhandler(500)
    def sorry(error):
        return {"sorry": type(error.original_exception).__name__}, 500

    response = serve(app, "wsgi").client(raise_server_exceptions=False).get("/")
    assert (response.status_code, response.json()) == (500, {"sorry": "LookupError"})


def test_an_exception_that_the_app_handles_is_a_response(serve, app):
    @app.get("/")
    def fail():
        flask.abort(404)

    assert serve(app, "wsgi").client().get("/").status_code == 404


def test_two_apps_at_once_raise_each_their_own(serve):
    def failing(name):
        app = flask.Flask(name)

        @app.get("/")
        def fail():
            raise LookupError(name)

        return serve(app, "wsgi")

    one, two = failing("one"), failing("two")
    first, second = one.client(), two.client()
    one.close()
    with pytest.raises(LookupError, match="two"):
        second.get("/")
    assert first.is_closed


def test_an_async_test_reaches_a_wsgi_app_through_a_thread(serve, app):
    @app.get("/")
    def where():
        return str(threading.get_ident())

    async def test():
        async with serve(app, "wsgi").async_client() as client:
            return (await client.get("/")).text

    assert asyncio.run(test()) != str(threading.get_ident())


@pytest.mark.parametrize("loop", ["asyncio", "asyncio beside trio", "trio"])
@pytest.mark.parametrize("path", ["/slow", "/silent"])
def test_an_async_test_waits_no_longer_than_it_says(serve, app, monkeypatch, loop, path):
    go_on = threading.Event()

    @app.get("/slow")
    def slow():
        go_on.wait(20)
        return ""

    @app.get("/silent")
    def silent():
        def some():
            yield "a"
            go_on.wait(20)

        return flask.Response(some())

    running = serve(app, "wsgi")

    async def test():
        async with running.async_client(timeout=0.05) as client:
            with pytest.raises(httpx2.ReadTimeout, match=r"no answer within 0\.05 s"):
                await client.get(path)
            with pytest.raises(httpx2.ReadTimeout):
                async with client.stream("GET", path) as response:
                    await response.aread()
            go_on.set()
            assert (await client.get(path, timeout=20)).status_code == 200

    if loop == "trio":
        trio.run(test)
        return
    if loop == "asyncio":
        monkeypatch.delitem(sys.modules, "trio")
    asyncio.run(test())


def test_a_plain_callable_gets_an_environ_as_pep_3333_has_it(serve):
    seen = {}

    def app(environ, start_response):
        seen.update(environ)
        start_response("200 Fine", [("Content-Type", "text/plain")])
        return [b"a", b"b"]

    client = serve(app, "wsgi").client(root_path="/shop")
    assert client.post("/shop/%C3%BC?q=1", content=b"x", headers=[("X-A", "1"), ("X-A", "2")]).text == "ab"
    assert seen["SCRIPT_NAME"] == "/shop"
    assert seen["PATH_INFO"].encode("latin-1").decode() == "/ü"
    assert (seen["QUERY_STRING"], seen["CONTENT_LENGTH"], seen["HTTP_X_A"]) == ("q=1", "1", "1,2")
    assert (seen["SERVER_NAME"], seen["SERVER_PORT"], seen["HTTP_USER_AGENT"]) == ("testserver", "80", "testclient")
    assert "HTTP_CONTENT_LENGTH" not in seen


def test_the_body_of_a_generator_app_is_taken_whole_and_closed(serve):
    closed = []

    def app(environ, start_response):
        write = start_response("200 OK", [])
        write(b"written ")
        try:
            yield b"yielded"
        finally:
            closed.append(True)

    assert serve(app, "wsgi").client().get("/").text == "written yielded"
    assert closed == [True]


def test_an_error_told_by_exc_info_is_raised(serve):
    def app(environ, start_response):
        try:
            {}["told"]
        except KeyError:
            start_response("500 Sorry", [], sys.exc_info())
        return [b"sorry"]

    running = serve(app, "wsgi")
    with pytest.raises(KeyError, match="told"):
        running.client().get("/")
    assert running.client(raise_server_exceptions=False).get("/").text == "sorry"


def test_an_app_that_breaks_the_order_of_wsgi_is_told_so(serve):
    def silent(environ, start_response):
        return [b"x"]

    def twice(environ, start_response):
        start_response("200 OK", [])
        start_response("200 OK", [])
        return []

    with pytest.raises(AppError, match=r"without a response to GET /"):
        serve(silent, "wsgi").client().get("/")
    with pytest.raises(AppError, match=r"start_response\(\) twice"):
        serve(twice, "wsgi").client().get("/")
