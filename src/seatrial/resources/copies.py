"""What a store and its copies promise: a baseline, and the ways back to it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Protocol, runtime_checkable

from seatrial.resources.servers import Address


def _nothing() -> None:
    """The `connect` of a kind without a plain driver."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Target:
    """An empty database that a template is being made in: what migrators get."""

    address: Address
    execute: Callable[[str], None]
    """Run a script in the language of the kind (SQL), many statements at once, as the schema's owner."""
    connect: Callable[[], Any] = _nothing
    """A new connection or client of the kind's plain driver; None where there is none."""


class Migrator(Protocol):
    """One step that brings an empty database towards its baseline: a schema, migrations, seed data."""

    label: str
    """For people: "alembic.ini", "app.database:Base"."""

    def hash(self) -> str:
        """A key of everything that `migrate` would do: equal hashes make equal databases."""
        ...

    def migrate(self, target: Target) -> None:
        """Do it. Raises `TemplateError` with the step's own error in it."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Ended:
    """A connection that was ended because it still ran, or held a transaction."""

    pid: int
    application: str
    query: str
    state: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Undone:
    """What it took to bring a copy back to its baseline."""

    path: str
    """"nothing", "log", "scan", "copy" (the template over the copy, in place), "rollback" or "clone"."""
    tables: tuple[str, ...] = ()
    rows: int = 0
    """Rows deleted and restored, together."""
    ended: tuple[Ended, ...] = ()
    notes: tuple[str, ...] = ()
    """What a user should know: a prepared transaction rolled back, a matview refreshed."""
    read: str = ""
    """What was read to find it, in words: "312 bytes of the log: 4 blocks of 2 relations"."""


class Client(Protocol):
    """The value of a resource's fixture where no library makes sessions: one object from first test to last."""

    @property
    def value(self) -> Any:
        """The driver's own connection or client (psycopg, sqlite3, redis-py)."""
        ...

    def settle(self) -> None:
        """A fixture of wider scope is set up: a transaction that it left open ends."""
        ...

    def renew(self) -> None:
        """As new, for the next test."""
        ...

    def replace(self) -> None:
        """What is open is stale: the same object goes on with new connections."""
        ...

    def close(self) -> None:
        """Close what is open."""
        ...


@runtime_checkable
class SupportsJoining(Protocol):
    """A client that can take part in a transaction that others share, as the same object."""

    def join(self, folder: str, port: int) -> None:
        """Speak to the socket in `folder` that is named by `port`."""
        ...

    def part(self) -> None:
        """Speak to the database again; what is open in the other is for others to end."""
        ...


class Copy(Protocol):
    """One copy of a template, for one worker, at one address from first test to last."""

    @property
    def address(self) -> Address:
        """Where it answers, from the first test to the last."""
        ...

    def client(self, *, is_async: bool = False) -> Client:
        """A new one of the kind's plain driver, as the app would have it. A kind may have no asynchronous one."""
        ...

    def used_since_checkout(self, own: Sequence[int]) -> tuple[Ended, ...]:
        """Connections, besides those of the process ids `own`, that ran something since `mark`; empty if unknown."""
        ...

    def mark(self) -> None:
        """A test begins now."""
        ...

    def close(self) -> None:
        """Give up our own connections to it. The copy stays until `Store.drop`."""
        ...


@runtime_checkable
class SupportsReset(Protocol):
    """A copy whose committed changes can be undone in place."""

    def undo(self) -> Undone:
        """Back to the baseline, whoever wrote. Raises `NeedsClone` where that takes a fresh clone."""
        ...

    def late_writes(self) -> tuple[str, ...]:
        """Tables written to since the last `undo`, cheaply; empty if none, or if that can't be told cheaply."""
        ...


@runtime_checkable
class SupportsFence(Protocol):
    """A copy on a server that tells who is at work in it."""

    def settle(self) -> tuple[Ended, ...]:
        """Give whoever is in a transaction a moment, then end him: nothing that began before reaches into what comes.

        Returns who was ended.
        """
        ...


@runtime_checkable
class SupportsReady(Protocol):
    """A copy that can be asked by one question whether the next test may begin."""

    def ready(self) -> bool:
        """Whether nobody is in a transaction, and nothing was written since the last `undo`: then it is marked, too.

        False where that is not so, or can't be told: `settle`, `late_writes` and `mark` do what is to do.
        """
        ...


@runtime_checkable
class SupportsClone(Protocol):
    """A copy that can be replaced by a fresh clone of its template, behind the same address."""

    def renew(self) -> None:
        """Replace it. Every open connection to it is ended."""
        ...


@runtime_checkable
class SupportsRollback(Protocol):
    """A copy on which one outer transaction can hold a whole test."""

    def uncommitted_only(self) -> bool:
        """Whether nothing was committed since `mark`: what a rollback test must leave behind."""
        ...


@runtime_checkable
class SupportsTidy(Protocol):
    """A copy that gathers rubbish (dead rows), which can be removed between tests."""

    def tidy(self) -> bool:
        """Remove it where it is due; whether there was any. Costs nothing where nothing is due."""
        ...


@runtime_checkable
class SupportsRecycle(Protocol):
    """A copy on a server that can end connections which nobody in this process holds."""

    def end_idle(self, own: Sequence[int]) -> tuple[Ended, ...]:
        """End all connections to it besides those of the process ids `own`, idle ones too."""
        ...


@runtime_checkable
class SupportsLayers(Protocol):
    """A copy whose present content can become the baseline for a while: seed data of wider fixtures."""

    def changed(self) -> bool:
        """Whether anything was committed to it that is not in its baseline. May cost as much as an undo."""
        ...

    def push(self) -> None:
        """What is committed in it now, schema included, is the baseline: `undo` and `renew` lead here.

        Connections to it may be ended.
        """
        ...

    def pop(self) -> None:
        """What was there before the last `push` is the baseline again, and is in the copy.

        Connections to it may be ended.
        """
        ...


class Store(Protocol):
    """The templates and copies of one kind on one running server."""

    locale: str
    """What besides the migrators shapes a template: server version, locale, encoding."""

    def find(self, key: str) -> bool:
        """Whether a complete template with this key exists."""
        ...

    def build(self, key: str, name: str, fill: Callable[[Target], None]) -> bool:
        """Make the template `key`; returns False if another process had made it by then.

        `fill` gets an empty database named `name` (this worker's own address, so that code which reads the
        exported URL reaches it); the result is sealed as the template. Two processes never build the same
        key. If `fill` raises, nothing is left.
        """
        ...

    def checkout(self, key: str, name: str) -> Copy:
        """A fresh copy called `name`, in place of one of ours with that name. Never touches what is not ours."""
        ...

    def drop(self, name: str) -> None:
        """Remove the copy `name`, whoever is still connected to it."""
        ...

    def close(self) -> None:
        """Give up our connections to the server."""
        ...


@runtime_checkable
class SupportsKeep(Protocol):
    """A store that can set a copy aside for somebody to look at."""

    def keep(self, name: str, kept: str, *, forever: bool = False) -> Address:
        """The copy `name` becomes `kept`, with all that is in it, and outlives the run; `name` is free again.

        Only the ten newest are kept: an older one makes room. One that is kept `forever` is not counted among
        them, and stays until it is dropped.
        """
        ...


@runtime_checkable
class SupportsStay(Store, Protocol):
    """A store where a copy can outlive the run under its own name: what is served at a fixed address."""

    def stay(self, name: str) -> Address:
        """The copy `name` stays. A later run that wants its name sets it aside, and brings it back when it ends."""
        ...

    def bring_back(self, name: str) -> bool:
        """Have back what a run that was killed has set aside; whether what stays is there now."""
        ...


@runtime_checkable
class SupportsForget(Protocol):
    """A store that can remove a template before its time."""

    def forget(self, key: str) -> bool:
        """Remove the template `key`, of which this store has no copies; False if somebody else uses it."""
        ...


@runtime_checkable
class SupportsVacant(Protocol):
    """A store that can have an empty database at a copy's address, before there is a template."""

    def vacant(self, name: str) -> None:
        """An empty database called `name`, for an app that connects while it is imported; `build` replaces it."""
        ...


class Difference(Protocol):
    """One thing that is not as in the baseline. As text: what it is, which rows, and who wrote it, if that is known."""

    @property
    def kind(self) -> str:
        """What sort of thing: "rows", "sequence", "role"."""
        ...

    @property
    def name(self) -> str:
        """Which one: "public.users"."""
        ...

    @property
    def writer(self) -> str:
        """Who it was, as far as that can be known; empty where it can't."""
        ...


class Auditor(Protocol):
    """Reads all of one copy, on a path of its own."""

    def baseline(self) -> Any:
        """Everything that is in the copy now: what `differences` compares with."""
        ...

    def differences(self, baseline: Any) -> Sequence[Difference]:
        """Everything that is not as in `baseline`. Raises `IsolationError` where something can't be read."""
        ...
