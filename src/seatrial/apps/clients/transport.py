"""The bridge from an HTTP client to a gateway: one transport, for httpx and for httpx2, sync and async."""

from __future__ import annotations

import importlib
from collections.abc import Callable, Sequence
from types import ModuleType
from typing import Any, Self

from seatrial.apps.clients.streams import Body, Upload
from seatrial.apps.exchange import DEFAULT_PORTS, Answer, Exchange, Gateway, Message, Request, Socket
from seatrial.apps.waking import TooSlow
from seatrial.errors import AppError

LIBRARIES = ("httpx2", "httpx")
"""In this order: both have the same API, and Starlette's own client takes the first that is there too."""

DEBUG = "http.response.debug"

STREAM = "seatrial.stream"
"""An extension of a request: its response is to be handed over as it is produced."""

SOCKET = "seatrial.websocket"
"""An extension of a request: a `Handshake`."""


def library() -> ModuleType:
    """httpx2 or httpx. Raises `AppError` where neither is installed."""
    for name in LIBRARIES:
        try:
            return importlib.import_module(name)
        except ModuleNotFoundError as missing:
            if missing.name != name:
                raise
    raise AppError(
        "There is no HTTP client: neither httpx2 nor httpx is installed.",
        cause="`client` and `async_client` are clients of that library",
        fix="pip install 'seatrial[http]'",
    )


class Handshake:
    """A WebSocket that is to be opened by a request, and what came of it."""

    def __init__(self, subprotocols: Sequence[str]) -> None:
        self.subprotocols = subprotocols
        self.gateway: Gateway | None = None
        self.raises = True
        self.socket: Socket | None = None
        self.answer: Message | None = None


class Transport:
    """What httpx calls a transport, for `httpx.Client` and `httpx.AsyncClient` alike.

    Every request goes to the app, whatever its host. A response is handed over when the app's call has ended, or as
    it is produced where the request has the extension `STREAM`.

    Args:
        http: the library whose requests come in, and whose responses go out.
        gateway: how the app is called; it is open.
        raise_server_exceptions: raise what the app raised, even after a response; otherwise give the
            response as far as it came, or an empty one of status 500.
        root_path: where a proxy would have mounted the app.
        as_server: hand every response over as it is produced (httpx reads it where nobody asked for a stream), and
            raise httpx's error of a server that has gone where the app breaks one off.
        unheard: is told what the app raised, where that is not raised.
    """

    def __init__(
        self,
        http: ModuleType,
        gateway: Gateway,
        *,
        raise_server_exceptions: bool = True,
        root_path: str = "",
        as_server: bool = False,
        unheard: Callable[[BaseException], None] = lambda _: None,
    ) -> None:
        self._http = http
        self._gateway = gateway
        self._raises = raise_server_exceptions
        self._root_path = root_path
        self._as_server = as_server
        self._unheard = unheard

    def handle_request(self, request: Any) -> Any:
        """One request of an `httpx.Client`."""
        __tracebackhide__ = True
        gateway, extensions = self._gateway, request.extensions
        if SOCKET in extensions:
            handshake = extensions[SOCKET]
            handshake.answer = gateway.run(self._connect(request, handshake))
            return self._upgraded(request, handshake)
        timeout, uploads = _timeout(extensions), self._uploads(request)
        streams = self._as_server or STREAM in extensions
        if not (uploads or streams):
            asked = self._translated(request, (request.read(),))
            try:
                return self._response(request, gateway.answer(asked, timeout))
            except TooSlow:
                raise self._too_slow(request, timeout) from None
        exchange = gateway.exchange(self._translated(request, () if uploads else (request.read(),)))
        try:
            gateway.run(exchange.start())
            if uploads:
                request.stream = Upload(request.stream, gateway, exchange)
                request.read()
            if streams:
                return self._begun(request, exchange, gateway.run(exchange.begun(), timeout))
            return self._response(request, gateway.run(exchange.answer(), timeout))
        except TooSlow:
            gateway.run(exchange.leave())
            raise self._too_slow(request, timeout) from None
        except BaseException:
            gateway.drop(exchange.leave())
            raise

    async def handle_async_request(self, request: Any) -> Any:
        """One request of an `httpx.AsyncClient`."""
        __tracebackhide__ = True
        gateway, extensions = self._gateway, request.extensions
        if SOCKET in extensions:
            handshake = extensions[SOCKET]
            handshake.answer = await gateway.wait(self._connect(request, handshake))
            return self._upgraded(request, handshake)
        timeout, uploads = _timeout(extensions), self._uploads(request)
        streams = self._as_server or STREAM in extensions
        if not (uploads or streams):
            asked = self._translated(request, (await request.aread(),))
            try:
                return self._response(request, await gateway.answer_async(asked, timeout))
            except TooSlow:
                raise self._too_slow(request, timeout) from None
        exchange = gateway.exchange(self._translated(request, () if uploads else (await request.aread(),)))
        try:
            await gateway.wait(exchange.start())
            if uploads:
                request.stream = Upload(request.stream, gateway, exchange)
                await request.aread()
            if streams:
                return self._begun(request, exchange, await gateway.wait(exchange.begun(), timeout))
            return self._response(request, await gateway.wait(exchange.answer(), timeout))
        except TooSlow:
            gateway.drop(exchange.leave())
            raise self._too_slow(request, timeout) from None
        except BaseException:
            gateway.drop(exchange.leave())
            raise

    def close(self) -> None:
        """Nothing: there are no connections, and the gateway outlives its clients."""

    async def aclose(self) -> None:
        """Nothing, and without waiting."""

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.aclose()

    def _uploads(self, request: Any) -> bool:
        """Whether the body comes piece by piece: its length is not known."""
        return not isinstance(request.stream, self._http.ByteStream) and "content-length" not in request.headers

    def _translated(self, request: Any, pieces: Sequence[bytes]) -> Request:
        url = request.url
        scheme = url.scheme
        if scheme not in DEFAULT_PORTS:
            raise _no_http(scheme, str(url))
        raw_path, _, query = url.raw_path.partition(b"?")
        headers = [(name.lower(), value) for name, value in request.headers.raw]
        if "host" not in request.headers:
            headers.insert(0, (b"host", url.netloc))
        return Request(
            request.method,
            scheme,
            url.raw_host.decode("ascii"),
            url.port or DEFAULT_PORTS[scheme],
            raw_path,
            query,
            headers,
            pieces,
            self._root_path,
            self._raises,
        )

    def _response(self, request: Any, answer: Answer) -> Any:
        """The whole of it."""
        __tracebackhide__ = True
        if answer.error is not None:
            try:
                self._failed(answer.error)
            except BaseException:
                del answer  # the traceback holds this frame: no cycle that keeps the app's objects alive
                raise
        # A stream, not content=...: httpx would add a Content-Length that the app did not send.
        return self._made(request, answer, self._http.ByteStream(answer.body))

    def _begun(self, request: Any, exchange: Exchange, answer: Answer) -> Any:
        """A response whose body is on its way."""
        __tracebackhide__ = True
        if answer.status is None:
            return self._response(request, answer)
        # httpx asks for streams that are its own by class.
        kind = type("Body", (Body, self._http.SyncByteStream, self._http.AsyncByteStream), {})
        timeout = _timeout(request.extensions)
        late, broken = self._too_slow(request, timeout), self._broken_off(request) if self._as_server else None
        body = kind(self._gateway, exchange, failed=self._failed, timeout=timeout, late=late, broken=broken)
        return self._made(request, answer, body)

    def _failed(self, error: BaseException) -> None:
        """The app has raised `error`."""
        __tracebackhide__ = True
        if not self._raises:
            self._unheard(error)
            return
        try:
            raise error
        finally:
            del error  # the traceback holds this frame: no cycle that keeps the app's objects alive

    def _connect(self, request: Any, handshake: Handshake) -> Any:
        asked = self._translated(request, ())
        handshake.gateway, handshake.raises = self._gateway, self._raises
        handshake.socket = self._gateway.socket(asked, handshake.subprotocols)
        return handshake.socket.connect()

    def _upgraded(self, request: Any, handshake: Handshake) -> Any:
        """What an HTTP client sees of a handshake: 101, or the app's refusal."""
        __tracebackhide__ = True
        message, socket = handshake.answer, handshake.socket
        assert socket is not None
        if message is None:
            return self._response(request, Answer(None, error=socket.error))
        status = {"websocket.accept": 101, "websocket.close": 403}.get(message["type"]) or message["status"]
        headers = [(bytes(name), bytes(value)) for name, value in message.get("headers") or ()]
        return self._made(request, Answer(status, headers), self._http.ByteStream(b""))

    def _too_slow(self, request: Any, timeout: float | None) -> Exception:
        seconds = "" if timeout is None else f" within {timeout:g} s"
        slow: Exception = self._http.ReadTimeout(f"{request.method} {request.url}: no answer{seconds}", request=request)
        return slow

    def _broken_off(self, request: Any) -> Exception:
        text = f"{request.method} {request.url}: the app broke its response off"
        broken: Exception = self._http.RemoteProtocolError(text, request=request)
        return broken

    def _made(self, request: Any, answer: Answer, stream: Any) -> Any:
        response = self._http.Response(
            500 if answer.status is None else answer.status,
            headers=answer.headers,
            stream=stream,
            request=request,
            extensions=answer.extensions,
        )
        if DEBUG in answer.extensions:  # Starlette tells its own client which template was rendered, and with what
            for name in ("template", "context"):
                if name in answer.extensions[DEBUG]:
                    setattr(response, name, answer.extensions[DEBUG][name])
        return response


def _timeout(extensions: Any) -> float | None:
    """The time-out for reading: there is no connecting or writing that could take long."""
    timeout = extensions.get("timeout")
    return timeout["read"] if timeout else None


def _no_http(scheme: str, url: str) -> AppError:
    return AppError(
        f"The client can't open {url!r}.",
        cause=f"a request of the client in this process is http or https, not {scheme or 'a URL without a scheme'}",
        fix='for a WebSocket: with client.websocket_connect("/path") as websocket: ...',
    )
