"""Dead rows that tests and their undos leave behind: told by what was written, and removed where there are many."""

from __future__ import annotations

from contextlib import suppress
from typing import TYPE_CHECKING

from seatrial.resources.kinds.postgres.connection import FIRST_OF_USERS
from seatrial.resources.kinds.postgres.finding.catalog import LARGE_OBJECTS, SIZE

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from seatrial.resources.kinds.postgres.connection import Link
    from seatrial.resources.kinds.postgres.finding.catalog import Catalog, Relation
    from seatrial.resources.kinds.postgres.finding.search import Bearings

MOST = 2_000
"""Dead rows of one table that call for a VACUUM."""
BEYOND = 64
"""Blocks by which a table may grow before one is called for: rows that were never committed are undone by nobody."""
MOST_STIRS = 200
"""Undos that touched catalogs (TRUNCATE, temporary tables) which call for a VACUUM of the catalogs."""
STIRRED = ("pg_class", "pg_attribute", "pg_type", "pg_depend", "pg_index", "pg_statistic", "pg_shdepend")


class DeadRows:
    """How many there are in each table of one copy.

    Args:
        catalog: what the template holds, and how large that is.
    """

    def __init__(self, catalog: Catalog) -> None:
        self._catalog = catalog
        self._rows: dict[int, int] = {}
        self._sizes = {oid: one.blocks for oid, one in catalog.relations.items() if _grows(one)}
        self._grown: set[int] = set()
        self._due: set[int] = set()
        self._stirs = 0

    def add(self, deleted: Mapping[int, int]) -> None:
        """An undo has deleted so many rows, by relation."""
        for oid, count in deleted.items():
            self._rows[oid] = self._rows.get(oid, 0) + count

    def reached(self, bearings: Bearings, written: Mapping[int, set[int]]) -> None:
        """These blocks were written to, by filenode: those behind the end of a table say that it has grown."""
        for node, blocks in written.items():
            size = self._sizes.get(oid := bearings.nodes.get(node, 0))
            if size is not None and max(blocks) > size + BEYOND:
                self._grown.add(oid)

    def stir(self) -> None:
        """A test, and the undo with it, has touched the catalogs of relations."""
        self._stirs += 1

    def remove(self, link: Link) -> bool:
        """Remove them where there are many; whether there were. Without a round trip where not."""
        import psycopg

        due = self._grown | {oid for oid, rows in self._rows.items() if rows > MOST}
        self._grown = set()
        for oid in due:
            self._rows.pop(oid, None)
        names = list(dict.fromkeys(self._catalog.relations[oid].name for oid in sorted(due)))
        if self._stirs > MOST_STIRS:
            self._stirs = 0
            names += STIRRED
        if not names:
            return False
        with suppress(psycopg.Error):  # somebody has one of them: they are due again when more is written
            link.run(f"VACUUM (SKIP_LOCKED) {', '.join(names)}")
            if due:
                self._measure(link, due)
        return True

    def _measure(self, link: Link, due: Iterable[int]) -> None:
        """What stays of them, because a row of the baseline is at the end, is no growth."""
        listed = ",".join(map(str, due))
        sizes = link.rows(
            "SET LOCAL lock_timeout = '20ms'; "  # VACUUM has waited for nobody either
            f"select c.oid::bigint, ({SIZE})::bigint from pg_class c where c.oid = any('{{{listed}}}'::oid[])"
        )
        self._sizes.update((oid, blocks) for oid, blocks in sizes if oid in self._sizes)


def _grows(one: Relation) -> bool:
    """Whether it has rows of the test's: a table, or what is kept out of one, or large objects."""
    return (one.kind in "rt" and one.oid >= FIRST_OF_USERS) or one.oid in LARGE_OBJECTS
