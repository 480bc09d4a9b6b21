"""A response is compared with the app's own description: status, media type and schema."""

from __future__ import annotations

import json
from datetime import date

import litestar
import pytest
from fastapi import FastAPI
from litestar.params import FromPath
from starlette.applications import Starlette
from starlette.routing import Host, Mount

from seatrial.contracts.found import descriptions_of
from seatrial.contracts.openapi import OpenApi, OpenApis
from seatrial.events import BodyState, Exchange

USER = {
    "type": "object",
    "required": ["id"],
    "properties": {"id": {"type": "integer"}, "name": {"type": "string"}},
}
DOCUMENT = {
    "openapi": "3.1.0",
    "paths": {
        "/users/{user_id}": {
            "get": {
                "responses": {
                    "200": {"content": {"application/json": {"schema": {"$ref": "#/components/schemas/User"}}}},
                    "404": {"$ref": "#/components/responses/Missing"},
                    "4XX": {"description": "wrong"},
                }
            }
        },
        "/": {"get": {"responses": {"200": {}}}},
        "/any": {"get": {"responses": {"default": {"content": {"text/*": {}}}}}},
        "/file": {
            "get": {"responses": {"default": {"content": {"*/*": {}}}}},
            "head": {"responses": {"200": {"content": {"*/*": {}}}}},
        },
        "/text": {"get": {"responses": {"200": {"content": {"text/plain": {"schema": {"type": "string"}}}}}}},
    },
    "components": {
        "schemas": {"User": USER},
        "responses": {"Missing": {"content": {"application/problem+json": {"schema": {"type": "object"}}}}},
    },
}


def answer(
    body: bytes | None = b"", *, route="/users/{user_id}", status=200, media_type="application/json", method="GET",
    state=BodyState.WHOLE,
):  # fmt: skip
    return Exchange(
        resource="app", test="t", number=1, caller="test", method=method, path=route, route=route, status=status,
        media_type=media_type, body=body, body_state=state, milliseconds=1,
    )  # fmt: skip


@pytest.fixture(scope="module")
def described() -> OpenApi:
    return OpenApi(DOCUMENT)


@pytest.mark.parametrize(
    "exchange",
    [
        pytest.param(answer(b'{"id": 1}'), id="as described"),
        pytest.param(answer(b'{"id": 1}', route="/users/{user_id:int}"), id="a route with a type in it"),
        pytest.param(answer(b'{"id": 1}', route="/users/<int:other>"), id="a route in Flask's words"),
        pytest.param(answer(b"{}", status=404, media_type="application/problem+json"), id="a response by reference"),
        pytest.param(answer(b"gone", status=410, media_type="text/plain"), id="a class of statuses, without content"),
        pytest.param(answer(b"hello", route="/any", media_type="text/plain"), id="a range of media types"),
        pytest.param(answer(b"?", route="/elsewhere", status=500), id="a path that nobody described"),
        pytest.param(answer(b"?", route="", status=404), id="no route at all"),
        pytest.param(answer(status=0), id="no response"),
        pytest.param(answer(status=405, method="OPTIONS"), id="what frameworks answer by themselves"),
        pytest.param(answer(media_type="", state=BodyState.NONE), id="a status without a body"),
        pytest.param(answer(method="HEAD", route="/file", state=BodyState.NONE), id="a HEAD that is described"),
        pytest.param(answer(b"no JSON", route="/text", media_type="text/plain"), id="a text with a schema"),
        pytest.param(answer(None, state=BodyState.TOO_LARGE), id="a body that was too large to keep"),
        pytest.param(answer(b"[1", state=BodyState.BROKEN_OFF), id="the beginning of a body that broke off"),
        pytest.param(answer(b"?", state=BodyState.ENCODED), id="an encoding that nobody here reads"),
        pytest.param(answer(route="/any", media_type="text/plain"), id="a text of no words"),
        pytest.param(answer(route="/file", media_type=""), id="nothing, where anything may come"),
    ],
)
def test_what_is_described_so_contradicts_nothing(described, exchange):
    assert not described.contradiction(exchange)


@pytest.mark.parametrize(
    ("exchange", "text"),
    [
        (answer(status=201), "answered 201, which is not described (described: 200, 404, 4XX)"),
        (
            answer(status=404, method="HEAD", route="/file", state=BodyState.NONE),
            "answered 404, which is not described",
        ),
        (answer(b"hi", media_type="text/html"), "answered 200 as text/html, described as application/json"),
        (answer(b"nonsense"), "answered 200 with a body that is no JSON"),
        (answer(), "answered 200 without a body, described as application/json"),
        (answer(media_type=""), "answered 200 without a body, described as application/json"),
        (answer(b"[1", media_type="text/html", state=BodyState.BROKEN_OFF), "answered 200 as text/html"),
        (answer(b'{"id": "1"}'), 'answered 200 with a body that is not as described: body.id: "1" is not of type'),
        (answer(b"{}"), 'a body that is not as described: body: "id" is a required property'),
        (answer(b"[]", status=404, media_type="application/problem+json"), 'an array is not of type "object"'),
    ],
)
def test_a_contradiction_says_in_what(described, exchange, text):
    assert text in described.contradiction(exchange)


LOGIN = {
    "type": "object",
    "properties": {
        "access_token": {"type": "integer"},
        "password": {"type": "string", "maxLength": 3},
        "credentials": {"type": "array", "items": {"type": "integer"}},
        "header": {"enum": ["a"]},
        "note": {"type": "integer"},
        "pin": {"type": "string"},
        "tags": {"type": "object", "additionalProperties": {"type": "integer"}},
    },
    "propertyNames": {"maxLength": 30},
}
JWT = "eyJhbGciOiJub25lIn0.eyJzdWIiOiJodW50ZXIyMiJ9.geheim"


@pytest.mark.parametrize(
    ("value", "text"),
    [
        ([{"password": "geheim"}], 'body: an array is not of type "object"'),
        ({"tags": ["geheim"]}, 'body.tags: an array is not of type "object"'),
        ({"note": {"password": "geheim"}}, 'body.note: an object is not of type "integer"'),
        ({"access_token": "geheim"}, 'body.access_token: a string is not of type "integer"'),
        ({"password": "geheim"}, "body.password: a string is longer than 3 characters"),
        ({"credentials": ["geheim"]}, 'body.credentials[0]: a string is not of type "integer"'),
        ({"pin": 1234}, 'body.pin: a number is not of type "string"'),
        ({"pin": None}, 'body.pin: null is not of type "string"'),
        ({"header": f"Bearer {JWT}"}, 'body.header: "Bearer ***" is not one of'),
        ({"note": JWT}, 'body.note: "***" is not of type "integer"'),
        ({"tags": {JWT: "x"}}, 'body.tags.***: "x" is not of type "integer"'),
        ({JWT: 1}, '"***" is longer than 30 characters'),
        ({"note": "ahoy"}, 'body.note: "ahoy" is not of type "integer"'),
        ({"note": "ahoy " * 100}, '... is not of type "integer"'),
    ],
)
def test_a_contradiction_tells_types_where_a_value_is_large_or_may_be_secret(value, text):
    response = {"200": {"content": {"application/json": {"schema": LOGIN}}}}
    described = OpenApi({"openapi": "3.1.0", "paths": {"/login": {"post": {"responses": response}}}})
    told = described.contradiction(answer(json.dumps(value).encode(), route="/login", method="POST"))
    assert text in told
    assert "geheim" not in told
    assert "1234" not in told


def described_as(**paths: dict[str, str]) -> OpenApi:
    """Each path with its methods, and the type that each answers with."""

    def responses(kind):
        return {"responses": {"200": {"content": {"application/json": {"schema": {"type": kind}}}}}}

    return OpenApi(
        {
            "openapi": "3.1.0",
            "paths": {path: {method: responses(kind) for method, kind in ways.items()} for path, ways in paths.items()},
        }
    )


@pytest.mark.parametrize("route", ["/f/{fid:int}", "/f/<int:fid>", "/f/<fid>/", "/f/{other:int}"])
def test_of_paths_of_one_shape_the_one_with_the_same_names_is_compared_or_one_that_has_the_method(route):
    described = described_as(**{"/f/{id}": {"get": "string"}, "/f/{fid}": {"put": "integer"}})
    assert described.contradiction(answer(b"1", route=route, method="PUT")) == ""
    assert 'not of type "integer"' in described.contradiction(answer(b'"1"', route=route, method="PUT"))


def test_a_path_of_the_same_names_is_compared_whichever_comes_first():
    described = described_as(**{"/f/{id}": {"get": "string"}, "/f/{fid}": {"get": "integer"}})
    assert described.contradiction(answer(b"1", route="/f/{fid:int}")) == ""
    assert described.contradiction(answer(b'"1"', route="/f/{id:str}")) == ""


def test_an_operation_that_is_left_out_of_the_description_is_not_taken_for_another_one():
    described = described_as(**{"/f/{id}": {"get": "string"}, "/f/{fid}": {"put": "integer"}})
    assert described.contradiction(answer(b"1", route="/f/{fid:int}", method="GET")) is None


def test_the_own_words_of_openapi_3_0_are_understood():
    schema = {"type": "object", "properties": {"name": {"type": "string", "nullable": True}}}
    bounds = {"type": "integer", "minimum": 0, "exclusiveMinimum": True}
    schema["properties"]["age"] = bounds
    schema["properties"]["kind"] = {"enum": ["a"], "nullable": True}
    response = {"200": {"content": {"application/json": {"schema": schema}}}}
    described = OpenApi({"openapi": "3.0.3", "paths": {"/x": {"get": {"responses": response}}}})
    assert described.contradiction(answer(b'{"name": null, "age": 1, "kind": null}', route="/x")) == ""
    assert "body.age" in described.contradiction(answer(b'{"age": 0}', route="/x"))
    assert "body.kind" in described.contradiction(answer(b'{"kind": "b"}', route="/x"))


def test_the_description_is_asked_of_fastapi_also_beneath_a_middleware_and_of_litestar():
    class Middleware:
        def __init__(self, app):
            self.app = app

    app = FastAPI(title="made up")
    ((place, document),) = descriptions_of(Middleware(app))
    assert (place, document["info"]["title"]) == ("", "made up")

    @litestar.get("/items/{item_id:int}")
    async def read(item_id: FromPath[int]) -> int:
        return item_id

    ((_, document),) = descriptions_of(litestar.Litestar([read]))
    described = OpenApi(document)
    assert described.contradiction(answer(b"3", route="/items/{item_id:int}")) == ""
    assert "not of type" in described.contradiction(answer(b'"3"', route="/items/{item_id:int}"))


def test_a_description_without_paths_contradicts_nothing():
    assert OpenApi({"openapi": "3.1.0", "webhooks": {}}).contradiction(answer(b"?", status=500)) is None


def test_an_app_without_a_description_has_none():
    assert descriptions_of(object()) == []
    assert descriptions_of(FastAPI(openapi_url=None)), "it describes itself, though it does not serve that"


def test_an_app_that_is_mounted_is_compared_with_its_own_description():
    inner, version, outer = FastAPI(), FastAPI(), FastAPI()
    for app in (inner, version, outer):
        app.get("/lamps/{name}")(lamps)
    version.mount("/inner", inner)
    outer.mount("/v1", version)
    for target, places in ((outer, ["", "/v1", "/v1/inner"]), (Starlette(routes=[Mount("/api", inner)]), ["/api"])):
        found = descriptions_of(target)
        described = OpenApis(found)
        assert [place for place, _ in found] == places
        for place in places:
            assert described.contradiction(answer(b"3", route=f"{place}/lamps/{{name}}")) == ""
            assert "not of type" in described.contradiction(answer(b'"3"', route=f"{place}/lamps/{{name}}"))


def lamps(name: str) -> int:
    return len(name)


def test_an_app_that_is_mounted_twice_or_at_a_name_is_compared_at_both():
    version, outer = FastAPI(), FastAPI()
    version.get("/lamps/{name}")(lamps)
    for place in ("/v1", "/latest", "/{tenant}/shop"):
        outer.mount(place, version)
    described = OpenApis(descriptions_of(outer))
    for place in ("/v1", "/latest", "/acme/shop"):
        assert "not of type" in described.contradiction(answer(b'"3"', route=f"{place}/lamps/{{name}}"))
    assert described.contradiction(answer(b'"3"', route="/v10/lamps/{name}")) == ""


def test_of_two_apps_that_may_have_answered_it_is_enough_that_one_says_so():
    """Starlette has apps for several hosts, at the same paths."""

    def words(name: str) -> str:
        return name

    numbers, texts = FastAPI(), FastAPI()
    numbers.get("/lamps/{name}")(lamps)
    texts.get("/lamps/{name}")(words)
    routes = [Host("api.example.org", numbers), Host("www.example.org", texts)]
    described = OpenApis(descriptions_of(Starlette(routes=routes)))
    for body in (b"3", b'"3"'):
        assert described.contradiction(answer(body, route="/lamps/{name}")) == ""
    assert "not of type" in described.contradiction(answer(b"[]", route="/lamps/{name}"))


def test_an_app_that_can_not_describe_itself_leaves_those_around_it_comparable():
    def broken():
        raise LookupError("no such model")

    inner, outer = FastAPI(openapi_url=None), FastAPI()
    inner.openapi = broken
    outer.get("/lamps/{name}")(lamps)
    outer.mount("/admin", inner)
    described = OpenApis(descriptions_of(outer))
    assert "not of type" in described.contradiction(answer(b'"3"', route="/lamps/{name}"))
    with pytest.raises(LookupError, match="no such model"):
        described.contradiction(answer(b"3", route="/admin/lamps"))
    with pytest.raises(LookupError, match="no such model"):
        OpenApis(descriptions_of(inner))


def test_to_be_asked_changes_nothing_of_the_app():
    """A description of the usual kind is made once: what a test adds later would be missing there."""
    app = FastAPI()

    def made_once():
        if app.openapi_schema is None:
            app.openapi_schema = {"openapi": "3.1.0", "paths": {route.path: {} for route in app.routes}}
        return app.openapi_schema

    app.openapi = made_once
    descriptions_of(app)
    app.get("/lamps/{name}")(lamps)
    assert "/lamps/{name}" in app.openapi()["paths"]


@pytest.mark.parametrize(("version", "text"), [("3.0.3", ""), ("3.1.0", '"password" is a required property')])
def test_what_is_only_written_is_required_in_requests_only_by_openapi_3_0(version, text):
    schema = {"required": ["password"], "properties": {"password": {"type": "string", "writeOnly": True}}}
    response = {"200": {"content": {"application/json": {"schema": schema}}}}
    described = OpenApi({"openapi": version, "paths": {"/x": {"get": {"responses": response}}}})
    assert described.contradiction(answer(b"{}", route="/x")).endswith(text)


def test_a_description_that_was_read_from_yaml_is_compared_as_it_is_served():
    """Its statuses are numbers, and its paths begin where its servers have them."""
    responses = {200: {"content": {"application/json": {"schema": {"type": "integer"}}}}}
    described = OpenApi(
        {
            "openapi": "3.1.0",
            "info": {"version": date(2026, 11, 30)},
            "servers": [{"url": "/"}, {"url": "https://api.example.org/api/v1/"}],
            "paths": {"/lamps/{name}": {"get": {"responses": responses}}},
        }
    )
    for route in ("/lamps/{name}", "/api/v1/lamps/{name:str}"):
        assert described.contradiction(answer(b"1", route=route)) == ""
        assert "not of type" in described.contradiction(answer(b'"1"', route=route))
        assert described.contradiction(answer(route=route, status=404)).endswith("(described: 200)")
    assert described.contradiction(answer(b'"1"', route="/api/v2/lamps/{name}")) is None


def by_reference(reference: str) -> OpenApi:
    responses = {"200": {"content": {"application/json": {"schema": {"type": "integer"}}}}, "404": {"$ref": reference}}
    return OpenApi({"openapi": "3.1.0", "paths": {"/a/{id}": {"get": {"responses": responses}}}})


def test_a_reference_into_another_path_is_followed():
    described = by_reference("#/paths/~1a~1%7Bid%7D/get/responses/200")
    assert described.contradiction(answer(b"1", route="/a/{id}", status=404)) == ""
    assert "not of type" in described.contradiction(answer(b'"1"', route="/a/{id}", status=404))


@pytest.mark.parametrize("reference", ["shared.yaml#/Missing", "#/components", "#/paths/~1a~1{id}/get/responses/404"])
def test_a_reference_that_leads_to_no_response_is_told(reference):
    """A file, nothing, and itself."""
    with pytest.raises(ValueError, match="leads to no response in the document"):
        by_reference(reference).contradiction(answer(b"1", route="/a/{id}", status=404))


def test_what_is_no_number_is_no_json():
    schema = {"type": ["number", "null"]}
    response = {"200": {"content": {"application/json": {"schema": schema}}}}
    described = OpenApi({"openapi": "3.1.0", "paths": {"/x": {"get": {"responses": response}}}})
    assert "a body that is no JSON: NaN" in described.contradiction(answer(b"NaN", route="/x"))
