"""One HTTP request and its answer, between a client and an app's gateway: neither knows the other."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Coroutine, Mapping, MutableMapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol, TypeVar

from seatrial.apps.loop import Loop

T = TypeVar("T")

DEFAULT_PORTS: Mapping[str, int] = {"http": 80, "https": 443}

Headers = Sequence[tuple[bytes, bytes]]
"""Pairs of name (lower case) and value, in the order of the wire; a name may come more than once."""

Message = MutableMapping[str, Any]
"""One of ASGI's."""

RAISED = "seatrial.raised"
"""In an environ or a scope: a list of the exceptions that a framework turned into a response, and only announced."""

RAISES = "seatrial.raises"
"""In an environ or a scope: whether the client raises what the app raised, in the place of any response."""

Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]


@dataclass(frozen=True, slots=True)
class Request:
    """A request as a server would have read it from the wire."""

    method: str
    scheme: str
    host: str
    port: int
    raw_path: bytes
    """Percent-encoded, without the query."""
    query: bytes
    headers: Headers
    pieces: Sequence[bytes] = (b"",)
    """The body where its length is known; empty where it comes by `Exchange.upload`, piece by piece."""
    root_path: str = ""
    """Where a proxy would have mounted the app."""
    raises: bool = False
    """Whether its client raises what the app raises, and gives no response."""

    def __str__(self) -> str:
        return f"{self.method} {self.raw_path.decode('ascii', 'replace')}"


@dataclass(frozen=True, slots=True)
class Answer:
    """What became of a request: a response, an exception, or both."""

    status: int | None
    """None where the app never began a response."""
    headers: Headers = ()
    body: bytes = b""
    error: BaseException | None = None
    """What the app raised, even after a complete response."""
    whole: bool = True
    """Whether the app has sent all of the response, as far as that is known."""
    extensions: Mapping[str, Any] = field(default_factory=dict)
    """By ASGI's names: "http.response.trailers", "http.response.debug"."""


class Exchange(Protocol):
    """A request under way, step by step; each step is work for `Gateway.run` or `Gateway.wait`."""

    async def start(self) -> None:
        """Call the app. Once, before all else."""
        ...

    async def upload(self, piece: bytes) -> bool:
        """Hand a piece of the request's body to the app; False when the app wants no more. Waits while it is busy."""
        ...

    async def uploaded(self) -> None:
        """The body is at its end."""
        ...

    async def begun(self) -> Answer:
        """The answer's status and headers, or the error that was raised instead of them."""
        ...

    async def pieces(self) -> list[bytes]:
        """What the app has sent meanwhile, as it was produced; waits for it. Empty when the app's call has ended."""
        ...

    async def answer(self) -> Answer:
        """The whole answer, when the app's call has ended; without the pieces that were taken already."""
        ...

    async def leave(self) -> None:
        """The client goes away: the app sees that, and is cancelled where it does not mind. Waits for its end."""
        ...


class Socket(Protocol):
    """A WebSocket, from the client's side; each step is work for `Gateway.run` or `Gateway.wait`."""

    async def connect(self) -> Message | None:
        """Call the app; its first message, or None where it ended without one."""
        ...

    async def put(self, message: Message) -> None:
        """Hand a message to the app."""
        ...

    async def take(self) -> Message | None:
        """The app's next message; None where it has ended."""
        ...

    async def leave(self, code: int, reason: str) -> None:
        """Close it, where the app has not; the app is cancelled where it does not mind. Waits for its end."""
        ...

    @property
    def error(self) -> BaseException | None:
        """What the app raised, if it was not about the client's departure."""
        ...


class Gateway(Protocol):
    """How an app is called: by ASGI or by WSGI."""

    @property
    def state(self) -> Mapping[str, Any]:
        """What the app's start left for its requests; empty where its interface has no such thing."""
        ...

    def open(self) -> None:
        """Start the app, once; later calls do nothing, or raise again the `AppError` of the first."""
        ...

    def answer(self, request: Request, timeout: float | None = None) -> Answer:
        """One call of the app, run to its end. What the app raises is in the answer.

        Raises `TooSlow` where that takes longer than `timeout` seconds: the app's call is then cancelled.
        """
        ...

    async def answer_async(self, request: Request, timeout: float | None = None) -> Answer:  # noqa: ASYNC109 - as above
        """The same, awaited from any event loop, which goes on meanwhile."""
        ...

    def exchange(self, request: Request) -> Exchange:
        """The same, step by step."""
        ...

    def socket(self, request: Request, subprotocols: Sequence[str]) -> Socket:
        """A WebSocket. Raises `AppError` where the app's interface has none."""
        ...

    def run(self, work: Coroutine[Any, Any, T], timeout: float | None = None) -> T:
        """Do a step of an exchange or a socket. Raises `TooSlow`; the step is then given up."""
        ...

    async def wait(self, work: Coroutine[Any, Any, T], timeout: float | None = None) -> T:  # noqa: ASYNC109 - as above
        """The same, awaited from any event loop."""
        ...

    async def hosted(self, scope: dict[str, Any], receive: Receive, send: Send) -> None:
        """One call of the app by a server that runs on `loop`, as ASGI has it."""
        ...

    @property
    def loop(self) -> Loop:
        """Where the app lives, or where a server for it may live."""
        ...

    def drop(self, work: Coroutine[Any, Any, object]) -> None:
        """Have a step done without waiting for it: for who is being cancelled."""
        ...

    def abandon(self) -> list[str]:
        """End what still runs; returns what of it nobody had given up: "GET /events"."""
        ...

    def close(self) -> None:
        """Stop the app, once. Raises `AppError` where its end fails; all else of ours is ended even then."""
        ...
