"""The protocols of stores: how templates are made, filled and removed, and copies made of them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Protocol, runtime_checkable

from seatrial.resources.protocol.copies import Copy
from seatrial.resources.protocol.servers import Address


def _nothing() -> None:
    """The default of `Target.connect`, for a kind that has no plain driver."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Target:
    """What a migrator gets: an empty database, which becomes the template when all migrators have filled it."""

    address: Address
    execute: Callable[[str], None]
    """Run a script of one or many statements in the language of the kind (SQL), as the owner of the schema."""
    connect: Callable[[], Any] = _nothing
    """Open a new connection or client with the kind's plain driver. Returns None if the kind has none."""


class Migrator(Protocol):
    """One step in filling a template: it creates the schema, runs migrations, or loads seed data."""

    label: str
    """The name of the step in reports and errors: "alembic.ini", "app.database:Base"."""

    def hash(self) -> str:
        """A hash of all that `migrate` depends on: while it stays the same, the existing template is used again."""
        ...

    def migrate(self, target: Target) -> None:
        """Run the step on `target`. Raises `TemplateError`, which includes the error of the step itself."""
        ...


class Store(Protocol):
    """The templates and copies of one kind on one running server."""

    locale: str
    """What a template depends on besides the migrators: server version, locale, owner, extensions. Part of its key."""

    def find(self, key: str) -> bool:
        """Whether a complete template with this key exists."""
        ...

    def build(self, key: str, name: str, fill: Callable[[Target], None]) -> bool:
        """Make the template `key`. Returns False if another process made it in the meantime.

        `fill` gets an empty database called `name`. That is this worker's usual address, so that code which reads
        the exported URL reaches the right database. What `fill` leaves there becomes the template. Two processes
        never build the same key at once. If `fill` raises, nothing is left behind.
        """
        ...

    def checkout(self, key: str, name: str) -> Copy:
        """Make a fresh copy called `name`. It replaces a copy of that name if Seatrial made it, and nothing else."""
        ...

    def drop(self, name: str) -> None:
        """Remove the copy `name`, even if somebody is still connected to it."""
        ...

    def close(self) -> None:
        """Close Seatrial's connections to the server."""
        ...


@runtime_checkable
class SupportsKeep(Protocol):
    """A store that can keep a copy after the run, for somebody to look at (`--seatrial-keep`, `seatrial up`)."""

    def keep(self, name: str, kept: str, *, forever: bool = False) -> Address:
        """Rename the copy `name` to `kept`, with its content, so that it outlives the run. Returns its new address.

        Only the ten newest kept copies stay; older ones are removed. A copy that is kept `forever` does not count
        among the ten, and stays until somebody drops it.
        """
        ...


@runtime_checkable
class SupportsStay(Store, Protocol):
    """A store where a copy can outlive the run without a new name, for a resource with a fixed address (`at`)."""

    def stay(self, name: str) -> Address:
        """Let the copy `name` stay. A later test run that needs the name moves it aside until it ends."""
        ...

    def bring_back(self, name: str) -> bool:
        """Move back a copy that a killed run had moved aside. Returns whether a copy called `name` is there now."""
        ...


@runtime_checkable
class SupportsForget(Protocol):
    """A store that can remove a template at once, instead of when it has not been used for long."""

    def forget(self, key: str) -> bool:
        """Remove the template `key`, of which this store has no copies. Returns False if another process uses it."""
        ...


@runtime_checkable
class SupportsVacant(Protocol):
    """A store that can provide an empty database at the address of a copy before the template exists."""

    def vacant(self, name: str) -> None:
        """Create an empty database `name`, for an app that connects while it is imported. `build` replaces it later."""
        ...
