"""Calls by httpx to a service of this process go straight to its app: no socket, no second thread of a server."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from types import ModuleType
from typing import Any

from seatrial.patches.when_imported import WhenImported

Bridge = Callable[[ModuleType], Any]
"""From httpx or httpx2 to one of its transports, which leads to the app."""

METHODS: Mapping[str, str] = {
    "HTTPTransport": "handle_request",
    "AsyncHTTPTransport": "handle_async_request",
}


class Shortcuts:
    """httpx's and httpx2's own transports hand such a request to the app. All others go their way. A `Patch`.

    Args:
        bridges: by host and port, the way to the app there.
    """

    name = "httpx: calls between services of this process need no socket"

    def __init__(self, bridges: Mapping[tuple[str, int], Bridge]) -> None:
        self._bridges = bridges
        self._watches = [WhenImported(name, self._patch) for name in ("httpx", "httpx2")]
        self._undo: list[tuple[Any, str, Any]] = []
        self._applied = False

    def apply(self) -> None:
        """Change both libraries now, or as soon as they are imported."""
        if not self._applied:
            self._applied = True
            for watch in self._watches:
                watch.install()

    def undo(self) -> None:
        """Leave them as they were found."""
        self._applied = False
        for watch in self._watches:
            watch.remove()
        while self._undo:
            kind, method, original = self._undo.pop()
            setattr(kind, method, original)

    def _patch(self, module: ModuleType) -> None:
        for kind_name, method in METHODS.items():
            kind: Any = getattr(module, kind_name)
            original = getattr(kind, method)
            self._undo.append((kind, method, original))
            setattr(kind, method, self._short(module, method, original))

    def _short(self, module: ModuleType, method: str, original: Callable[..., Any]) -> Callable[..., Any]:
        def short(transport: Any, request: Any) -> Any:
            bridge = self._bridges.get((request.url.host, request.url.port))
            if bridge is None:
                return original(transport, request)
            return getattr(bridge(module), method)(request)

        return short
