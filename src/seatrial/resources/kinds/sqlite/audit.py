"""Whether a SQLite database equals its baseline, told by reading all of it, on a path that the undo does not know."""

from __future__ import annotations

import contextlib
import sqlite3
from pathlib import Path
from typing import Any

from seatrial.errors import IsolationError
from seatrial.resources.auditing.comparison import Difference, Rows, Snapshot, differences

WAIT = 10.0
"""Seconds to wait for somebody who still writes."""
PRAGMAS = ("user_version", "application_id", "page_size", "encoding", "auto_vacuum")


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
        return differences(baseline, found)


def _read(connection: sqlite3.Connection, table: str) -> Rows:
    name = '"' + table.replace('"', '""') + '"'
    try:
        cursor = connection.execute(f"SELECT rowid, * FROM {name} ORDER BY rowid")  # noqa: S608 - a quoted name
    except sqlite3.OperationalError:  # WITHOUT ROWID
        cursor = connection.execute(f"SELECT * FROM {name}")  # noqa: S608 - as above
    return Rows.of(cursor)


def _text(value: Any) -> str:
    return bytes(value).decode(errors="backslashreplace")
