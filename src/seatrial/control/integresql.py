"""The REST protocol of IntegreSQL, version 1, so that its clients work unchanged; they send no token.

The protocol is that of https://github.com/allaboutapps/integresql (README, and its routes). As there, a client may
never give a database back: when all are out, the oldest one that nobody is connected to is taken back.
"""

from __future__ import annotations

import json
import time
from collections.abc import Awaitable, Callable, Mapping
from contextlib import suppress
from http import HTTPStatus
from typing import Any
from urllib.parse import parse_qs

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from seatrial.control.api.problems import NoneFree, RequestError, status_of
from seatrial.control.leases.shelf import Taken
from seatrial.control.service import Service
from seatrial.errors import SeatrialError
from seatrial.resources.protocol import Address

_LIFETIME = 0.25
"""Seconds that a database stays with whoever got it, whether or not he is connected by then: IntegreSQL's default."""
_LOOK = 0.02
"""Seconds between two looks for a database that nobody is connected to."""
_FROM_BROWSERS = ("origin", "sec-fetch-site")
"""Headers that only browsers send: a page of somebody else's must not reach what takes no token."""
PREFIX = "/api/v1"
Answer = Callable[[Request], Awaitable[Response]]


class IntegreSQL:
    """The endpoints, over the templates and copies of a service."""

    def __init__(self, service: Service) -> None:
        self._service = service
        self._given: dict[str, dict[str, float]] = {}
        """By hash: the numbers of copies that were ever given out, and when."""
        self._began_anew = False

    def application(self) -> Starlette:
        """The ASGI application."""
        test = f"{PREFIX}/templates/{{hash}}/tests/{{id}}"
        table: Mapping[tuple[str, str], Answer] = {
            ("POST", f"{PREFIX}/templates"): self.initialize,
            ("PUT", f"{PREFIX}/templates/{{hash}}"): self.finalize,
            ("DELETE", f"{PREFIX}/templates/{{hash}}"): self.discard,
            ("GET", f"{PREFIX}/templates/{{hash}}/tests"): self.get_test,
            ("POST", f"{test}/recreate"): self.give_back,
            ("POST", f"{test}/unlock"): self.give_back,
            ("DELETE", test): self.give_back,
            ("DELETE", f"{PREFIX}/admin/templates"): self.discard_all,
        }
        return Starlette(
            routes=[
                Route(path, self._answered(answer), methods=[method], name=f"{method} {path}")
                for (method, path), answer in table.items()
            ]
        )

    async def initialize(self, request: Request) -> Response:
        """A template to fill: 200 with its database, or 423 where it is there or being filled."""
        hash_ = await _hash(request)
        if self._began_anew and hash_ not in self._given:
            with suppress(RequestError):  # an earlier server may have left one
                await self._service.discard(hash_)
        _, address = await self._service.begin_template(hash_)
        self._given.setdefault(hash_, {})
        if address is None:
            raise RequestError(
                HTTPStatus.LOCKED,
                "template is already initialized",
                cause="another client has filled it, or does so now",
                fix=f"GET {PREFIX}/templates/HASH/tests: it waits until the template is finalized",
            )
        return JSONResponse({"database": _database(hash_, address)})

    async def finalize(self, request: Request) -> Response:
        """The template is filled."""
        await self._service.finalize(request.path_params["hash"])
        return Response(status_code=HTTPStatus.NO_CONTENT)

    async def discard(self, request: Request) -> Response:
        """Give a template up."""
        hash_ = request.path_params["hash"]
        self._given.pop(hash_, None)
        await self._service.discard(hash_)
        return Response(status_code=HTTPStatus.NO_CONTENT)

    async def discard_all(self, request: Request) -> Response:
        """Give every template up that was asked for here; one of an earlier server goes when its hash comes."""
        del request
        known, self._given = list(self._given), {}
        self._began_anew = True
        for hash_ in known:
            with suppress(RequestError):  # it was never finished
                await self._service.discard(hash_)
        return Response(status_code=HTTPStatus.NO_CONTENT)

    async def get_test(self, request: Request) -> Response:
        """A database at the template's baseline; waits until that is finalized."""
        hash_ = request.path_params["hash"]
        taken = await self._take(hash_)
        if await request.is_disconnected():
            await self._service.put_back(taken.id)
        self._given.setdefault(hash_, {})[taken.id] = time.monotonic()
        return JSONResponse({"id": int(taken.id), "database": _database(hash_, taken.copy.address)})

    async def give_back(self, request: Request) -> Response:
        """`recreate` and `unlock` alike: what was written is undone, and told in a header, if anything was."""
        hash_, number = request.path_params["hash"], request.path_params["id"]
        if not number.isdecimal():
            raise RequestError(
                HTTPStatus.BAD_REQUEST, "invalid test database ID", fix="send the number that came with the database"
            )
        if number not in self._given.get(hash_, {}):
            what = "test database" if hash_ in self._given else "template"
            raise RequestError(
                HTTPStatus.NOT_FOUND,
                f"{what} not found",
                fix=f"POST {PREFIX}/templates makes a template, GET .../tests takes one",
            )
        headers = {}
        with suppress(RequestError):  # it was given back already
            undone = await self._service.put_back(number)
            if undone.tables or undone.path == "clone":
                headers["Seatrial-Undone"] = ", ".join(undone.tables) or undone.reason
        return Response(status_code=HTTPStatus.NO_CONTENT, headers=headers)

    async def _take(self, hash_: str) -> Taken:
        until = time.monotonic() + self._service.limits.wait
        while True:
            try:
                return await self._service.open_copy(hash_, wait=_LOOK)
            except NoneFree:
                if not await self._take_back() and time.monotonic() > until:
                    raise

    async def _take_back(self) -> bool:
        """Whether a database could be taken back: the oldest that nobody is connected to."""
        given = [(since, hash_, number) for hash_, many in self._given.items() for number, since in many.items()]
        for since, hash_, number in sorted(given):
            if time.monotonic() - since < _LIFETIME:
                break
            try:
                if not await self._service.in_use(number):
                    await self._service.put_back(number)
                    return True
            except RequestError:
                self._given.get(hash_, {}).pop(number, None)  # it was given back long ago
        return False

    def _answered(self, answer: Answer) -> Answer:
        async def answered(request: Request) -> Response:
            with self._service.request():
                if any(header in request.headers for header in _FROM_BROWSERS):
                    return _message(HTTPStatus.FORBIDDEN, "browsers are not served")
                try:
                    return await answer(request)
                except SeatrialError as error:
                    return _message(status_of(error), str(error))

        return answered


async def _hash(request: Request) -> str:
    """The hash in the body, as JSON or as a form: clients send either."""
    body = (await request.body()).decode("utf-8", "replace")
    try:
        found: Any = json.loads(body)
        hash_ = found.get("hash") if isinstance(found, dict) else None
    except ValueError:
        hash_ = parse_qs(body).get("hash", [None])[0]
    if not isinstance(hash_, str) or not hash_:
        raise RequestError(
            HTTPStatus.BAD_REQUEST,
            "hash is required",
            fix='send {"hash": "..."}: a hash of all that the template is made of',
        )
    return hash_


def _database(hash_: str, address: Address) -> dict[str, Any]:
    config = {
        "host": address.host,
        "port": address.port,
        "username": address.user,
        "password": address.password,
        "database": address.database,
    }
    return {"templateHash": hash_, "config": config}


def _message(status: int, text: str) -> Response:
    return JSONResponse({"message": text}, status_code=status)
