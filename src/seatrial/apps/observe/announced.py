"""Exceptions that a framework turns into responses and only announces: raised after the response, as others do.

Starlette raises after its page for a failure; Litestar has a hook in the place of that, Django a signal.
"""

from __future__ import annotations

import sys
from collections.abc import Awaitable, Callable, MutableMapping
from typing import Any, Protocol

from seatrial.apps.exchange import RAISED
from seatrial.apps.observe.signals import Signals

Message = MutableMapping[str, Any]
Scope = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]

FAILED = 500


class Announcer(Protocol):
    """Notes what a framework announces in the scope of its request."""

    def listen(self) -> None:
        """From now on."""
        ...

    def close(self) -> None:
        """No longer."""
        ...


class Announced:
    """An ASGI application around Litestar's or Django's, or around a middleware of that.

    Args:
        app: what is called.
        announcer: listens to the framework.
    """

    def __init__(self, app: Any, announcer: Announcer) -> None:
        self._app = app
        self._announcer = announcer
        announcer.listen()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass the call on; raises what was announced, where it became a failure of the server."""
        __tracebackhide__ = True
        raised: list[BaseException] = []
        scope[RAISED] = raised
        status = 0

        async def sending(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = int(message["status"])
            if message["type"] == "websocket.close" and raised:
                return  # a server closes it when the exception reaches it
            await send(message)

        try:
            await self._app(scope, receive, sending)
            if raised and (status == FAILED or scope["type"] == "websocket"):
                raise raised[-1]
        finally:
            raised.clear()  # their tracebacks hold this frame: no cycle that keeps the app's objects alive

    def close(self) -> None:
        """Listen no more."""
        self._announcer.close()


class _Litestar:
    """The hook of one application."""

    def __init__(self, app: Any) -> None:
        self._hooks: list[Any] = app.after_exception

    def listen(self) -> None:
        self._hooks.append(_announce)

    def close(self) -> None:
        if _announce in self._hooks:
            self._hooks.remove(_announce)


def announcing(target: Any) -> Announcer | None:
    """For what `target` is, or a middleware of `target` wraps; None where that raises by itself."""
    litestar, django = sys.modules.get("litestar"), sys.modules.get("django.core.handlers.asgi")
    while (litestar or django) and target is not None:
        if litestar is not None and isinstance(target, litestar.Litestar):
            return _Litestar(target)
        if django is not None and isinstance(target, django.ASGIHandler):
            return Signals()
        target = getattr(target, "app", None)
    return None


async def _announce(error: Exception, scope: Scope) -> None:
    if isinstance(error, sys.modules["litestar.exceptions"].LitestarException) or _is_handled(error, scope):
        return
    raised = scope.get(RAISED)
    if raised is not None:
        raised.append(error)


def _is_handled(error: Exception, scope: Scope) -> bool:
    """Whether the app has a handler for just this: what it makes of it is a response like any other."""
    handler = scope.get("route_handler")
    handlers = handler.resolve_exception_handlers() if handler else scope["litestar_app"].exception_handlers
    return any(isinstance(kind, type) and kind is not Exception and isinstance(error, kind) for kind in handlers)
