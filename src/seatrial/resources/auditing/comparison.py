"""Compares what an audit read of a database with what it read before: each difference is named, with a few rows."""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass

KEPT = 1000
"""Tables with at most so many rows are remembered row by row. Of larger ones, a difference shows no rows."""
SHOWN = 5
"""How many rows of a table a message shows."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Difference:
    """One difference from the baseline."""

    kind: str
    """"rows", or whatever the kind of resource calls one of its `values`: "schema", "pragma", "view", "counter"."""
    name: str
    what: str
    rows: tuple[str, ...] = ()
    writer: str = ""
    """Always empty: none of these servers says who wrote."""

    def __str__(self) -> str:
        return "\n".join([f"{self.kind} {self.name}: {self.what}", *(f"  {row}" for row in self.rows)])


@dataclass(frozen=True, slots=True, kw_only=True)
class Rows:
    """All rows of one table. Two tables with the same rows in another order are equal."""

    count: int
    digest: int
    """The sum of the digests of all rows."""
    kept: Counter[str] | None
    """The rows themselves; None if there are more than `KEPT`."""

    @classmethod
    def of(cls, rows: Iterable[object]) -> Rows:
        """Read `rows` to the end. Values count as different if their `repr` is: 1, 1.0 and '1' are."""
        total, count, kept = 0, 0, Counter[str]()
        for row in rows:
            text = repr(row)
            total = (total + int.from_bytes(hashlib.sha256(text.encode()).digest()[:16], "big")) % 2**128
            count += 1
            if count <= KEPT:
                kept[text] += 1
        return cls(count=count, digest=total, kept=kept if count <= KEPT else None)


@dataclass(frozen=True, slots=True, kw_only=True)
class Snapshot:
    """A whole database at one moment."""

    values: Mapping[tuple[str, str], str]
    """Everything that is not rows, such as definitions and counters, by kind and name."""
    tables: Mapping[str, Rows]
    unseen: tuple[str, ...] = ()
    """Nothing: whoever reads these may read all of it, or fails."""


def differences(before: Snapshot, after: Snapshot) -> tuple[Difference, ...]:
    """Everything in `after` that is not as it was in `before`."""
    return (*_values(before.values, after.values), *_tables(before.tables, after.tables))


def _values(before: Mapping[tuple[str, str], str], after: Mapping[tuple[str, str], str]) -> Iterator[Difference]:
    for kind, name in sorted(before.keys() | after.keys()):
        was, is_ = before.get((kind, name)), after.get((kind, name))
        if was is None:
            yield Difference(kind=kind, name=name, what=f"is new: {is_}")
        elif is_ is None:
            yield Difference(kind=kind, name=name, what=f"is gone: {was}")
        elif was != is_:
            yield Difference(kind=kind, name=name, what=f"was {was}, is {is_}")


def _tables(before: Mapping[str, Rows], after: Mapping[str, Rows]) -> Iterator[Difference]:
    for name in sorted(before.keys() & after.keys()):  # a table that is only in one of them has a value that differs
        was, is_ = before[name], after[name]
        if (was.count, was.digest) != (is_.count, is_.digest):
            what = f"{is_.count} rows, {was.count} in the baseline"
            yield Difference(kind="rows", name=name, what=what, rows=_changed(was.kept, is_.kept))


def _changed(was: Counter[str] | None, is_: Counter[str] | None) -> tuple[str, ...]:
    if was is None or is_ is None:
        return ()
    found = [f"{row} is missing" for row in (was - is_).elements()]
    found += [f"{row} is too many" for row in (is_ - was).elements()]
    return tuple(found[:SHOWN])
