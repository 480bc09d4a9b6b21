"""Every request and every response of the HTTP API; the OpenAPI description is made from these."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

from seatrial.control.api.advice import for_clients
from seatrial.errors import SeatrialError

Isolation = Literal["reset", "rollback", "clone"]
Configured = Literal["reset", "rollback", "clone", "auto"]
"""What a configuration may say: "auto" chooses one for each test."""

WORKER = "^[A-Za-z0-9_-]{1,32}$"
HASH = "^[A-Za-z0-9._~=+-]{1,128}$"
NUMBER = "^[0-9]{1,9}$"


def _text(*, longest: int = 1000, shortest: int = 0, pattern: str = "", **default: str) -> Any:
    """A string with its limits."""
    limits: dict[str, object] = {"maxLength": longest}
    if shortest:
        limits["minLength"] = shortest
    if pattern:
        limits["pattern"] = pattern
    return field(metadata=limits, **default)  # type: ignore[call-overload]  # a default may be there or not


@dataclass(frozen=True, slots=True, kw_only=True)
class Problem:
    """What went wrong, its probable cause, and what to do next: the body of every status from 400 on."""

    what: str
    cause: str
    fix: str

    @classmethod
    def of(cls, error: SeatrialError) -> Problem:
        """The three parts of an error."""
        return cls(what=error.what, cause=error.cause, fix=for_clients(error.fix))


@dataclass(frozen=True, slots=True, kw_only=True)
class Health:
    """The server answers."""

    status: Literal["ok"]
    version: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Resource:
    """One resource of the configuration."""

    kind: str
    isolation: Configured
    variables: tuple[str, ...]
    """The environment variables that an app reads its address from."""
    version: str
    """The server's, as the provider tells it before anything runs."""
    provider: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Resources:
    """All resources, by name."""

    root: str
    """The folder of the configuration."""
    resources: Mapping[str, Resource]


@dataclass(frozen=True, slots=True, kw_only=True)
class WorkerRequest:
    """A worker: one process, or one thread, that runs tests one after the other."""

    worker: str = _text(pattern=WORKER, shortest=1, longest=32)


@dataclass(frozen=True, slots=True, kw_only=True)
class Ready:
    """A worker's copy of one resource."""

    url: str
    isolation: Configured
    template: str
    """The key of the template: equal keys make equal databases."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Worker:
    """A worker has its copies: what to export before the app is imported."""

    worker: str
    env: Mapping[str, str]
    resources: Mapping[str, Ready]
    layers: tuple[str, ...]
    """The ids of its layers, the lowest first: those of a process that was killed are still there."""
    socket: str | None
    """A unix socket of its own, where its `checkout`, `checkin` and `next` are answered sooner than elsewhere."""


@dataclass(frozen=True, slots=True, kw_only=True)
class CheckoutRequest:
    """A test begins."""

    test: str = _text(shortest=1)
    isolation: Mapping[str, Isolation] = field(default_factory=dict)
    """By resource, where the test asks for another than the configured one."""
    joins: Mapping[str, bool] = field(default_factory=dict)
    """By resource, whether the runner can hold the test in one transaction: where not, "auto" chooses no rollback."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Late:
    """Something was written after the check-in of an earlier test; it was undone before this one."""

    test: str
    """The test that started the writer."""
    tables: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Leased:
    """The test's right to one copy."""

    url: str
    isolation: Isolation
    reason: str
    """Why this isolation."""
    late: Late | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Checkout:
    """The test has every copy, at its baseline."""

    test: str
    resources: Mapping[str, Leased]
    notes: tuple[str, ...]
    """In words, what the test before did after its end, what it had left at work until now, and what else to know."""


@dataclass(frozen=True, slots=True, kw_only=True)
class CheckinRequest:
    """The test that has the copies is over."""

    failed: bool = False
    keep: bool = False
    """Set the copies aside as the test left them, for a look at them."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Undone:
    """How one copy came back to its baseline."""

    path: str
    """"nothing", "log", "scan", "copy", "rollback", or "clone": then every connection to it was ended."""
    tables: tuple[str, ...]
    rows: int
    milliseconds: float
    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Checkin:
    """Every copy is back at its baseline, or was kept and replaced."""

    test: str
    told: tuple[Problem, ...]
    """What the test did wrong: it counts as failed if there is any."""
    undone: Mapping[str, Undone]
    kept: Mapping[str, str]
    """The URL of each copy that was kept."""
    logs: Mapping[str, str]
    """Of a failed test: what each server logged meanwhile, where it logged anything."""
    notes: tuple[str, ...]
    """In words, what the test left at work, as connections that were ended, and what else is to know."""


@dataclass(frozen=True, slots=True, kw_only=True)
class NextRequest:
    """One test is over, the next begins: `checkin` and `checkout` in one request."""

    test: str = _text(shortest=1)
    isolation: Mapping[str, Isolation] = field(default_factory=dict)
    joins: Mapping[str, bool] = field(default_factory=dict)
    failed: bool = False
    keep: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Next:
    """What became of both. `checkin` is null where no test had the copies."""

    checkin: Checkin | None
    checkout: Checkout


@dataclass(frozen=True, slots=True, kw_only=True)
class LayerRequest:
    """Rows for several tests are going to be written: by a file, or by a suite of tests."""

    name: str = _text(shortest=1)
    """What it is called, for people."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Layer:
    """What was written for several tests, on top of the baseline that was there before."""

    id: str
    name: str
    resources: tuple[str, ...]
    """Whose copies were replaced just now, as something was written to them: every connection to them has ended."""
    notes: tuple[str, ...]
    """In words, what the test before did after its end, and what was left at work while the layer was written."""


@dataclass(frozen=True, slots=True, kw_only=True)
class CloneRequest:
    """A copy for one of several tests that run at once."""

    resource: str = _text(shortest=1, longest=40)
    test: str = _text(default="")
    worker: str = _text(pattern="^[A-Za-z0-9_-]{0,32}$", longest=32, default="")
    """Dropped with this worker, at the latest."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Clone:
    """A copy of the configured template, at its baseline."""

    id: str
    resource: str
    url: str
    env: Mapping[str, str]


@dataclass(frozen=True, slots=True, kw_only=True)
class TemplateRequest:
    """A template that the caller fills: the hash names all that goes into it."""

    hash: str = _text(pattern=HASH, shortest=1, longest=128)
    resource: str = _text(longest=40, default="")
    """Empty: the first resource of the configuration."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Template:
    """A template by hash."""

    hash: str
    resource: str
    state: Literal["building", "ready"]
    yours: bool
    """Whether the caller is to fill the database at `url` and finalize the template."""
    url: str | None
    """The empty database to fill, for the one who is to fill it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class CopyRequest:
    """One copy of a template by hash."""

    worker: str = _text(pattern="^[A-Za-z0-9_-]{0,32}$", longest=32, default="")
    """Dropped with this worker, at the latest."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Copy:
    """A copy of a template by hash, at its baseline."""

    id: str
    hash: str
    resource: str
    url: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Kept:
    """A copy under a name of its own, which outlives this server; only the ten newest stay."""

    url: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Log:
    """The end of a server's log: at most 60 lines."""

    text: str
    size: int
    """The log's size in bytes: pass it as `since` to read on from here."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Stopping:
    """The server drops all copies and ends."""

    status: Literal["stopping"]
