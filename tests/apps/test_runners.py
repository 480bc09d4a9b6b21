"""The clients under each test runner and loop: one app, one loop of its own, no warning, nothing left."""

from __future__ import annotations

import pytest
from tests.loop_scopes import PYTEST_ASYNCIO

PROJECT = {
    "pyproject.toml": """
        [tool.pytest.ini_options]
        pythonpath = ["."]
        filterwarnings = ["error"]

        [tool.seatrial]
        app = "service:app"
        """,
    "service.py": """
        import asyncio
        from contextlib import asynccontextmanager
        from fastapi import FastAPI, Request, WebSocket
        from fastapi.responses import StreamingResponse

        @asynccontextmanager
        async def lifespan(app):
            lock = asyncio.Lock()           # belongs to the first loop that waits for it
            yield {"lock": lock, "loop": asyncio.get_running_loop()}

        app = FastAPI(lifespan=lifespan)

        @app.get("/")
        async def look(request: Request):
            async with request.state.lock:
                await asyncio.sleep(0.001)
            same = request.state.loop is asyncio.get_running_loop()
            return {"same": same, "loop": type(request.state.loop).__module__}

        @app.get("/events")
        async def events():
            async def endless():
                while True:
                    yield "data: x\\n\\n"
                    await asyncio.sleep(0.001)
            return StreamingResponse(endless())

        @app.get("/short")
        async def short():
            return StreamingResponse(iter(["a\\n", "b\\n"]))

        @app.get("/broken")
        async def broken():
            raise LookupError("no such user")

        @app.get("/slow")
        async def slow():
            await asyncio.sleep(60)

        @app.websocket("/echo")
        async def echo(websocket: WebSocket):
            await websocket.accept()
            async for text in websocket.iter_text():
                await websocket.send_text(text)
        """,
    "cases.py": """
        import anyio
        import pytest
        from httpx2 import ReadTimeout

        class Cases:
            @pytest.mark.parametrize("number", range(2))
            async def test_requests_overlap(self, async_client, number):
                got = []

                async def ask():
                    got.append((await async_client.get("/")).json()["same"])

                async with anyio.create_task_group() as group:
                    for _ in range(5):
                        group.start_soon(ask)
                assert got == [True] * 5

            async def test_the_sync_client_too(self, client, async_client):
                assert client.get("/").json() == (await async_client.get("/")).json()

            async def test_streams_and_websockets(self, async_client):
                async with async_client.stream("GET", "/events") as response:
                    async for line in response.aiter_lines():
                        assert line == "data: x"
                        break
                async with async_client.websocket_connect("/echo") as websocket:
                    await websocket.send_text("hello")
                    assert await websocket.receive_text() == "hello"

            async def test_exceptions_and_time_outs(self, async_client):
                with pytest.raises(LookupError, match="no such user"):
                    await async_client.get("/broken")
                with pytest.raises(ReadTimeout):
                    await async_client.get("/slow", timeout=0.01)
                with anyio.move_on_after(0.01) as scope:
                    await async_client.get("/slow")
                assert scope.cancelled_caught
                assert (await async_client.get("/")).json()["same"]
        """,
}

ANYIO = """
    import pytest
    from cases import Cases

    @pytest.mark.anyio
    @pytest.mark.parametrize("anyio_backend", ["asyncio"])
    class TestAsyncio(Cases):
        pass

    @pytest.mark.anyio
    @pytest.mark.parametrize("anyio_backend", [("asyncio", {"use_uvloop": True})], ids=["uvloop"])
    class TestUvloop(Cases):
        async def test_the_test_runs_on_uvloop(self, async_client):
            import asyncio
            assert type(asyncio.get_running_loop()).__module__ == "uvloop"
            assert (await async_client.get("/")).json()["same"]

    @pytest.mark.anyio
    @pytest.mark.parametrize("anyio_backend", ["trio"])
    class TestTrio(Cases):
        async def test_streams_and_websockets(self, async_client):
            # To its end: trio warns of each generator of httpx's own that is left before.
            async with async_client.stream("GET", "/short") as response:
                assert [line async for line in response.aiter_lines()] == ["a", "b"]
            async with async_client.websocket_connect("/echo") as websocket:
                await websocket.send_text("hello")
                assert await websocket.receive_text() == "hello"
"""

UVLOOP = """
    import asyncio, uvloop
    asyncio.set_event_loop_policy(uvloop.EventLoopPolicy())
"""

ON_UVLOOP = """
    import pytest
    from cases import Cases

    @pytest.mark.anyio
    @pytest.mark.parametrize("anyio_backend", ["asyncio"])
    class TestAnAppOnUvloop(Cases):
        async def test_the_app_runs_on_uvloop(self, async_client):
            assert (await async_client.get("/")).json()["loop"] == "uvloop"
"""


@pytest.mark.parametrize(
    ("files", "plugins", "passed"),
    [
        (
            {"test_it.py": PYTEST_ASYNCIO},
            ["-p", "pytest_asyncio.plugin", "-o", "asyncio_default_fixture_loop_scope=function"],
            25,
        ),
        ({"test_it.py": ANYIO}, ["-p", "anyio.pytest_plugin"], 16),
        ({"test_it.py": ON_UVLOOP, "conftest.py": UVLOOP}, ["-p", "anyio.pytest_plugin"], 6),
    ],
    ids=["pytest-asyncio", "anyio", "the app on uvloop"],
)
def test_every_runner_and_loop_reaches_the_app_without_a_warning(project, files, plugins, passed):
    project.write(PROJECT | files)
    outcome = project.pytest("-q", *plugins)
    assert outcome.status == 0, outcome.text
    assert f"{passed} passed" in outcome.text, outcome.text
    assert "warning" not in outcome.text.lower(), outcome.text
