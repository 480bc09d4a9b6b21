"""Whether a database equals its baseline, told by reading all of it, on a path that the undo does not know."""

from __future__ import annotations

import contextlib
import hashlib
import re
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from seatrial.errors import IsolationError
from seatrial.resources.kinds.mysql.connection import connect

if TYPE_CHECKING:
    from seatrial.resources.protocol import Endpoint

KEPT = 1000
"""Tables with at most so many rows are kept whole: of larger ones a difference is counted, and no row named."""
SHOWN = 5
_AT_WORK = re.compile(r" AUTO_INCREMENT=\d+")
_OBJECTS = """
SELECT 'view', table_name, view_definition FROM information_schema.views WHERE table_schema = DATABASE()
UNION ALL SELECT LOWER(routine_type), routine_name, CONCAT_WS(' ', data_type, routine_definition)
FROM information_schema.routines WHERE routine_schema = DATABASE()
UNION ALL SELECT 'trigger', trigger_name,
CONCAT_WS(' ', action_timing, event_manipulation, event_object_table, action_statement)
FROM information_schema.triggers WHERE trigger_schema = DATABASE()
UNION ALL SELECT 'event', event_name, CONCAT_WS(' ', interval_value, interval_field, event_definition)
FROM information_schema.events WHERE event_schema = DATABASE()
UNION ALL SELECT 'database', 'settings', CONCAT_WS(' ', default_character_set_name, default_collation_name)
FROM information_schema.schemata WHERE schema_name = DATABASE()
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Difference:
    """One thing that is not as in the baseline."""

    kind: str
    """"rows", "counter", "table", "view", "trigger" or the like."""
    name: str
    what: str
    rows: tuple[str, ...] = ()
    writer: str = ""
    """Always empty: the server does not tell who wrote."""

    def __str__(self) -> str:
        return "\n".join([f"{self.kind} {self.name}: {self.what}", *(f"  {row}" for row in self.rows)])


@dataclass(frozen=True, slots=True, kw_only=True)
class Rows:
    """All rows of one table."""

    count: int
    digest: int
    """The sum of a digest of each row: their order does not matter."""
    kept: Counter[str] | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Snapshot:
    """A whole database at one moment."""

    values: dict[tuple[str, str], str]
    """Definitions and counters, by kind and name."""
    tables: dict[str, Rows]


class Audit:
    """The audit of one database. It reads rows, and what information_schema tells, in Python: no template, no log."""

    def __init__(self, endpoint: Endpoint, database: str) -> None:
        self._endpoint = endpoint
        self._database = database

    def baseline(self) -> Snapshot:
        """Read everything."""
        with contextlib.closing(connect(self._endpoint, self._database)) as connection, connection.cursor() as cursor:
            cursor.execute("SET SESSION TRANSACTION ISOLATION LEVEL REPEATABLE READ")
            with contextlib.suppress(Exception):  # a MariaDB knows no such setting
                cursor.execute("SET SESSION information_schema_stats_expiry = 0")
            cursor.execute("START TRANSACTION WITH CONSISTENT SNAPSHOT")
            cursor.execute(_OBJECTS)
            values = {(kind, name): _text(what) for kind, name, what in cursor.fetchall()}
            cursor.execute(
                "SELECT table_name, table_type, auto_increment FROM information_schema.tables "
                "WHERE table_schema = DATABASE() ORDER BY table_name"
            )
            tables = {}
            for name, kind, counter in list(cursor.fetchall()):
                if kind == "VIEW":
                    continue
                quoted = "`" + name.replace("`", "``") + "`"
                cursor.execute(f"SHOW CREATE TABLE {quoted}")
                values["table", name] = _AT_WORK.sub("", cursor.fetchone()[1])
                if counter is not None:
                    values["counter", name] = str(counter)
                tables[name] = _read(cursor, quoted)
            return Snapshot(values=values, tables=tables)

    def differences(self, baseline: Snapshot) -> tuple[Difference, ...]:
        """Everything that is not as in `baseline`. Raises `IsolationError` where something can't be read."""
        import pymysql

        try:
            found = self.baseline()
        except pymysql.err.Error as error:
            raise IsolationError(
                f"The audit could not read the database: {error}",
                cause="somebody still holds a lock, or the database is gone",
                fix="close every connection at the end of the test",
            ) from error
        return (*_values(baseline, found), *_tables(baseline, found))


def _read(cursor: Any, table: str) -> Rows:
    cursor.execute(f"SELECT * FROM {table}")
    total, count, kept = 0, 0, Counter[str]()
    for row in cursor:
        text = repr(row)
        total = (total + int.from_bytes(hashlib.sha256(text.encode()).digest()[:16], "big")) % 2**128
        count += 1
        if count <= KEPT:
            kept[text] += 1
    return Rows(count=count, digest=total, kept=kept if count <= KEPT else None)


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
    for name in sorted(before.tables.keys() & after.tables.keys()):  # the definitions tell the others
        was, is_ = before.tables[name], after.tables[name]
        if (was.count, was.digest) != (is_.count, is_.digest):
            what = f"{is_.count} rows, {was.count} in the baseline"
            yield Difference(kind="rows", name=name, what=what, rows=_changed(was.kept, is_.kept))


def _changed(was: Counter[str] | None, is_: Counter[str] | None) -> tuple[str, ...]:
    if was is None or is_ is None:
        return ()
    found = [f"{row} is missing" for row in (was - is_).elements()]
    found += [f"{row} is too many" for row in (is_ - was).elements()]
    return tuple(found[:SHOWN])


def _text(value: Any) -> str:
    return value.decode(errors="backslashreplace") if isinstance(value, bytes) else str(value)
