"""Where a copy comes from: what it needs of its store to get back there."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from seatrial.resources.kinds.postgres.abilities import Abilities
    from seatrial.resources.kinds.postgres.connection import Link
    from seatrial.resources.kinds.postgres.finding.catalog import Catalog
    from seatrial.resources.kinds.postgres.finding.log import Written
    from seatrial.resources.kinds.postgres.shared.state import SharedState
    from seatrial.resources.protocol import Address, Endpoint


@dataclass(frozen=True, slots=True, kw_only=True)
class Source:
    """Where a copy comes from, and how it gets there again."""

    endpoint: Endpoint
    address: Address
    horizon: int
    abilities: Abilities
    admin: Link
    """Our connection to the maintenance database."""
    reader: Link
    """Our connection to a database that has pg_walinspect."""
    clone: Callable[[bool], int]
    """Replace the database by a clone of the template; returns its oid. True: the old one must be gone by then."""
    remark: str
    """The statement that writes the database's marker again: a test may have set a comment of its own."""
    claim: Callable[[], None]
    """Write it, whoever holds the database in a transaction: he is ended."""
    reference: Callable[[], Link]
    """A connection to a copy of the template that nobody touches."""
    patience: float
    layer: Callable[[Sequence[str] | None], tuple[Source, str]]
    """Make a template of the database as it is, given the tables that were written since the last (None: unknown).

    Returns the source of copies of it, and where the log is then.
    """
    discard: Callable[[], None]
    """Remove the template, where it is a layer's."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Below:
    """What a copy was before a layer was laid on it."""

    source: Source
    catalog: Catalog | None
    shared: SharedState | None
    pending: Written
    """With what the layer wrote to the whole server: roles, and the like."""
