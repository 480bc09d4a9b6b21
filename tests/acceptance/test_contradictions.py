"""What a test did that its project may not want is listed with the test; `strict` makes a failure of it."""

from __future__ import annotations

import pytest

PROJECT = {
    "pyproject.toml": """
        [tool.pytest.ini_options]
        pythonpath = ["."]
        filterwarnings = ["error"]

        [tool.seatrial]
        app = "service:app"
        allow_hosts = ["192.0.2.2:443", "*.example.org"]
        """,
    "service.py": """
        from fastapi import FastAPI, HTTPException
        from fastapi.responses import JSONResponse, PlainTextResponse

        app = FastAPI()

        @app.get("/missing")
        def missing() -> str:
            raise HTTPException(404)

        @app.get("/text")
        def text() -> str:
            return PlainTextResponse("ahoy")

        @app.get("/number")
        def number() -> int:
            return JSONResponse("seven")

        @app.get("/good")
        def good() -> int:
            return 7
        """,
    "test_it.py": """
        import socket
        import pytest

        @pytest.mark.parametrize("path", ["missing", "text", "number", "good"])
        def test_asks(client, path):
            client.get(f"/{path}")

        @pytest.mark.parametrize("address", [("192.0.2.1", 443), ("192.0.2.2", 443), ("192.0.2.2", 80), ("127.0.0.1", 9)])
        def test_reaches(address):
            with socket.socket() as sock:
                sock.setblocking(False)  # nobody is there, and nobody is waited for
                try:
                    sock.connect_ex(address)
                except OSError:
                    pass                 # whatever is made of the refusal
        """,
}

CONTRADICTIONS = (
    "GET /missing answered 404, which is not described (described: 200), against its OpenAPI description",
    "in test_it.py::test_asks[missing]",
    "in test_it.py::test_asks[text]",
    "in test_it.py::test_asks[number]",
)
CONNECTIONS = (
    "a connection to 192.0.2.1:443 was opened in test_it.py::test_reaches[address0]",
    "a connection to 192.0.2.2:80 was opened in test_it.py::test_reaches[address2]",
)


@pytest.mark.parametrize(
    ("options", "counts"),
    [
        ((), {"passed": 8}),
        (("-n", "2"), {"passed": 8}),
        (("--seatrial-set", "strict=openapi"), {"passed": 8, "error": 3}),
        (("--seatrial-set", "strict=outbound"), {"passed": 8, "error": 2}),
    ],
    ids=["listed", "listed by two workers", "strict about openapi", "strict about outbound"],
)
def test_each_is_listed_with_its_test_and_fails_it_where_that_is_wished(project, options, counts):
    outcome = project.write(PROJECT).pytest("-q", *options)
    assert outcome.counts() == counts, outcome.text
    listed = [line for line in outcome.text.splitlines() if line.startswith(("app: ", "outbound: "))]
    for told in (*CONTRADICTIONS, *CONNECTIONS):
        assert [line for line in listed if told in line], (told, outcome.text)
    assert len(listed) == 5, outcome.text


def test_a_response_that_contradicts_is_listed_by_a_quiet_run_in_which_nothing_else_is(project):
    outcome = project.write(PROJECT).pytest("-q", "-k", "missing")
    assert outcome.counts() == {"passed": 1, "deselected": 7}, outcome.text
    assert CONTRADICTIONS[0] in outcome.text


APPS = {
    "fastapi": """
        from fastapi import FastAPI

        app = FastAPI()

        @app.get("/boom")
        async def boom() -> None:
            raise ZeroDivisionError
        """,
    "litestar": """
        from litestar import Litestar, get

        @get("/boom")
        async def boom() -> None:
            raise ZeroDivisionError

        app = Litestar([boom])
        """,
}


@pytest.mark.parametrize("framework", APPS)
def test_an_exception_that_the_test_got_is_no_response_that_could_contradict(project, framework):
    project.write(
        {
            "pyproject.toml": PROJECT["pyproject.toml"],
            "service.py": APPS[framework],
            "test_it.py": """
                import asyncio
                import pytest

                def test_raised(client, exchanges):
                    with pytest.raises(ZeroDivisionError):
                        client.get("/boom")
                    assert [(each.status, each.raised) for each in exchanges] == [(500, True)]

                def test_raised_async(async_client, exchanges):
                    with pytest.raises(ZeroDivisionError):
                        asyncio.run(async_client.get("/boom"))
                    assert exchanges[0].raised

                def test_seen(live_app, exchanges):
                    import httpx
                    assert httpx.get(f"{live_app.base_url}/boom").status_code == 500
                    assert not exchanges[0].raised
                """,
        }
    )
    outcome = project.pytest("-q", "--seatrial-set", "strict=openapi")
    assert outcome.text.count("GET /boom answered 500, which is not described") >= 1, outcome.text
    assert outcome.counts() == {"passed": 3, "error": 1}, outcome.text


def test_a_response_is_judged_by_what_its_client_could_read_of_it(project):
    """Compressed ones as they read, none where only a part came, and an empty one as what it is."""
    project.write(
        {
            "pyproject.toml": PROJECT["pyproject.toml"],
            "service.py": """
                import asyncio
                from fastapi import FastAPI, Response
                from fastapi.responses import StreamingResponse
                from starlette.middleware.gzip import GZipMiddleware

                app = FastAPI()
                app.add_middleware(GZipMiddleware)

                @app.get("/long")
                def long() -> list[int]:
                    return list(range(1000))

                @app.get("/export")
                async def export() -> list[int]:
                    async def produce():
                        yield b"[1"
                        await asyncio.sleep(60)
                        yield b"]"

                    return StreamingResponse(produce(), media_type="application/json")

                @app.get("/nothing")
                def nothing() -> int:
                    return Response(status_code=200)
                """,
            "test_it.py": """
                def test_compressed(client):
                    response = client.get("/long")
                    assert response.headers["content-encoding"] == "gzip"
                    assert response.json() == list(range(1000))

                def test_left_early(client):
                    with client.stream("GET", "/export") as response:
                        assert response.status_code == 200

                def test_left_early_on_a_socket(live_app):
                    with live_app.client.stream("GET", "/export") as response:
                        assert response.status_code == 200

                def test_empty(client):
                    assert client.get("/nothing").content == b""
                """,
        }
    )
    outcome = project.pytest("-q", "--seatrial-set", "strict=openapi")
    assert "GET /nothing answered 200 without a body, described as application/json" in outcome.text, outcome.text
    assert outcome.counts() == {"passed": 4, "error": 1}, outcome.text


INCOMPARABLE = {
    "pyproject.toml": PROJECT["pyproject.toml"],
    "service.py": """
        from typing import Annotated
        from fastapi import FastAPI, Response
        from pydantic import BaseModel, Field

        app = FastAPI()

        class Code(BaseModel):
            code: Annotated[str, Field(json_schema_extra={"pattern": r"^a\\Z"})]

        @app.get("/code")
        def code() -> Code:
            return Code(code="a")

        @app.get("/half")
        def half() -> str:
            return Response('"\\\\ud83d"', media_type="application/json")

        @app.get("/lost", responses={404: {"$ref": "#/components/responses/Lost"}})
        def lost() -> int:
            return Response(status_code=404)

        @app.get("/text")
        def text() -> int:
            return Response("ahoy", media_type="text/plain")
        """,
    "test_it.py": """
        import pytest

        @pytest.mark.parametrize("path", ["code", "code", "half", "lost", "text"])
        def test_asks(client, path):
            client.get(f"/{path}")
        """,
}
OPERATIONS = {
    "code": """ValueError: "^a\\\\Z" is not a "regex\"""",
    "half": "UnicodeEncodeError: 'utf-8' codec can't encode character '\\ud83d'",
    "lost": "ValueError: '#/components/responses/Lost' leads to no response in the document",
}


def test_an_operation_that_can_not_be_compared_is_noted_once_and_the_others_are_compared(project):
    outcome = project.write(INCOMPARABLE).pytest("-q")
    assert outcome.counts() == {"passed": 5}, outcome.text
    for path, reason in OPERATIONS.items():
        told = f"app: Responses to GET /{path} can't be compared with the app's OpenAPI description: {reason}"
        assert outcome.text.count(told) == 1, (told, outcome.text)
    assert "GET /text answered 200 as text/plain" in outcome.text


def test_where_responses_must_be_as_described_one_that_can_not_be_compared_fails_its_test(project):
    outcome = project.write(INCOMPARABLE).pytest("-q", "--seatrial-set", "strict=openapi")
    assert outcome.counts() == {"passed": 5, "error": 5}, outcome.text
    assert "Traceback" not in outcome.text, outcome.text
    for path, reason in OPERATIONS.items():
        told = f"Responses to GET /{path} can't be compared with the app's OpenAPI description.\n  why: {reason}"
        assert told in outcome.text, (told, outcome.text)


UNDESCRIBED = {
    "pyproject.toml": PROJECT["pyproject.toml"],
    "service.py": """
        from collections.abc import Callable
        from fastapi import FastAPI
        from pydantic import BaseModel

        app = FastAPI()
        asked = []

        class Hook(BaseModel):
            call: Callable[[int], int]

        @app.post("/hooks")
        def hooks(hook: Hook) -> int:
            return 1

        @app.get("/number")
        def number() -> int:
            return 1

        own = app.openapi

        def openapi():
            asked.append(1)
            return own()

        app.openapi = openapi
        """,
    "test_it.py": """
        import pytest
        from service import asked

        @pytest.mark.parametrize("time", [1, 2])
        def test_asks(client, time):
            assert client.get("/number").json() == 1

        def test_the_description_was_asked_for_once():
            assert asked == [1]
        """,
}


@pytest.mark.parametrize(
    ("options", "counts", "told"),
    [
        ((), {"passed": 3}, "app: Responses of app can't be compared with the app's OpenAPI description: Pydantic"),
        (
            ("--seatrial-set", "strict=openapi"),
            {"passed": 3, "error": 2},
            "  why: PydanticInvalidForJsonSchema: Cannot",
        ),
    ],
    ids=["noted", "strict"],
)
def test_an_app_that_can_not_describe_itself_is_told_of_and_breaks_no_test(project, options, counts, told):
    outcome = project.write(UNDESCRIBED).pytest("-q", *options)
    assert outcome.counts() == counts, outcome.text
    assert outcome.text.count(told) == 1, outcome.text
    assert "Traceback" not in outcome.text, outcome.text


def test_warnings_of_a_description_that_a_project_makes_errors_keep_nothing_from_being_compared(project):
    """`filterwarnings = error` is about the tests; here it would be a teardown that asks for the description."""
    project.write(
        {
            "pyproject.toml": PROJECT["pyproject.toml"],
            "service.py": """
                from fastapi import FastAPI, Response

                app = FastAPI()

                @app.get("/a", operation_id="same")
                def a() -> int:
                    return Response("ahoy", media_type="text/plain")

                @app.get("/b", operation_id="same")
                def b() -> int:
                    return 1
                """,
            "test_it.py": """
                def test_asks(client):
                    client.get("/a")
                """,
        }
    )
    outcome = project.pytest()
    assert outcome.counts() == {"passed": 1}, outcome.text
    assert "GET /a answered 200 as text/plain" in outcome.text, outcome.text
