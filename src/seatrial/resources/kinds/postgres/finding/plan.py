"""What has to be undone in one copy."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from seatrial.resources.kinds.postgres.finding.catalog import Relation
    from seatrial.resources.kinds.postgres.finding.rows import Difference, Seed


@dataclass(slots=True)
class Plan:
    """What has to be undone."""

    empty: list[Relation] = field(default_factory=list)
    """Tables to empty."""
    rows: list[tuple[Seed, Difference]] = field(default_factory=list)
    """Rows of seeded tables to delete and to give back."""
    full: list[Seed] = field(default_factory=list)
    """Seeded tables to empty and to fill again."""
    sequences: list[Relation] = field(default_factory=list)
    views: list[Relation] = field(default_factory=list)
    """Materialized views to refresh."""
    clustered: list[tuple[Relation, str]] = field(default_factory=list)
    """Tables to mark as clustered on this index, or on none."""
    large_objects: bool = False

    def __bool__(self) -> bool:
        return bool(
            self.empty or self.rows or self.full or self.sequences or self.views or self.clustered or self.large_objects
        )

    def written(self) -> list[Relation]:
        """The tables whose rows are deleted or given back."""
        return [*self.empty, *(seed.relation for seed, _ in self.rows), *(seed.relation for seed in self.full)]

    def tables(self) -> tuple[str, ...]:
        """What is undone, for people."""
        names = [one.label for one in [*self.written(), *self.sequences, *self.views]]
        return (*names, "large objects") if self.large_objects else tuple(names)
