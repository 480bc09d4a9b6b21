"""Which rows of a table differ from the baseline, found without reading all of a large table twice."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

from seatrial.resources.kinds.postgres.audit.difference import SHOWN, RowChange, changes
from seatrial.resources.kinds.postgres.audit.reading import ask
from seatrial.resources.kinds.postgres.audit.snapshot import Row, Rows
from seatrial.resources.kinds.postgres.audit.tables import Table

if TYPE_CHECKING:
    import psycopg

BUCKETS = 1024
"""A large table is compared by the digests of so many parts of it, by the remainder of the rows' hashes."""
PARTS = 8
"""Parts that are then read row by row: enough to name `SHOWN` rows."""


def against_kept(connection: psycopg.Connection[Any], table: Table, kept: Iterable[Row]) -> tuple[RowChange, ...]:
    """Compare with the rows that the baseline kept."""
    return _differ(kept, _read(connection, table, ""))


def against_reference(
    connection: psycopg.Connection[Any], reference: psycopg.Connection[Any], table: Table, was: Rows
) -> tuple[RowChange, ...]:
    """Compare with the same table of another database; empty if that one is not at the baseline `was` either."""
    before = _buckets(reference, table)
    if sum(count for count, _ in before.values()) != was.count or sum(d for _, d in before.values()) != int(was.digest):
        return ()
    after = _buckets(connection, table)
    parts = [number for number in range(BUCKETS) if before.get(number) != after.get(number)][:PARTS]
    if not parts:
        return ()
    wanted = ", ".join(map(str, parts))
    where = f"where abs(mod({table.digest}, {BUCKETS})) in ({wanted})"
    return _differ(_read(reference, table, where), _read(connection, table, where))


def _buckets(connection: psycopg.Connection[Any], table: Table) -> dict[int, tuple[int, int]]:
    """Count and digest of each part."""
    query = (
        f"select abs(mod({table.digest}, {BUCKETS})), count(*), sum({table.digest}::numeric)"
        f" from {table.source} t group by 1"
    )
    return {number: (count, int(digest)) for number, count, digest in ask(connection, query)}


def _read(connection: psycopg.Connection[Any], table: Table, where: str) -> list[Row]:
    query = f"select {table.key}, {table.text}, t.xmin::text from {table.source} t {where}"
    return [Row(key=key, text=text, transaction=transaction) for key, text, transaction in ask(connection, query)]


def _differ(before: Iterable[Row], after: Iterable[Row]) -> tuple[RowChange, ...]:
    """Multisets: a row that is there twice and was there once is one too many."""
    was, now = list(before), list(after)
    lost, gained = Counter(row.text for row in was), Counter(row.text for row in now)
    missing = lost - gained
    extra = gained - lost
    return changes(
        [(row.key, row.text) for row in was if _take(missing, row.text)],
        [(row.key, row.text, row.transaction) for row in now if _take(extra, row.text)],
    )[:SHOWN]


def _take(left: Counter[str], text: str) -> bool:
    if not left[text]:
        return False
    left[text] -= 1
    return True
