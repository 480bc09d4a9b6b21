"""The joints of resources: what a kind, a provider and a copy promise to everything above them.

From a configuration to a test, these meet in this order:

    Kind.spec(wish) -> ServerSpec     what server is wanted, as data
    Provider.reserve(spec) -> Server  where it will answer; nothing runs yet
    Server.start() -> Endpoint        it runs, or ran already, and accepts connections
    Kind.open(endpoint) -> Store      its templates and copies
    Store.checkout(key, name) -> Copy one copy of a template, for one worker
    Copy: SupportsReset, SupportsClone, SupportsRollback    what it can do to get back to its baseline

A kind never knows which provider serves it, a provider never knows which kind it serves, and nothing
above this floor knows either by name: it asks for the capability.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import ClassVar, Protocol, runtime_checkable

from seatrial.resources.copies import (
    Auditor,
    Client,
    Copy,
    Difference,
    Ended,
    Migrator,
    Store,
    SupportsClone,
    SupportsFence,
    SupportsForget,
    SupportsJoining,
    SupportsKeep,
    SupportsLayers,
    SupportsReady,
    SupportsRecycle,
    SupportsReset,
    SupportsRollback,
    SupportsStay,
    SupportsTidy,
    SupportsVacant,
    Target,
    Undone,
)
from seatrial.resources.servers import (
    Address,
    Endpoint,
    Image,
    Launch,
    Program,
    Prompt,
    Provider,
    Run,
    Server,
    ServerSpec,
    Shell,
    Stranger,
    SupportsEnd,
    Wheel,
    Wish,
)

__all__ = [
    "Address",
    "Auditor",
    "Client",
    "Copy",
    "Difference",
    "Ended",
    "Endpoint",
    "Image",
    "Kind",
    "Launch",
    "Migrator",
    "Program",
    "Prompt",
    "Provider",
    "Run",
    "Server",
    "ServerSpec",
    "Serverless",
    "Shell",
    "Store",
    "Stranger",
    "SupportsAdopt",
    "SupportsAudit",
    "SupportsClone",
    "SupportsEnd",
    "SupportsFence",
    "SupportsForget",
    "SupportsJoining",
    "SupportsKeep",
    "SupportsLayers",
    "SupportsOptions",
    "SupportsReady",
    "SupportsRecycle",
    "SupportsReset",
    "SupportsRollback",
    "SupportsShell",
    "SupportsStay",
    "SupportsTidy",
    "SupportsVacant",
    "Target",
    "Undone",
    "Wheel",
    "Wish",
]


class Kind(Protocol):
    """What a resource is: PostgreSQL, SQLite. Knows how to describe, open, and address it."""

    @property
    def name(self) -> str:
        """What it is called in the configuration: "postgres"."""
        ...

    @property
    def env(self) -> str:
        """The variable that apps read by default: "DATABASE_URL"."""
        ...

    @property
    def drivers(self) -> Mapping[str, str]:
        """SQLAlchemy's driver by style: {"sync": "psycopg", "async": "asyncpg"}; empty where it does not know it."""
        ...

    def spec(self, wish: Wish) -> ServerSpec:
        """What server is wanted. Raises `ConfigError` for a wish that this kind can't meet."""
        ...

    def copy_address(self, endpoint: Endpoint, spec: ServerSpec, name: str, role: str = "") -> Address:
        """The address of the copy `name`, known before the server runs; as `role`, where the app connects as one."""
        ...

    def open(self, endpoint: Endpoint, spec: ServerSpec, role: str = "") -> Store:
        """Connect to a running server."""
        ...


@runtime_checkable
class SupportsOptions(Protocol):
    """A kind with keys of its own in the configuration."""

    options: ClassVar[Mapping[str, str]]
    """Each with an example of its value, which is a text. `Wish.options` has those that are written."""


@runtime_checkable
class Serverless(Protocol):
    """A kind without a server of its own (SQLite): nothing is resolved or started, the kind itself says where."""

    def endpoint(self, spec: ServerSpec) -> Endpoint:
        """Where this run's copies will be. Raises `ProviderError` where `spec` can't be met."""
        ...


@runtime_checkable
class SupportsAudit(Protocol):
    """A kind whose copies can be compared with their baseline by a reading that shares nothing with the undo."""

    def auditor(self, endpoint: Endpoint, address: Address, *, alone: bool) -> Auditor:
        """The auditor of the copy at `address`. `alone`: nobody else uses the server, so its state is ours, too."""
        ...


@runtime_checkable
class SupportsShell(Protocol):
    """A kind that people can talk to by hand."""

    def shell(self, address: Address) -> Shell:
        """How one talks to the database at `address`. Connects to nothing."""
        ...


@runtime_checkable
class SupportsAdopt(Protocol):
    """A kind that can mark a database which somebody else has made as one that we may use."""

    def stranger(self, endpoint: Endpoint) -> Stranger:
        """Look at the database of `endpoint.admin`. Changes nothing. Raises `ServerLost` where it can't be reached."""
        ...
