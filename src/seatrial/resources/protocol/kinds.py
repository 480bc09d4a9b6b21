"""The protocols of kinds: what a resource is, and what else some kinds can do."""

from __future__ import annotations

from collections.abc import Mapping
from typing import ClassVar, Protocol, runtime_checkable

from seatrial.resources.protocol.audits import Auditor
from seatrial.resources.protocol.servers import Address, AdoptionCandidate, Endpoint, Requirements, ServerSpec, Shell
from seatrial.resources.protocol.stores import Store


class Kind(Protocol):
    """One sort of resource, such as PostgreSQL or SQLite."""

    @property
    def name(self) -> str:
        """The value of the key `kind` in the configuration: "postgres"."""
        ...

    @property
    def env(self) -> str:
        """The environment variable that gets the URL, unless the configuration names others: "DATABASE_URL"."""
        ...

    @property
    def drivers(self) -> Mapping[str, str]:
        """SQLAlchemy's drivers for it: {"sync": "psycopg", "async": "asyncpg"}. Empty if SQLAlchemy has none."""
        ...

    def spec(self, requirements: Requirements) -> ServerSpec:
        """Describe the server that is wanted. Raises `ConfigError` if this kind can't meet `requirements`."""
        ...

    def copy_address(self, endpoint: Endpoint, spec: ServerSpec, name: str, role: str = "") -> Address:
        """The address of the copy `name`, even before the server runs. With `role`, the app connects as that role."""
        ...

    def open(self, endpoint: Endpoint, spec: ServerSpec, role: str = "") -> Store:
        """Connect to a running server, to make templates and copies on it."""
        ...


@runtime_checkable
class SupportsOptions(Protocol):
    """A kind that has additional keys in the configuration."""

    options: ClassVar[Mapping[str, str]]
    """The names of these keys, each with an example of a value. All values are texts, in `Requirements.options`."""


@runtime_checkable
class SupportsLimits(Protocol):
    """A kind for which not every isolation is possible: one that is not is refused where it is configured."""

    impossible: ClassVar[Mapping[str, str]]
    """The isolations that its copies can't have, each with the reason: {"rollback": "it has no transactions"}."""


@runtime_checkable
class Serverless(Protocol):
    """A kind that needs no server (SQLite): no provider is asked, the kind itself says where its copies are."""

    def endpoint(self, spec: ServerSpec) -> Endpoint:
        """Where the copies of this run will be. Raises `ProviderError` if `spec` can't be satisfied."""
        ...


@runtime_checkable
class SupportsAudit(Protocol):
    """A kind that has an audit: it can compare a copy with its baseline, by code that the undo does not use."""

    def auditor(self, endpoint: Endpoint, address: Address, *, alone: bool) -> Auditor:
        """The auditor for the copy at `address`. `alone`: nobody else uses the server, so roles are compared, too."""
        ...


@runtime_checkable
class SupportsShell(Protocol):
    """A kind that `seatrial shell` can open."""

    def shell(self, address: Address) -> Shell:
        """How to open the database at `address`. Does not connect yet."""
        ...


@runtime_checkable
class SupportsAdopt(Protocol):
    """A kind for which `seatrial adopt` works: it can mark somebody's database as one that Seatrial may use."""

    def adoption_candidate(self, endpoint: Endpoint) -> AdoptionCandidate:
        """Look at the database `endpoint.admin`, without a change. Raises `ServerLost` if it can't be reached."""
        ...
