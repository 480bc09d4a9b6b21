"""All that a run can report: frozen values that flow up, for reporters that only listen."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True, kw_only=True)
class Event:
    """Something happened to one resource, or to an app."""

    resource: str
    """Its name; of an app "app", or the name of the service."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ServerReady(Event):
    """A server answers. `attached` is true where it already ran."""

    kind: str
    provider: str
    version: str
    attached: bool
    seconds: float


@dataclass(frozen=True, slots=True, kw_only=True)
class TemplateReady(Event):
    """The baseline exists. `built` is false where an earlier run had built it."""

    key: str
    built: bool
    seconds: float


@dataclass(frozen=True, slots=True, kw_only=True)
class CheckedOut(Event):
    """A test got its copy. `reason` says why this isolation."""

    test: str
    isolation: str
    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class CheckedIn(Event):
    """A test gave its copy back.

    `path` is how the baseline was reached: "nothing" (the test wrote nothing), "log", "scan", "copy",
    "clone" or "rollback". `milliseconds` is wall time between the end of the test and the baseline.
    """

    test: str
    isolation: str
    path: str
    tables: tuple[str, ...]
    rows: int
    milliseconds: float
    reason: str = ""
    read: str = ""
    """What was read to find out what was written: "312 bytes of the log: 4 blocks of 2 relations"."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Audited(Event):
    """All of a copy was compared with its baseline after the check-in of `test`."""

    test: str
    equal: bool
    milliseconds: float


@dataclass(frozen=True, slots=True, kw_only=True)
class ConnectionEnded(Event):
    """The fence ended a connection that still ran, or held a transaction, when its test was over.

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
    """A connection that an earlier test has taken from a pool, and still holds, was used during `test`."""

    test: str
    pid: int
    application: str
    query: str


@dataclass(frozen=True, slots=True, kw_only=True)
class LateWrite(Event):
    """Something was written after the check-in of `test`; it was undone before the next test."""

    test: str
    tables: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Note(Event):
    """Something that the user should know: a schema command without `inputs` runs again each time."""

    text: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Kept(Event):
    """A copy was kept for a look at it."""

    test: str
    url: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Statement:
    """A statement that a driver sent to one of the run's databases while a test ran."""

    resource: str
    """The name of the resource."""
    sql: str
    """As the driver got it, without the parameters: they may be secrets."""
    where: str
    """The line that issued it, "shop/orders.py:41": the nearest one that is neither a library's nor ours."""
    exchange: int = 0
    """The number of the `Exchange` that caused it; 0 outside of any: the test itself, or a thread of its own."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Exchange(Event):
    """An app was asked something by HTTP. `resource` is who answered."""

    test: str
    number: int
    """From 1 on within a test, in the order in which they began."""
    caller: str
    """Who asked: "test", "app", or the name of a service."""
    method: str
    path: str
    query: str = ""
    route: str = ""
    """The path as the app's framework declares it, "/users/{user_id}"; empty where it does not tell."""
    status: int = 0
    """0 where no response was begun."""
    media_type: str = ""
    """Of the response, without its parameters: "application/json"."""
    milliseconds: float
    """From the call of the app to the end of its response."""
    error: str = ""
    """What the app raised, in one line."""
    body: bytes | None = field(default=None, repr=False)
    """Of the response; None where it was not looked at (too large)."""
    statements: tuple[Statement, ...] = field(default=(), repr=False)
    """What it sent to the run's databases, as far as that can be seen from this process."""

    def __str__(self) -> str:
        query = f"?{self.query}" if self.query else ""
        became = " and ".join(str(part) for part in (self.status, self.error) if part) or "no response"
        return f"{self.caller} -> {self.resource}: {self.method} {self.path}{query} {became}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Contradiction(Event):
    """A response of an app contradicts the app's own description of itself."""

    test: str
    operation: str
    """"GET /users/{user_id}"."""
    text: str
    """In what, in one line."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Outbound(Event):
    """A test opened a connection to a host beyond this machine that the configuration does not name."""

    test: str
    host: str
    port: int


Emit = Callable[[Event], None]


def ignore(event: Event) -> None:
    """An `Emit` for those who do not listen."""
