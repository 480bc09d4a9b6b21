"""Looks at each exchange of an ASGI app, between whoever calls it and the app itself."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterable, Iterator, MutableMapping
from typing import Any

from seatrial.apps.exchange import RAISES
from seatrial.apps.observe.seen import Seen, Witness, in_one_line

Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]


class ObservedAsgi:
    """An ASGI application around another."""

    def __init__(self, app: Any, witness: Witness) -> None:
        self._app = app
        self._witness = witness

    async def __call__(self, scope: MutableMapping[str, Any], receive: Receive, send: Send) -> None:
        """Pass the call on; nothing of it is changed or held back."""
        __tracebackhide__ = True
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        seen = Seen(scope["method"], scope["path"], scope.get("query_string", b"").decode("latin-1"))
        ticket = self._witness.begins(seen)
        if ticket is None:
            await self._app(scope, receive, send)
            return

        async def sending(message: Message) -> None:
            if message["type"] == "http.response.start":
                seen.route = _asgi_route(scope)
                seen.starts(int(message["status"]), _text(message.get("headers", ())))
            elif message["type"] == "http.response.body":
                seen.keep(bytes(message.get("body", b"")))
                if not message.get("more_body", False):
                    seen.completes()
            await send(message)

        try:
            await self._app(scope, receive, sending)
        except BaseException as error:
            seen.error, seen.raised = in_one_line(error), scope.get(RAISES, False)
            raise
        finally:
            seen.ends()
            seen.route = seen.route or _asgi_route(scope)
            self._witness.ended(ticket)


def _text(headers: Iterable[tuple[bytes, bytes]]) -> Iterator[tuple[str, str]]:
    for name, value in headers:
        yield bytes(name).decode("latin-1"), bytes(value).decode("latin-1")


def _asgi_route(scope: MutableMapping[str, Any]) -> str:
    """What the framework left in the scope: Litestar a template, Starlette the route, FastAPI how it included it."""
    litestars = scope.get("path_template")
    if isinstance(litestars, str):
        return _mounted_at(scope) + (litestars or "/")
    # A FastAPI that includes routers without copying their routes has the whole path in a context of its own.
    context = (scope.get("fastapi") or {}).get("effective_route_context")
    for holder in (context, getattr(context, "starlette_route", None), scope.get("route")):
        template = getattr(holder, "path_format", None) or getattr(holder, "path", None)
        if isinstance(template, str) and template:
            return _mounted_at(scope) + template
    return ""


def _mounted_at(scope: MutableMapping[str, Any]) -> str:
    """Where within the app who answers is mounted; not where a proxy has the app, which FastAPI may say by itself."""
    outer = scope.get("app_root_path")  # there where something is mounted
    return "" if outer is None else str(scope.get("root_path", "")).removeprefix(outer)
