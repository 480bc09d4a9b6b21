"""In-memory SQLite, one database an engine: so that a test and its app see the same one from any thread."""

from __future__ import annotations

from types import ModuleType
from typing import Any

from seatrial.patches.when_imported import WhenImported

DIALECT = "sqlalchemy.dialects.sqlite.pysqlite"


class MemorySQLite:
    """SQLAlchemy's engines for in-memory SQLite, made without a `poolclass`, share one connection.

    SQLAlchemy gives each thread a database of its own there (SingletonThreadPool), so that an app whose
    endpoints run in worker threads finds no tables. While this holds, `create_engine("sqlite://")` chooses
    StaticPool, and its connection may be used from any thread, as SQLAlchemy's documentation advises for this case.
    Engines that exist already, that name a pool, or that use a file are as they were. It works on the
    dialect: a `create_engine` that somebody has imported before is the same function.
    """

    name = "in-memory SQLite: one database an engine (StaticPool)"

    def __init__(self) -> None:
        self._watch = WhenImported(DIALECT, self._patch)
        self._dialect: Any = None

    def apply(self) -> None:
        """Change the dialect now, or as soon as it is imported."""
        if self._dialect is None:
            self._watch.install()

    def undo(self) -> None:
        """Engines made from now on are SQLAlchemy's own again; those made meanwhile keep their pool."""
        self._watch.remove()
        if self._dialect is not None:
            del self._dialect.get_dialect_pool_class
            self._dialect = None

    def _patch(self, module: ModuleType) -> None:
        from sqlalchemy import event
        from sqlalchemy.pool import StaticPool

        dialect: Any = module.SQLiteDialect_pysqlite
        inherited = dialect.get_dialect_pool_class

        def get_dialect_pool_class(self: Any, url: Any) -> Any:
            if not is_in_memory(url):
                return inherited(self, url)
            if not self.is_async:  # an async driver has a thread of its own
                event.listen(self, "do_connect", _from_any_thread)
            return StaticPool

        dialect.get_dialect_pool_class = get_dialect_pool_class
        self._dialect = dialect


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
