"""Whether a SQLite database equals its baseline, told by reading all of it, on a path that the undo does not know."""

from __future__ import annotations

import contextlib
import hashlib
import sqlite3
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from seatrial.errors import IsolationError

KEPT = 1000
"""Tables with at most so many rows are kept whole: of larger ones a difference is counted, and no row named."""
SHOWN = 5
WAIT = 10.0
"""Seconds to wait for somebody who still writes."""
PRAGMAS = ("user_version", "application_id", "page_size", "encoding", "auto_vacuum")


@dataclass(frozen=True, slots=True, kw_only=True)
class Difference:
    """One thing that is not as in the baseline."""

    kind: str
    """"rows", "schema" or "pragma"."""
    name: str
    what: str
    rows: tuple[str, ...] = ()
    writer: str = ""
    """Always empty: SQLite does not know who wrote."""

    def __str__(self) -> str:
        return "\n".join([f"{self.kind} {self.name}: {self.what}", *(f"  {row}" for row in self.rows)])


@dataclass(frozen=True, slots=True, kw_only=True)
class Rows:
    """All rows of one table."""

    count: int
    digest: str
    kept: Counter[str] | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Snapshot:
    """A whole database at one moment."""

    values: dict[tuple[str, str], str]
    """The text of each object of the schema, and some pragmas, by kind and name."""
    tables: dict[str, Rows]


class Audit:
    """The audit of one database.

    Args:
        database: a path, or the URI of a database in the memory of this process.
    """

    def __init__(self, database: str) -> None:
        self._uri = database if database.startswith("file:") else f"{Path(database).as_uri()}?mode=ro"

    def baseline(self) -> Snapshot:
        """Read everything."""
        with contextlib.closing(sqlite3.connect(self._uri, uri=True, timeout=WAIT, isolation_level=None)) as connection:
            connection.text_factory = bytes  # a text that is no UTF-8 is a value like any other
            connection.execute("BEGIN")  # everything at the same moment
            values = {("pragma", name): repr(connection.execute(f"PRAGMA {name}").fetchone()) for name in PRAGMAS}
            names = []
            for kind, name, sql in connection.execute("SELECT type, name, sql FROM sqlite_master").fetchall():
                values["schema", f"{_text(kind)} {_text(name)}"] = _text(sql or b"")
                if kind == b"table" and not (sql or b"").upper().startswith(b"CREATE VIRTUAL"):
                    names.append(_text(name))
            return Snapshot(values=values, tables={name: _read(connection, name) for name in sorted(names)})

    def differences(self, baseline: Snapshot) -> tuple[Difference, ...]:
        """Everything that is not as in `baseline`.

        Raises:
            IsolationError: the database can't be read.
        """
        try:
            found = self.baseline()
        except sqlite3.Error as error:
            raise IsolationError(
                f"The audit could not read the database: {error}",
                cause="somebody still holds a lock, or the file was replaced by something else",
                fix="close every connection at the end of the test",
            ) from error
        return (*_values(baseline, found), *_tables(baseline, found))


def _read(connection: sqlite3.Connection, table: str) -> Rows:
    name = '"' + table.replace('"', '""') + '"'
    try:
        cursor = connection.execute(f"SELECT rowid, * FROM {name} ORDER BY rowid")  # noqa: S608 - a quoted name
    except sqlite3.OperationalError:  # WITHOUT ROWID
        cursor = connection.execute(f"SELECT * FROM {name}")  # noqa: S608 - as above
    digest, count, kept = hashlib.sha256(), 0, Counter[str]()
    for row in cursor:
        text = repr(row)  # it tells 1 from 1.0 and from '1'
        digest.update(text.encode())
        count += 1
        if count <= KEPT:
            kept[text] += 1
    return Rows(count=count, digest=digest.hexdigest(), kept=kept if count <= KEPT else None)


def _values(before: Snapshot, after: Snapshot) -> Iterator[Difference]:
    for kind, name in sorted(before.values.keys() | after.values.keys()):
        was, is_ = before.values.get((kind, name)), after.values.get((kind, name))
        if was is None:
            yield Difference(kind=kind, name=name, what=f"is new: {is_}")
        elif is_ is None:
            yield Difference(kind=kind, name=name, what=f"is gone: {was}")
        elif was != is_:
            yield Difference(kind=kind, name=name, what=f"was {was}, is {is_}")


def _tables(before: Snapshot, after: Snapshot) -> Iterator[Difference]:
    for name in sorted(before.tables.keys() & after.tables.keys()):  # the schema tells the others
        was, is_ = before.tables[name], after.tables[name]
        if (was.count, was.digest) != (is_.count, is_.digest):
            what = f"{is_.count} rows, {was.count} in the baseline"
            yield Difference(kind="rows", name=name, what=what, rows=_changed(was.kept, is_.kept))


def _changed(was: Counter[str] | None, is_: Counter[str] | None) -> tuple[str, ...]:
    if was is None or is_ is None:
        return ()
    found = [f"{row} is missing" for row in (was - is_).elements()]
    found += [f"{row} is too many" for row in (is_ - was).elements()]
    return tuple(found[:SHOWN]) or ("the same rows in another order",)


def _text(value: Any) -> str:
    return bytes(value).decode(errors="backslashreplace")
