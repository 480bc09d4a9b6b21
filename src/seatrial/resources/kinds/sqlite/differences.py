"""Which tables of a database differ from its template: read only when something was written out of turn."""

from __future__ import annotations

import contextlib
import sqlite3
from pathlib import Path

from seatrial.resources.kinds.sqlite.places import Place
from seatrial.resources.kinds.sqlite.transfer import open_frozen

SCHEMA = "sqlite_schema"
"""Stands for a difference outside the rows: DDL, user_version, application_id, auto_vacuum."""


def tables(place: Place, template: Path) -> tuple[str, ...]:
    """The names of tables whose rows differ, row numbers and counters of AUTOINCREMENT included.

    The cost grows with the size of the database.
    """
    # In this order: what a connection to memory attaches is sought in memory, too.
    with contextlib.closing(open_frozen(template)) as connection:
        connection.execute("ATTACH ? AS copy", (place.uri,))
        if _outline(connection, "copy") != _outline(connection, "main"):
            return (SCHEMA,)
        names = connection.execute(
            "SELECT name FROM main.sqlite_master WHERE type = 'table' AND sql NOT LIKE 'CREATE VIRTUAL %'"
        ).fetchall()
        return tuple(sorted(name for (name,) in names if _differs(connection, name)))


def _outline(connection: sqlite3.Connection, schema: str) -> list[tuple[object, ...]]:
    outline = connection.execute(f"SELECT type, name, sql FROM {schema}.sqlite_master ORDER BY 1, 2").fetchall()  # noqa: S608 - one of two literals
    for pragma in ("user_version", "application_id", "auto_vacuum"):
        outline += connection.execute(f"PRAGMA {schema}.{pragma}").fetchall()
    return outline


def _differs(connection: sqlite3.Connection, table: str) -> bool:
    columns = [row[1] for row in connection.execute(f"PRAGMA main.table_xinfo({_quoted(table)})")]
    # quote() tells 1 from 1.0 and 'a' from 'A', whatever the column's type and collation; a text ends for it at a zero.
    values = ", ".join(f"quote({name}), CAST({name} AS BLOB)" for name in map(_quoted, columns))
    for row in (f"_rowid_, {values}", values):
        now, then = (f"SELECT {row} FROM {schema}.{_quoted(table)}" for schema in ("copy", "main"))  # noqa: S608 - quoted names
        both = f"SELECT EXISTS ({now} EXCEPT {then}) OR EXISTS ({then} EXCEPT {now})"
        try:
            return bool(connection.execute(both).fetchone()[0])
        except sqlite3.OperationalError:
            continue  # a WITHOUT ROWID table
    return True


def _quoted(name: str) -> str:
    return '"' + name.replace('"', '""') + '"'
