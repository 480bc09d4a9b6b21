"""A connection of sqlite3's that stays the same object from first test to last, and is as new for each of them."""

from __future__ import annotations

import sqlite3
from contextlib import suppress


class SQLiteConnection:
    """A `sqlite3.Connection`, closed and opened again in place: that costs less than 0.1 ms."""

    def __init__(self, database: str) -> None:
        self._database = database
        self._uri = database.startswith("file:")
        self.value = sqlite3.connect(database, uri=self._uri)

    def renew(self) -> None:
        """As new. `sqlite3.Connection.__init__` may be called again."""
        self.value.close()
        self.value.__init__(self._database, uri=self._uri)  # type: ignore[misc]  # it may be called again

    replace = renew

    def settle(self) -> None:
        """End the transaction."""
        with suppress(sqlite3.Error):  # it may be closed
            self.value.rollback()

    def close(self) -> None:
        """Close it."""
        self.value.close()
