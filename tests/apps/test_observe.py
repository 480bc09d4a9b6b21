"""A witness at an app's door sees each exchange, and the app and its client notice nothing."""

from __future__ import annotations

import asyncio
import gzip
import random
import tracemalloc
import zlib

import flask
import litestar
import pytest
from fastapi import APIRouter, FastAPI
from litestar.params import FromPath
from starlette.middleware.gzip import GZipMiddleware
from starlette.responses import StreamingResponse

from seatrial.apps.inprocess import InProcess
from seatrial.apps.observe.seen import LARGEST, Seen
from seatrial.events import BodyState


class Notes:
    """A witness that writes down."""

    def __init__(self, *, looks: bool = True) -> None:
        self.seen = []
        self.looks = looks

    def begins(self, seen):
        return seen if self.looks else None

    def ended(self, ticket):
        assert ticket.answered
        self.seen.append(ticket)


@pytest.fixture
def notes():
    return Notes()


@pytest.fixture
def watched(serve, notes):
    def start(app, interface="asgi"):
        return serve(app, interface, witness=notes).client(raise_server_exceptions=False)

    return start


def fast_api() -> FastAPI:
    app, users, admin = FastAPI(), APIRouter(prefix="/users"), FastAPI()

    @users.get("/{user_id}")
    def read(user_id: int) -> dict[str, int]:
        return {"id": user_id}

    @admin.get("/logs/{day}")
    async def logs(day: str) -> str:
        raise ValueError(f"nothing on {day}\nand more")

    app.include_router(users, prefix="/v1")
    app.mount("/admin", admin)
    return app


def test_an_exchange_has_method_path_query_route_status_and_media_type(watched, notes):
    assert watched(fast_api()).get("/v1/users/7?full=1").json() == {"id": 7}
    (seen,) = notes.seen
    assert (seen.method, seen.path, seen.query, seen.route) == ("GET", "/v1/users/7", "full=1", "/v1/users/{user_id}")
    assert (seen.status, seen.media_type, seen.body, seen.error) == (200, "application/json", b'{"id":7}', "")
    assert seen.milliseconds > 0


def test_a_mounted_app_s_route_is_told_with_the_path_it_is_mounted_at_and_its_error_in_one_line(watched, notes):
    watched(fast_api()).get("/admin/logs/monday")
    (seen,) = notes.seen
    assert (seen.route, seen.error) == ("/admin/logs/{day}", "ValueError: nothing on monday")


def test_so_is_the_route_of_litestar_mounted_in_another_framework(watched, notes):
    @litestar.get("/items/{item_id:int}")
    async def read(item_id: FromPath[int]) -> int:
        return item_id

    app = FastAPI()
    app.mount("/shop", litestar.Litestar([read]))
    assert watched(app).get("/shop/items/3").json() == 3
    assert notes.seen[0].route == "/shop/items/{item_id}"


@pytest.mark.parametrize("path", ["/v1/users/7", "/api/v1/users/7", "/api/admin/logs/monday"])
@pytest.mark.parametrize("who", ["the app", "the client"])
def test_where_a_proxy_mounts_the_app_is_not_of_its_routes(serve, notes, who, path):
    app = fast_api()
    app.root_path = "/api" if who == "the app" else ""
    options = {"root_path": "/api"} if who == "the client" else {}
    client = serve(app, "asgi", witness=notes).client(raise_server_exceptions=False, **options)
    assert client.get(path).status_code == (500 if "logs" in path else 200)
    assert notes.seen[0].route == ("/admin/logs/{day}" if "logs" in path else "/v1/users/{user_id}")


def test_a_path_that_no_route_answers_has_no_route(watched, notes):
    assert watched(fast_api()).get("/nowhere").status_code == 404
    assert (notes.seen[0].route, notes.seen[0].status) == ("", 404)


def test_a_witness_that_looks_away_changes_nothing(serve):
    away = Notes(looks=False)
    assert serve(fast_api(), "asgi", witness=away).client().get("/v1/users/7").json() == {"id": 7}
    assert away.seen == []


def test_a_stream_is_kept_up_to_a_limit_and_passed_on_whole(watched, notes):
    app = FastAPI()

    @app.get("/stream")
    async def stream(pieces: int):
        async def produce():
            for _ in range(pieces):
                await asyncio.sleep(0)
                yield b"x" * 1000

        return StreamingResponse(produce())

    client = watched(app)
    assert len(client.get("/stream?pieces=2").content) == 2000
    assert len(client.get("/stream?pieces=1001").content) == 1_001_000 > LARGEST
    assert [seen.body and len(seen.body) for seen in notes.seen] == [2000, None]


def test_litestar_tells_its_template(watched, notes):
    @litestar.get("/items/{item_id:int}")
    async def read(item_id: FromPath[int]) -> int:
        return item_id

    assert watched(litestar.Litestar([read])).get("/items/3").status_code == 200
    assert notes.seen[0].route == "/items/{item_id}"


def test_flask_tells_its_rule_and_a_response_is_over_when_it_is_closed(watched, notes):
    app = flask.Flask("made_up")

    @app.get("/items/<int:item_id>")
    def read(item_id):
        return {"id": item_id}

    @app.get("/stream")
    def stream():
        return flask.Response((piece for piece in ("a", "b")), mimetype="text/plain")

    client = watched(app, "wsgi")
    assert client.get("/items/3").json() == {"id": 3}
    assert client.get("/stream").text == "ab"
    assert [(seen.route, seen.status, seen.media_type, seen.body) for seen in notes.seen] == [
        ("/items/<int:item_id>", 200, "application/json", b'{"id":3}\n'),
        ("/stream", 200, "text/plain", b"ab"),
    ]


def test_what_flask_turned_into_a_page_is_told_with_it(notes):
    app = flask.Flask("made_up")

    @app.get("/")
    def fail():
        raise LookupError("no such user")

    listened = dict(flask.got_request_exception.receivers)
    running = InProcess(app, "wsgi", witness=notes)
    assert running.client(raise_server_exceptions=False).get("/").status_code == 500
    with pytest.raises(LookupError):
        running.client().get("/")
    assert flask.got_request_exception.receivers != listened
    running.close()
    assert flask.got_request_exception.receivers == listened
    assert [(seen.status, seen.error) for seen in notes.seen] == [(500, "LookupError: no such user")] * 2


def test_a_wsgi_app_that_raises_is_seen_and_raises(serve, notes):
    def app(environ, start_response):
        raise KeyError("missing")

    client = InProcess(app, "wsgi", witness=notes).client()
    with pytest.raises(KeyError):
        client.get("/")
    assert (notes.seen[0].status, notes.seen[0].error) == (0, "KeyError: 'missing'")


@pytest.mark.parametrize(
    ("method", "status", "headers", "pieces", "answered"),
    [
        ("GET", 200, [], [b"some"], False),
        ("GET", 200, [("Content-Length", "8")], [b"some"], False),
        ("GET", 200, [("Content-Length", "8")], [b"some", b"more"], True),
        ("HEAD", 200, [("Content-Length", "8")], [], True),
        ("GET", 204, [], [], True),
    ],
)
def test_an_exchange_is_answered_when_its_client_has_all_of_it(method, status, headers, pieces, answered):
    seen = Seen(method, "/")
    seen.starts(status, headers)
    for piece in pieces:
        seen.keep(piece)
    assert seen.answered is answered
    seen.ends()
    assert seen.answered


RAW = zlib.compressobj(wbits=-zlib.MAX_WBITS)
WORDS = b'"ahoy"'


@pytest.mark.parametrize(
    ("method", "status", "headers", "pieces", "body", "state"),
    [
        ("GET", 200, [], [b"some", b"more"], b"somemore", BodyState.WHOLE),
        ("GET", 200, [("Content-Length", "0")], [], b"", BodyState.WHOLE),
        ("HEAD", 200, [("Content-Length", "4")], [b"some"], b"", BodyState.NONE),
        ("GET", 204, [], [b""], b"", BodyState.NONE),
        ("GET", 200, [], [b"x" * LARGEST], b"x" * LARGEST, BodyState.WHOLE),
        ("GET", 200, [], [b"x" * LARGEST, b"x"], None, BodyState.TOO_LARGE),
        ("GET", 200, [("Content-Length", "8")], [b"some"], b"some", BodyState.BROKEN_OFF),
        ("GET", 200, [("Content-Encoding", "gzip")], [gzip.compress(WORDS)], WORDS, BodyState.WHOLE),
        (
            "GET",
            200,
            [("Content-Encoding", "gzip")],
            [gzip.compress(b"a"), gzip.compress(b"b")],
            b"ab",
            BodyState.WHOLE,
        ),
        ("GET", 200, [("content-encoding", "X-GZIP")], [gzip.compress(WORDS)], WORDS, BodyState.WHOLE),
        ("GET", 200, [("Content-Encoding", "deflate")], [zlib.compress(WORDS)], WORDS, BodyState.WHOLE),
        ("GET", 200, [("Content-Encoding", "deflate")], [RAW.compress(WORDS), RAW.flush()], WORDS, BodyState.WHOLE),
        ("GET", 200, [("Content-Encoding", "identity")], [WORDS], WORDS, BodyState.WHOLE),
        ("GET", 200, [("Content-Encoding", "gzip")], [gzip.compress(b"x" * LARGEST * 2)], None, BodyState.TOO_LARGE),
        ("GET", 200, [("Content-Encoding", "br")], [WORDS], WORDS, BodyState.ENCODED),
        ("GET", 200, [("Content-Encoding", "br"), ("Content-Encoding", "gzip")], [b"?"], b"?", BodyState.ENCODED),
        ("GET", 200, [("Content-Encoding", "gzip")], [WORDS], WORDS, BodyState.ENCODED),
    ],
)
def test_a_body_is_told_as_it_reads_or_why_it_can_not_be_read(method, status, headers, pieces, body, state):
    seen = Seen(method, "/")
    seen.starts(status, headers)
    for piece in pieces:
        seen.keep(piece)
    seen.completes()
    assert (seen.body, seen.state) == (body, state)


@pytest.mark.parametrize(
    ("encoding", "library", "compress"),
    [
        ("br", "brotli", lambda brotli, body: brotli.compress(body, quality=5)),
        ("zstd", "zstandard", lambda zstandard, body: zstandard.ZstdCompressor().compress(body)),
    ],
)
def test_a_body_that_httpx_needs_a_library_for_is_read_with_that_and_no_further_than_it_is_kept(
    encoding, library, compress
):
    module = pytest.importorskip(library)
    noise = random.Random(7).randbytes(100_000)

    def read(compressed):
        seen = Seen("GET", "/")
        seen.starts(200, [("content-encoding", encoding)])
        seen.keep(compressed)
        seen.completes()
        return seen.body, seen.state

    for words in (WORDS, noise, b"x" * LARGEST, b""):
        assert read(compress(module, words)) == (words, BodyState.WHOLE)
    assert read(b"") == (b"", BodyState.WHOLE)
    assert read(broken := compress(module, noise)[:-5]) == (broken, BodyState.ENCODED)
    if encoding == "zstd":
        assert read(compress(module, WORDS) * 3) == (WORDS * 3, BodyState.WHOLE)
    huge = compress(module, b"x" * LARGEST * 200)
    tracemalloc.start()
    try:
        assert read(huge) == (None, BodyState.TOO_LARGE)
        assert tracemalloc.get_traced_memory()[1] < LARGEST * 100
    finally:
        tracemalloc.stop()


def test_a_response_that_never_began_has_no_body():
    seen = Seen("GET", "/")
    seen.ends()
    assert (seen.body, seen.state) == (b"", BodyState.NONE)


def test_a_compressed_response_is_seen_as_its_client_reads_it(watched, notes):
    app = FastAPI()
    app.add_middleware(GZipMiddleware)

    @app.get("/")
    def read() -> str:
        return "x" * 1000

    response = watched(app).get("/")
    assert (response.headers["content-encoding"], len(response.json())) == ("gzip", 1000)
    assert (notes.seen[0].body, notes.seen[0].state) == (response.content, BodyState.WHOLE)


def test_a_stream_whose_reader_leaves_is_broken_off(watched, notes):
    app, wsgi = FastAPI(), flask.Flask("made_up")

    @app.get("/")
    async def export():
        async def produce():
            yield b"[1"
            await asyncio.sleep(60)
            yield b"]"

        return StreamingResponse(produce(), media_type="application/json")

    @wsgi.get("/")
    def slowly():
        return flask.Response((piece for piece in ("[1", "]")), mimetype="application/json")

    for client in (watched(app), watched(wsgi, "wsgi")):
        with client.stream("GET", "/") as response:
            assert next(response.iter_raw()) == b"[1"
    assert [(seen.body, seen.state) for seen in notes.seen] == [(b"[1", BodyState.BROKEN_OFF)] * 2


def test_what_a_wsgi_app_writes_beside_its_result_is_of_the_body(watched, notes):
    def app(environ, start_response):
        write = start_response("200 OK", [("Content-Type", "text/plain")])
        write(b"a")
        return [b"b"]

    assert watched(app, "wsgi").get("/").text == "ab"
    assert (notes.seen[0].body, notes.seen[0].state) == (b"ab", BodyState.WHOLE)


def test_a_wsgi_app_that_replaces_its_response_is_seen_with_the_second(watched, notes):
    def app(environ, start_response):
        start_response("200 OK", [("Content-Length", "0"), ("Content-Type", "text/plain")])
        error = LookupError("no such user")
        start_response("503 No", [], (LookupError, error, None))
        return [b"no"]

    assert watched(app, "wsgi").get("/").text == "no"
    (seen,) = notes.seen
    assert (seen.status, seen.media_type, seen.body, seen.state) == (503, "", b"no", BodyState.WHOLE)
