"""In-memory SQLite, one database an engine: so that a test and its app see the same one from any thread."""

from __future__ import annotations

from types import ModuleType
from typing import Any

from seatrial.patches.replacing import Changes, Replacing

DIALECT = "sqlalchemy.dialects.sqlite.pysqlite"


def memory_sqlite() -> Replacing:
    """SQLAlchemy's engines for in-memory SQLite, made without a `poolclass`, share one connection.

    SQLAlchemy gives each thread a database of its own there (SingletonThreadPool), so that an app whose
    endpoints run in worker threads finds no tables. While this holds, `create_engine("sqlite://")` chooses
    StaticPool, and its connection may be used from any thread, as SQLAlchemy's documentation advises for this case.
    Engines that exist already, that name a pool, or that use a file are as they were, and so are those that are made
    when this is undone. It works on the dialect: a `create_engine` that somebody has imported before is the same
    function.
    """

    def change(module: ModuleType, changes: Changes) -> None:
        from sqlalchemy import event
        from sqlalchemy.pool import StaticPool

        dialect: Any = module.SQLiteDialect_pysqlite
        usual = dialect.get_dialect_pool_class

        def get_dialect_pool_class(self: Any, url: Any) -> Any:
            if not is_in_memory(url):
                return usual(self, url)
            if not self.is_async:  # an async driver has a thread of its own
                event.listen(self, "do_connect", _from_any_thread)
            return StaticPool

        changes.replace(dialect, "get_dialect_pool_class", get_dialect_pool_class)

    return Replacing("in-memory SQLite: one database an engine (StaticPool)", DIALECT, change)


def is_in_memory(url: Any) -> bool:
    """Whether each connection to this SQLAlchemy URL of SQLite would open a database of its own in memory.

    Databases that connections share by name (`vfs=memdb`) are none of these.
    """
    database = url.database or ":memory:"
    if "vfs" in url.query:
        return False
    return database in (":memory:", "file::memory:") or url.query.get("mode") == "memory"


def _from_any_thread(dialect: Any, record: Any, args: Any, options: dict[str, Any]) -> None:
    """Change what sqlite3.connect is called with: SQLAlchemy's event for exactly this."""
    del dialect, record, args
    options["check_same_thread"] = False
