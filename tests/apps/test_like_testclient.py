"""Whoever comes from Starlette's TestClient finds the same: the app is shown the same, the test gets the same."""

from __future__ import annotations

import base64
from collections.abc import Iterator
from typing import Any

import httpx2
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse
from starlette.routing import Route
from starlette.testclient import TestClient

from seatrial.apps.inprocess import InProcess

METHODS = ["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "PURGE"]


async def echo(request: Request) -> JSONResponse:
    """Tells what the app was shown, and answers with the status and headers that it was asked for."""
    scope = request.scope
    told = {key: scope[key] for key in ("type", "http_version", "method", "scheme", "path", "root_path")}
    told["raw_path"] = scope["raw_path"].decode("ascii")
    told["query_string"] = scope["query_string"].decode("ascii")
    told["headers"] = [[name.decode("latin-1"), value.decode("latin-1")] for name, value in scope["headers"]]
    told["client"], told["server"] = list(scope["client"]), list(scope["server"])
    told["cookies"] = request.cookies
    told["body"] = base64.b64encode(await request.body()).decode()
    response = JSONResponse(told, int(request.query_params.get("status", "200")))
    response.set_cookie("seen", "1")
    return response


@pytest.fixture(scope="module")
def app() -> Iterator[InProcess]:
    app = InProcess(Starlette(routes=[Route("/{path:path}", echo, methods=METHODS)]), "asgi")
    yield app
    app.close()


# No "%" in a path: TestClient unescapes "%2525" twice, a server and we do it once (test_requests.py). No "." or
# "..", which httpx resolves for both in the same way, and no leading "//", which is a host.
segments = st.text(st.characters(exclude_categories=["Cs", "Cc"], exclude_characters="%/\\?#"), min_size=1, max_size=8)
paths = st.lists(segments.filter(lambda text: text.strip(".")), max_size=4).map(lambda parts: "/" + "/".join(parts))
texts = st.text(st.characters(exclude_categories=["Cs"]), max_size=12)
tokens = st.text("abcdefghijklmnopqrstuvwxyz0123456789_-", min_size=1, max_size=10)
printable = st.text(st.characters(min_codepoint=33, max_codepoint=126), max_size=20)
headers = st.lists(st.tuples(tokens.map(lambda token: f"x-{token}"), printable), max_size=4)
cookies = st.dictionaries(tokens, st.text("abcXYZ019._-", max_size=10), max_size=3)
json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | texts,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(texts, inner, max_size=3),
    max_leaves=6,
)
files = st.dictionaries(tokens, st.tuples(tokens, st.binary(max_size=30)), min_size=1, max_size=2)
bodies = st.one_of(
    st.just({}),
    st.binary(max_size=200).map(lambda body: {"content": body}),
    st.lists(st.binary(max_size=20), max_size=4).map(lambda pieces: {"pieces": pieces}),
    json_values.map(lambda value: {"json": value}),
    st.dictionaries(tokens, texts, max_size=3).map(lambda form: {"data": form}),
    files.map(lambda some: {"files": some}),
)


def arguments(body: dict[str, Any]) -> dict[str, Any]:
    """What httpx takes: a generator serves one request only, so each client gets its own."""
    if "pieces" in body:
        return {"content": (piece for piece in body["pieces"])}
    if "files" in body:
        return {**body, "headers": {"content-type": "multipart/form-data; boundary=fixed"}}
    return dict(body)


def asked(client: httpx2.Client, *, method: str, path: str, query, extra, jar, body) -> dict[str, Any]:
    """What the test gets: status, headers, body, cookies; and, in the body, what the app was shown."""
    arguments_ = arguments(body)
    client.cookies.clear()
    for name, value in jar.items():
        client.cookies.set(name, value)
    arguments_["headers"] = [*extra, *arguments_.pop("headers", {}).items()] if "headers" in arguments_ else extra
    response = client.request(method, httpx2.URL(path=path), params=query, **arguments_)
    return {
        "status": response.status_code,
        "reason": response.reason_phrase,
        "headers": response.headers.multi_items(),
        "content": response.content,
        "cookies": dict(response.cookies),
        "jar": dict(client.cookies),
        "url": str(response.url),
        "sent": response.request.content,
    }


@settings(max_examples=100)
@given(
    method=st.sampled_from(METHODS),
    path=paths,
    query=st.lists(st.tuples(texts, texts), max_size=3),
    status=st.sampled_from([200, 201, 202, 400, 404, 409, 422, 500, 503]),
    extra=headers,
    jar=cookies,
    body=bodies,
)
@example(method="POST", path="/", query=[], status=200, extra=[("x-a", "1"), ("x-a", "2")], jar={}, body={"json": 1})
@example(method="HEAD", path="/ü", query=[("a", "ü&=")], status=404, extra=[], jar={"a": "b"}, body={})
def test_both_clients_show_the_app_the_same_request_and_get_the_same_response(
    *, app, method, path, query, status, extra, jar, body
):
    query = [*query, ("status", str(status))]
    request = {"method": method, "path": path, "query": query, "extra": extra, "jar": jar, "body": body}
    with TestClient(app.target) as theirs:
        expected = asked(theirs, **request)
    assert asked(app.client(), **request) == expected
    app.restore()
