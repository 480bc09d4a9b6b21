"""An app in this process: imported once, started before the first client, handed to every test of the worker."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from types import ModuleType
from typing import Any, Literal

from seatrial.apps.asgi import AsgiGateway
from seatrial.apps.calls.hosted import log
from seatrial.apps.clients.client import client_class, of_address
from seatrial.apps.clients.transport import Transport, library
from seatrial.apps.dependencies.overrides import Memory, put_back, remember, replace
from seatrial.apps.dependencies.providers import Replacements
from seatrial.apps.exchange import Gateway
from seatrial.apps.load import Interface, interface_of
from seatrial.apps.observe.announced import Announced, announcing
from seatrial.apps.observe.asgi import ObservedAsgi
from seatrial.apps.observe.seen import Witness
from seatrial.apps.observe.wsgi import ObservedWsgi
from seatrial.apps.serving.live import Live, LiveApp
from seatrial.apps.wsgi import WsgiGateway
from seatrial.errors import AppError

GATEWAYS: Mapping[Interface, Callable[[Any], Gateway]] = {"asgi": AsgiGateway, "wsgi": WsgiGateway}
DOORS: Mapping[Interface, Callable[[Any, Witness], Any]] = {"asgi": ObservedAsgi, "wsgi": ObservedWsgi}


class InProcess:
    """An `App` of ASGI or WSGI.

    Args:
        target: the application object.
        interface: how to call it; found out by what it takes where it is not given.
        http: httpx or httpx2; the one that is installed by default.
        witness: who looks at the exchanges.
    """

    def __init__(
        self,
        target: Any,
        interface: Interface | None = None,
        *,
        http: ModuleType | None = None,
        witness: Witness | None = None,
    ) -> None:
        self.target = target
        self._http = http
        self._classes: dict[str, type[Any]] = {}
        self._live: Live | None = None
        interface = interface or _interface(target)
        # What is called is the target with a witness at its door; all else about the app is the target's.
        announcer = announcing(target)
        self._announced = Announced(target, announcer) if announcer is not None else None
        served = self._announced or target
        self.served = served if witness is None else DOORS[interface](served, witness)
        self._gateway: Gateway = GATEWAYS[interface](self.served)
        self._before: Memory | None = None
        self._ours: dict[Any, Any] = {}
        self._clients: list[Any] = []
        self._async_clients: list[Any] = []

    def begin(self) -> None:
        """A test begins: what others have overridden until now is not its doing, and stays after it.

        May be called after `override`, and again: the last call counts. Where nobody calls it, the test begins
        with its first `client`, `async_client` or `override`.
        """
        self._before = remember(self.target, self._before or (), self._ours)

    def client(self, *, raise_server_exceptions: bool = True, root_path: str = "", **options: Any) -> Any:
        """A new `httpx.Client` of the app, with the defaults of Starlette's TestClient; `options` are httpx's.

        Raises `AppError` where the app does not start.
        """
        transport = self._transport(raise_server_exceptions=raise_server_exceptions, root_path=root_path)
        client = self._made("Client", transport, options)
        self._clients.append(client)
        return client

    def async_client(self, *, raise_server_exceptions: bool = True, root_path: str = "", **options: Any) -> Any:
        """The same as an `httpx.AsyncClient`, for tests on an event loop of their own.

        The app stays on its one loop, whichever loop a test has: its pools outlive the test.
        """
        transport = self._transport(raise_server_exceptions=raise_server_exceptions, root_path=root_path)
        client = self._made("AsyncClient", transport, options)
        self._async_clients.append(client)
        return client

    def live(self) -> LiveApp:
        """The same app on a real socket, until the test ends: the same object, the same loop, the same overrides.

        The address is the same for every test. Raises `AppError` where the app does not start, or uvicorn is missing.
        """
        self._begun()
        self._gateway.open()
        if self._live is None:
            self._live = Live(self._gateway.hosted, self._gateway.loop)
        base_url = self._live.serve()

        def make(kind: Literal["Client", "AsyncClient"]) -> Any:
            self._http = self._http or library()
            return of_address(self._http, kind, base_url)

        live = LiveApp(base_url, make)
        self._clients.append(live)
        return live

    def open(self) -> None:
        """Have it started, once; raises `AppError` where it does not start."""
        self._gateway.open()

    def bridge(self, http: ModuleType) -> Transport:
        """A transport of httpx or httpx2 that leads to the app, for others than tests.

        What the app raises is a status of 500 or breaks off the response, and is in the log, as with a server.
        """
        self._gateway.open()
        return Transport(http, self._gateway, raise_server_exceptions=False, as_server=True, unheard=log)

    def override(self, replacements: Replacements) -> None:
        """Replace dependencies for this test. Raises `AppError` where the app has none to replace."""
        self._begun()
        replace(self.target, replacements)
        self._ours.update(replacements)

    def restore(self) -> None:
        """The test is over: clients are closed, and overrides are as they were when it began.

        To be called before fixtures of wider scope are torn down, which may take back overrides of theirs. The
        second call does nothing. Raises `AppError` naming the requests that still ran; they were cancelled.
        """
        before, self._before, self._ours = self._before, None, {}
        while self._clients:
            self._clients.pop().close()
        if self._live is not None:
            self._live.open = False
        left = self._gateway.abandon()
        if before is not None:
            put_back(before)
        while self._async_clients:
            _finish(self._async_clients.pop().aclose())
        if left:
            raise _still_running(left)

    def close(self) -> None:
        """Restore, and end the app. Raises `AppError` where its shutdown fails."""
        live, self._live = self._live, None
        try:
            self.restore()
        finally:
            if live is not None:
                live.close()
            if self._announced is not None:
                self._announced.close()
            self._gateway.close()

    def _begun(self) -> None:
        if self._before is None:
            self.begin()

    def _transport(self, *, raise_server_exceptions: bool, root_path: str) -> Transport:
        self._begun()
        self._http = self._http or library()
        self._gateway.open()
        return Transport(
            self._http, self._gateway, raise_server_exceptions=raise_server_exceptions, root_path=root_path
        )

    def _made(self, kind: Literal["Client", "AsyncClient"], transport: Transport, options: dict[str, Any]) -> Any:
        http: Any = self._http
        headers = http.Headers(options.pop("headers", None))
        headers.setdefault("user-agent", "testclient")
        # No time-out where nobody sets one, as in Starlette's TestClient: somebody may sit in a debugger.
        defaults = {"base_url": "http://testserver", "follow_redirects": True, "timeout": None}
        if kind not in self._classes:
            self._classes[kind] = client_class(http, kind)
        client = self._classes[kind](transport=transport, headers=headers, **(defaults | options))
        # Tests written for Starlette's TestClient look at these two.
        client.app = self.target
        client.app_state = self._gateway.state
        return client


def _interface(target: Any) -> Interface:
    interface = interface_of(target)
    if interface is None:
        raise AppError(
            f"A {type(target).__module__}.{type(target).__qualname__} is not an application.",
            cause="it takes neither (scope, receive, send), as ASGI does, nor (environ, start_response), as WSGI does",
            fix="pass the application object, and not its factory or its module",
        )
    return interface


def _still_running(left: list[str]) -> AppError:
    return AppError(
        f"The test ended while the app still answered: {', '.join(sorted(left))}.",
        cause="the test never waited for the end, or left a stream or a WebSocket open; what ran was cancelled, "
        "but for a call of a WSGI app: that goes on in its thread",
        fix="wait for each request, and open streams and WebSockets in a `with` block",
    )


def _finish(closing: Any) -> None:
    """Run a coroutine that never waits: our transport has no connections to close."""
    try:
        closing.send(None)
    except StopIteration:
        return
    closing.close()
