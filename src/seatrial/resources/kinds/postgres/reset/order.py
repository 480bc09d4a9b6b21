"""In which order tables are undone where foreign keys can't be silenced, and when there is no such order."""

from __future__ import annotations

from graphlib import CycleError, TopologicalSorter
from typing import TYPE_CHECKING

from seatrial.errors import NeedsClone

if TYPE_CHECKING:
    from seatrial.resources.kinds.postgres.finding.catalog import Catalog
    from seatrial.resources.kinds.postgres.finding.plan import Plan


def in_order(plan: Plan, catalog: Catalog) -> dict[int, int]:
    """A rank for each table of the plan: rows are deleted from the highest to the lowest, and given back the other way.

    Raises:
        NeedsClone: a trigger or rule would see it, foreign keys go in a circle, or a delete could reach seed rows.
    """
    changed = {seed.relation.oid for seed in plan.full} | {seed.relation.oid for seed, found in plan.rows if found.lost}
    touched = {one.oid: one for one in plan.written()}
    for oid, relation in touched.items():
        if oid in catalog.triggered:
            raise NeedsClone(f"{relation.label} has triggers or rules, which our role on this server may not silence")
    for child, parent, follows in catalog.foreign_keys:
        # New rows alone may go: the server says it where a row refers to one. But it says nothing of rows that follow,
        # and not every key holds for the seed: one may be NOT VALID, or the rows were loaded without it.
        if parent in touched and catalog.relations[child].seeded and (follows or parent in changed):
            raise NeedsClone(
                f"{catalog.relations[child].label} refers to rows of {touched[parent].label} that were changed, "
                "and our role on this server may not silence foreign keys"
            )
    sorter: TopologicalSorter[int] = TopologicalSorter(dict.fromkeys(touched, ()))
    for child, parent, _ in catalog.foreign_keys:
        if child in touched and parent in touched and child != parent:
            sorter.add(child, parent)
    try:
        return {oid: rank for rank, oid in enumerate(sorter.static_order())}
    except CycleError as error:
        names = ", ".join(touched[oid].label for oid in dict.fromkeys(error.args[1]))
        raise NeedsClone(
            f"foreign keys go in a circle ({names}), and our role on this server may not silence them"
        ) from error
