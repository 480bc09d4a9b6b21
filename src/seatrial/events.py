"""All events that a test run can report, for reporters that turn them into text."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from enum import Enum


@dataclass(frozen=True, slots=True, kw_only=True)
class Event:
    """Something that happened to one resource or one app."""

    resource: str
    """The name of the resource; for an app "app", or the name of the service."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ServerReady(Event):
    """A server can be used. `attached` is true if it already ran, and so was not started for this run."""

    kind: str
    provider: str
    version: str
    attached: bool
    seconds: float


@dataclass(frozen=True, slots=True, kw_only=True)
class TemplateReady(Event):
    """The template can be used. `built` is false if it already existed."""

    key: str
    built: bool
    seconds: float


@dataclass(frozen=True, slots=True, kw_only=True)
class CheckedOut(Event):
    """A test begins, with a copy at its baseline. `reason` says why it has this isolation."""

    test: str
    isolation: str
    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class CheckedIn(Event):
    """A test is over, and its copy is back at the baseline.

    `path` is how: "nothing" (the test wrote nothing), "log", "scan", "copy", "clone" or "rollback".
    `milliseconds` is how long that took.
    """

    test: str
    isolation: str
    path: str
    tables: tuple[str, ...]
    rows: int
    milliseconds: float
    reason: str = ""
    read: str = ""
    """What was read to find the changes, in words: "312 bytes of the log: 4 blocks of 2 relations"."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Audited(Event):
    """The audit compared the whole copy with its baseline, after `test` had been undone."""

    test: str
    equal: bool
    milliseconds: float


@dataclass(frozen=True, slots=True, kw_only=True)
class ConnectionEnded(Event):
    """Seatrial ended a connection that still ran a query, or held a transaction, when `test` was over.

    `test` may be a fixture of wider scope: "the fixture stock".
    """

    test: str
    pid: int
    application: str
    query: str
    state: str
    until: str = "the test ends"
    """Before what it should have been at rest; of a fixture "its set-up ends", or "its tear-down ends"."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Disturbed(Event):
    """During `test`, something that an earlier test had left behind used the resource."""

    test: str
    query: str
    pid: int = 0
    """Of a connection that an earlier test took from a pool and never gave back, the server's process."""
    application: str = ""
    by: str = ""
    """Of work that a request of an earlier test has started, that request: "POST /orders of test_a.py::test_a"."""


@dataclass(frozen=True, slots=True, kw_only=True)
class LateWrite(Event):
    """Something was written after `test` had been undone. It was undone as well, before the next test began."""

    test: str
    """Empty where there was none before."""
    tables: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Note(Event):
    """A message for the user, such as: a schema command without `inputs` runs again in each run."""

    text: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Kept(Event):
    """The copy of a failed test was kept for the user to look at (`--seatrial-keep`)."""

    test: str
    url: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Statement:
    """A statement that a driver sent to one of the run's databases while a test ran."""

    resource: str
    """The name of the resource."""
    sql: str
    """The text that the driver got, without the parameters, because these may be secret."""
    where: str
    """The line that sent it, "shop/orders.py:41": the nearest in the stack that is the project's own."""
    exchange: int = 0
    """The number of the `Exchange` during which it was sent; 0 if it was sent by the test, or a thread of its own."""


class BodyState(Enum):
    """How much the body of an `Exchange` tells of what the app had to say."""

    WHOLE = "whole"
    """All of it, as it reads: what was compressed is decompressed. It may be empty."""
    NONE = "none"
    """There can't be one: it answers HEAD, has a status such as 204, or never began."""
    TOO_LARGE = "too large"
    """It was too large to be kept."""
    BROKEN_OFF = "broken off"
    """Its beginning: the client left, or the app failed, before the rest."""
    ENCODED = "encoded"
    """As it was sent, in an encoding that Seatrial can't read."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Exchange(Event):
    """An HTTP request to an app, and its response. `resource` is the app that answered."""

    test: str
    number: int
    """Exchanges are numbered within a test, from 1, in the order in which they began."""
    caller: str
    """Who sent the request: "test", "app", or the name of a service."""
    method: str
    path: str
    query: str = ""
    route: str = ""
    """The path as declared in the app, "/users/{user_id}"; empty if the framework does not say."""
    status: int = 0
    """The response's status; 0 if there was no response."""
    media_type: str = ""
    """The response's media type, without parameters: "application/json"."""
    milliseconds: float
    """The time from the call of the app to the end of its response."""
    error: str = ""
    """The exception that the app raised, in one line; empty if none."""
    raised: bool = False
    """Whether the caller got that exception in the place of the response, as from the fixture `client`."""
    body: bytes | None = field(default=None, repr=False)
    """The body of the response; None if it was too large to be kept."""
    body_state: BodyState = BodyState.NONE
    """How much `body` tells."""
    statements: tuple[Statement, ...] = field(default=(), repr=False)
    """The statements that the app sent to the run's databases, as far as this process can see them."""

    def __str__(self) -> str:
        query = f"?{self.query}" if self.query else ""
        became = " and ".join(str(part) for part in (self.status, self.error) if part) or "no response"
        return f"{self.caller} -> {self.resource}: {self.method} {self.path}{query} {became}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Contradiction(Event):
    """A response of an app contradicts the app's own OpenAPI description."""

    test: str
    operation: str
    """"GET /users/{user_id}"."""
    text: str
    """What the contradiction is, in one line."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Outbound(Event):
    """A test opened a connection to another machine that is not listed in `allow_hosts`."""

    test: str
    host: str
    port: int


Emit = Callable[[Event], None]


def ignore(event: Event) -> None:
    """An `Emit` that drops the event."""
