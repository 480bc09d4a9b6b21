"""Exceptions that a framework turns into responses and only announces: raised after the response, as others do.

Starlette raises after its page for a failure; Litestar has a hook in the place of that.
"""

from __future__ import annotations

import sys
from collections.abc import Awaitable, Callable, MutableMapping
from typing import Any

Message = MutableMapping[str, Any]
Scope = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]

RAISED = "seatrial.raised"
"""In a scope: a list of what was announced."""
FAILED = 500


class Announced:
    """An ASGI application around Litestar's, or around a middleware of that.

    Args:
        app: what is called.
        litestar: the application that announces.
    """

    def __init__(self, app: Any, litestar: Any) -> None:
        self._app = app
        self._hooks: list[Any] = litestar.after_exception
        self._hooks.append(_announce)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass the call on; raises what was announced, where it became a failure of the server."""
        __tracebackhide__ = True
        raised: list[Exception] = []
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
        if _announce in self._hooks:
            self._hooks.remove(_announce)


def announcing(target: Any) -> Any:
    """The Litestar application that `target` is, or that a middleware of `target` wraps; None where there is none."""
    litestar = sys.modules.get("litestar")
    while litestar is not None and target is not None:
        if isinstance(target, litestar.Litestar):
            return target
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
