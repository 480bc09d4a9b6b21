"""Dead rows that undos leave behind: counted, and removed between tests where there are many."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping

    from seatrial.resources.kinds.postgres.finding.catalog import Catalog

MOST = 2_000
"""Dead rows of one table that call for a VACUUM."""
MOST_STIRS = 200
"""Undos that touched catalogs (TRUNCATE, temporary tables) which call for a VACUUM of the catalogs."""
STIRRED = ("pg_class", "pg_attribute", "pg_type", "pg_depend", "pg_index", "pg_statistic", "pg_shdepend")


class DeadRows:
    """How many there are in each table of one copy."""

    def __init__(self) -> None:
        self._rows: dict[int, int] = {}
        self._stirs = 0

    def add(self, deleted: Mapping[int, int]) -> None:
        """An undo has deleted so many rows, by relation."""
        for oid, count in deleted.items():
            self._rows[oid] = self._rows.get(oid, 0) + count

    def stir(self) -> None:
        """A test, and the undo with it, has touched the catalogs of relations."""
        self._stirs += 1

    def take_due(self, catalog: Catalog) -> list[str]:
        """The tables that are to be vacuumed now; they have no dead rows any more."""
        due = [oid for oid, rows in self._rows.items() if rows > MOST]
        for oid in due:
            del self._rows[oid]
        names = [catalog.relations[oid].name for oid in due]
        if self._stirs > MOST_STIRS:
            self._stirs = 0
            names += STIRRED
        return names
