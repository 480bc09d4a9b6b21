"""SQLite: a database in a file, or in the memory of this process; no server."""

from seatrial.resources.kinds.sqlite.kind import SQLite

__all__ = ["SQLite"]
