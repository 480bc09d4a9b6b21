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
