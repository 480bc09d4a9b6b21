"""The HTTP side of the API: who may ask, what a request says, and what an error becomes."""

from __future__ import annotations

import re
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from http import HTTPStatus
from typing import Any

from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response, StreamingResponse
from starlette.routing import Route
from starlette.types import Receive, Scope, Send

from seatrial.control.api import answers
from seatrial.control.api.answers import JSON
from seatrial.control.api.decode import Decoder, encode
from seatrial.control.api.description import MOST_SINCE
from seatrial.control.api.endpoints import ENDPOINTS, PATTERNS, Endpoint
from seatrial.control.api.messages import Problem
from seatrial.control.api.problems import RequestError
from seatrial.control.service import Service
from seatrial.errors import SeatrialError

_FORMS: Mapping[str, re.Pattern[str]] = {name: re.compile(pattern.strip("^$")) for name, pattern in PATTERNS.items()}
_STREAM: Mapping[str, str] = {"Cache-Control": "no-store", "Connection": "close"}
"""Of a response that is held: its end is the end of the connection."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Call:
    """One request, read and checked."""

    request: Request
    path: Mapping[str, str]
    body: Any
    """The message that the endpoint takes; None where it takes none."""
    query: Mapping[str, int]


Handler = Callable[[Call], Awaitable[Any]]


def application(service: Service, handlers: Mapping[str, Handler], token: str) -> Starlette:
    """The ASGI application: a handler for each endpoint, by its name.

    Args:
        service: is told of each request, so that it knows when it is idle.
        handlers: what each endpoint does.
        token: what a request must bear.
    """
    routes = [
        Route(endpoint.path, _Answering(service, endpoint, handlers[endpoint.name], token), methods=[endpoint.method])
        for endpoint in sorted(ENDPOINTS, key=_asked_seldom)
    ]
    return Starlette(routes=routes, exception_handlers={HTTPException: _no_such_path})


def _asked_seldom(endpoint: Endpoint) -> bool:
    """Starlette looks through its routes in order: what encloses each test comes first."""
    return not endpoint.path.startswith("/v1/workers/{worker}/")


class _Answering:
    """One endpoint, as an ASGI application: what Starlette puts around a function, for its errors, is not needed."""

    def __init__(self, service: Service, endpoint: Endpoint, handler: Handler, token: str) -> None:
        self._service = service
        self._endpoint = endpoint
        self._handler = handler
        self._token = token.encode()
        self._decoder = Decoder(endpoint.takes) if endpoint.takes is not None else None

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        response = await self._answer(Request(scope, receive))
        await response(scope, receive, send)

    async def _answer(self, request: Request) -> Response:
        endpoint = self._endpoint
        with self._service.request():
            try:
                if not endpoint.public:
                    answers.authorize(request.headers.get("Authorization", ""), self._token)
                call = Call(
                    request=request,
                    path=_path(request),
                    body=await _body(request, self._decoder),
                    query=_query(request, endpoint) if endpoint.query else {},
                )
                told = await self._handler(call)
            except ClientDisconnect:
                return Response(status_code=HTTPStatus.BAD_REQUEST)  # nobody reads it
            except Exception as error:  # noqa: BLE001 - whatever it is, the client must be told in three parts
                return failure(error)
        if endpoint.streams:
            return StreamingResponse(told, media_type="text/event-stream", headers=_STREAM)
        if told is None:
            return Response(status_code=HTTPStatus.NO_CONTENT)
        return Response(encode(told), status_code=endpoint.status, media_type=JSON)


def failure(error: Exception) -> Response:
    """The response that tells an error."""
    status, body = answers.failed(error)
    headers = {"WWW-Authenticate": "Bearer"} if status == HTTPStatus.UNAUTHORIZED else None
    return Response(body, status_code=status, media_type=JSON, headers=headers)


def _path(request: Request) -> Mapping[str, str]:
    for name, value in request.path_params.items():
        if not _FORMS[name].fullmatch(value):
            raise RequestError(422, f'"{value[:40]}" can\'t be a {name}', fix=f"write it in the form {PATTERNS[name]}")
    return request.path_params


async def _body(request: Request, decoder: Decoder | None) -> Any:
    if decoder is None:
        return None
    body = b""
    async for chunk in request.stream():
        body += chunk
        answers.limit(len(body))
    return answers.read(decoder, request.headers.get("Content-Type", JSON), body)


def _query(request: Request, endpoint: Endpoint) -> Mapping[str, int]:
    found = {}
    for name in request.query_params:
        if name not in endpoint.query:
            continue  # what we don't know may be a client's own business, as `?cache=no` is
        text = request.query_params[name]
        if not re.fullmatch("[0-9]{1,16}", text) or int(text) > MOST_SINCE:
            raise RequestError(422, f'{name} is "{text[:40]}"', fix="send a number of bytes")
        found[name] = int(text)
    return found


async def _no_such_path(request: Request, error: Exception) -> Response:
    assert isinstance(error, HTTPException)
    told = SeatrialError(
        f"{request.method} {request.url.path[:200]}: {HTTPStatus(error.status_code).phrase}",
        fix="GET /v1/openapi.json lists every endpoint",
    )
    return Response(encode(Problem.of(told)), status_code=error.status_code, media_type=JSON, headers=error.headers)
