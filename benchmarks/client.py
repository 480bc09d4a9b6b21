"""What one request costs: Seatrial's `client` and `async_client` beside the test clients of the frameworks, in one run.

    python benchmarks/client.py [requests]

Wall time of one request in milliseconds, requests per second, and how many times as long as Seatrial's. Batches of
the compared clients are interleaved, so that a slow moment of the machine meets all of them; "quiet" is the lower
decile, which says what the work costs where nothing else runs; "mean" is what was seen, with all that the machine did.

"each its own loop" is TestClient as most projects use it (`TestClient(app)`); "one loop" is the same inside `with`,
where its lifespan runs too. ASGITransport runs the app in the test's own loop: no second thread, no lifespan, no
streaming. "httpx alone" is the same client with a transport that answers at once; "app alone" is the app called on a
running loop, without a client or a second thread. What is above their sum is the way from thread to thread and back.
At the end stands how many times as long as ours TestClient's quickest way took for each request, beside what we aim at.
"""

from __future__ import annotations

import asyncio
import statistics
import sys
import time
from collections.abc import Awaitable, Callable, Mapping, Sequence
from contextlib import ExitStack
from typing import Any

import django
import flask
from django.conf import settings
from django.core.handlers.wsgi import WSGIHandler
from django.http import JsonResponse
from django.test import Client as DjangoClient
from django.urls import path
from fastapi import FastAPI
from pydantic import BaseModel
from starlette.testclient import TestClient

from seatrial.apps.asgi import AsgiGateway
from seatrial.apps.clients.transport import library
from seatrial.apps.exchange import Request
from seatrial.apps.inprocess import InProcess

BATCH = 10
AT_LEAST, AIM = 2, 3
"""Times as fast as TestClient."""
HELLO = {"hello": "world"}
urlpatterns = [path("hello", lambda _: JsonResponse(HELLO))]

Send = Callable[[], Any]


class User(BaseModel):
    email: str
    name: str


def fastapi_app() -> FastAPI:
    app = FastAPI()

    @app.get("/async")
    async def in_the_loop() -> dict[str, str]:
        return HELLO

    @app.get("/sync")
    def in_a_thread() -> dict[str, str]:
        return HELLO

    @app.post("/users")
    async def create(user: User) -> User:
        return user

    return app


def flask_app() -> flask.Flask:
    app = flask.Flask(__name__)
    app.get("/hello")(lambda: HELLO)
    return app


def django_app() -> WSGIHandler:
    settings.configure(ROOT_URLCONF=__name__, ALLOWED_HOSTS=["*"], SECRET_KEY="x")
    django.setup()
    return WSGIHandler()


WORK: dict[str, Callable[[Any], Any]] = {
    "GET, async endpoint": lambda client: client.get("/async"),
    "GET, sync endpoint": lambda client: client.get("/sync"),
    "POST JSON, async endpoint": lambda client: client.post("/users", json={"email": "a@example.org", "name": "A"}),
}


def compare(title: str, clients: dict[str, Send], requests: int) -> dict[str, float]:
    """Interleave batches of one request each, and print what they took; returns the ratios where it was quiet."""
    taken: dict[str, list[float]] = {name: [] for name in clients}
    for batch in range(requests // BATCH + 1):
        for name, send in clients.items():
            for _ in range(BATCH):
                start = time.perf_counter()
                response = send()
                took = time.perf_counter() - start
                assert response.status_code == 200
                if batch:  # the first one warms up
                    taken[name].append(took * 1000)
    return show(title, taken)


async def compare_async(title: str, clients: dict[str, Callable[[], Awaitable[Any]]], requests: int) -> None:
    """The same, awaited."""
    taken: dict[str, list[float]] = {name: [] for name in clients}
    for batch in range(requests // BATCH + 1):
        for name, send in clients.items():
            for _ in range(BATCH):
                start = time.perf_counter()
                response = await send()
                took = time.perf_counter() - start
                assert response.status_code == 200
                if batch:
                    taken[name].append(took * 1000)
    show(title, taken)


def show(title: str, taken: Mapping[str, Sequence[float]]) -> dict[str, float]:
    print(f"\n{title:34}  quiet ms  ratio      mean ms  ratio    per second")
    rows = {name: (statistics.quantiles(times, n=10)[0], statistics.fmean(times)) for name, times in taken.items()}
    ours = next(iter(rows.values()))
    for name, (quiet, mean) in rows.items():
        ratios = quiet / ours[0], mean / ours[1]
        print(f"  {name:32} {quiet:9.3f} {ratios[0]:5.1f}x    {mean:9.3f} {ratios[1]:5.1f}x  {1000 / mean:12.0f}")
    return {name: quiet / ours[0] for name, (quiet, _) in rows.items()}


def fastapi_clients(requests: int) -> dict[str, float]:
    """For each request, the ratio of TestClient's quickest way."""
    claims = {}
    app = fastapi_app()
    ours = InProcess(app, "asgi")
    with ExitStack() as stack:
        stack.callback(ours.close)
        clients = {
            "seatrial client": ours.client(),
            "TestClient, each its own loop": TestClient(app),
            "TestClient, one loop": stack.enter_context(TestClient(app)),
        }
        for title, work in WORK.items():
            ratios = compare(f"FastAPI: {title}", {k: lambda c=c, w=work: w(c) for k, c in clients.items()}, requests)
            claims[title] = min(ratio for name, ratio in ratios.items() if "TestClient" in name)
        asyncio.run(fastapi_async(app, ours, requests))
    return claims


async def fastapi_async(app: FastAPI, ours: InProcess, requests: int) -> None:
    http = library()
    transport = http.ASGITransport(app)
    async with http.AsyncClient(transport=transport, base_url="http://testserver") as theirs:
        clients = {"seatrial async_client": ours.async_client(), "httpx ASGITransport": theirs}
        for title, work in WORK.items():
            both = {name: lambda c=client, w=work: w(c) for name, client in clients.items()}
            await compare_async(f"FastAPI, awaited: {title}", both, requests)


def wsgi_clients(title: str, app: Any, theirs: Any, requests: int) -> None:
    ours = InProcess(app, "wsgi")
    try:
        client = ours.client()
        compare(
            title,
            {"seatrial client": lambda: client.get("/hello"), "its own client": lambda: theirs.get("/hello")},
            requests,
        )
    finally:
        ours.close()


def parts(requests: int) -> None:
    """What a GET of the async endpoint is made of."""
    http = library()
    headers = [(b"content-type", b"application/json")]
    transport = http.MockTransport(lambda _: http.Response(200, headers=headers, content=b'{"hello":"world"}'))
    with http.Client(transport=transport, base_url="http://testserver") as client:
        compare("Of the first", {"httpx alone": lambda: client.get("/async")}, requests)
    gateway = AsgiGateway(fastapi_app())
    request = Request("GET", "http", "testserver", 80, b"/async", b"", [(b"host", b"testserver")])

    class Ok:
        status_code = 200

    async def call() -> type[Ok]:
        assert (await gateway._answer(request)).status == 200  # noqa: SLF001 - the part below the thread is what is measured
        return Ok

    asyncio.run(compare_async("", {"app alone": call}, requests))


def main() -> None:
    requests = int(sys.argv[1]) if len(sys.argv) > 1 else 500
    claims = fastapi_clients(requests)
    flask_one = flask_app()
    wsgi_clients("Flask: GET", flask_one, flask_one.test_client(), requests)
    wsgi_clients("Django: GET", django_app(), DjangoClient(), requests)
    parts(requests)
    print(f"\nTestClient, times as long; at least {AT_LEAST}, aim {AIM}")
    for title, ratio in claims.items():
        print(
            f"  {title:32} {ratio:5.1f}  {'no' if ratio < AT_LEAST else 'yes' if ratio < AIM else 'yes, and the aim'}"
        )


if __name__ == "__main__":
    main()
