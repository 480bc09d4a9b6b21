"""What `compose` makes of one resource's configuration: values and classes, nothing started."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from seatrial.resources.protocol import Address, Copy, Kind, Migrator, Server, ServerSpec, SupportsLimits

if TYPE_CHECKING:
    from seatrial.isolation.audit import Audit
    from seatrial.isolation.choose import Chooser
    from seatrial.isolation.protocol import Strategy
    from seatrial.sessions.protocol import Sessions


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """One resource of one worker."""

    name: str
    kind: Kind
    spec: ServerSpec
    server: Server
    copy_name: str
    address: Address
    isolation: str
    role: str
    early: bool = False
    """Whether the app connects while it is imported."""
    recycle: bool = False
    """Whether idle connections of other processes are ended after each test."""
    override: Callable[..., Any] | None = None
    """The app's dependency as it was written; loaded late, because it imports the project."""
    migrators: Callable[[], Sequence[Migrator]]
    strategies: Callable[[Copy, Callable[[], Sequence[int]]], Mapping[str, Strategy]]
    sessions: Callable[[Copy], Sessions]
    chooser: Callable[[], Chooser]
    """For tests whose isolation is "auto"."""
    held: Callable[[], Collection[int]] = tuple
    """Server processes of the connections that were lent to the last test, and not given back at its end."""
    audit: Callable[[], Audit | None] | None = None
    """None where nobody asked for an audit, or the kind has none."""
    env: Mapping[str, str] = field(default_factory=dict)
    """The variables that apps read, with templates of what is in them."""
    variables: Mapping[str, str] = field(default_factory=dict)
    """The same for the worker's own copy: what is exported in this process."""
    elsewhere: Mapping[str, str] = field(default_factory=dict)
    """And for a copy that only services in processes of their own use: it is exported there."""

    @property
    def impossible(self) -> Mapping[str, str]:
        """The isolations that the kind can't have, each with the reason."""
        return self.kind.impossible if isinstance(self.kind, SupportsLimits) else {}

    @property
    def secrets(self) -> tuple[str, ...]:
        """The passwords that texts about this resource may hold."""
        return self.address.password, self.server.endpoint.admin.password
