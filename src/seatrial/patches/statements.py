"""Sees the statements that drivers send, and the line of the project that issued each."""

from __future__ import annotations

import sys
import sysconfig
from collections.abc import Callable, Iterator, Mapping
from functools import wraps
from pathlib import Path
from types import FrameType, ModuleType
from typing import Any

from seatrial.patches.when_imported import WhenImported

Tell = Callable[[str, str, "Lines"], None]
"""Called with the name of a database (a path for SQLite), the statement, and what finds the line."""

SILENT = ("sqlalchemy.", "seatrial.", "asyncpg.connection", "asyncpg.transaction", "psycopg._")
"""Callers of a driver whose statements are seen elsewhere, are our own, or are the driver's: BEGIN, what types are."""

METHODS: Mapping[str, Mapping[str, tuple[str, ...]]] = {
    "psycopg": {
        "Cursor": ("execute", "executemany", "stream", "copy"),
        "ServerCursor": ("execute",),
        "AsyncCursor": ("execute", "executemany", "stream", "copy"),
        "AsyncServerCursor": ("execute",),
    },
    "asyncpg": {"Connection": ("execute", "executemany", "fetch", "fetchrow", "fetchval", "fetchmany", "cursor")},
}

NAMES = ("query", "statement", "command")
"""What the methods call the statement."""


class Lines:
    """Finds the nearest line on the stack that is neither a library's nor ours.

    Args:
        root: the project; its files are told relative to it.
    """

    def __init__(self, root: Path) -> None:
        self._root = root
        ours = Path(__file__).parents[1]
        paths = sysconfig.get_paths()
        # Longest first: site-packages may lie in the folder of the standard library, and a project beside either.
        self._libraries = tuple(f"{paths[key]}/" for key in ("purelib", "platlib", "stdlib", "platstdlib"))
        self._libraries += (f"{ours}/",)
        self._names: dict[str, str] = {}

    def nearest(self) -> str:
        """File and line: "shop/orders.py:41"; empty where the stack has no such line."""
        frame: FrameType | None = sys._getframe(1)  # noqa: SLF001  # the documented way to the caller's frame
        waiting = _waiting()
        while frame is not None:
            path = frame.f_code.co_filename
            name = self._names.get(path)
            if name is None:
                name = self._names[path] = self._name(path)
            if name:
                return f"{name}:{frame.f_lineno}"
            frame = frame.f_back or next(waiting, None)
        return ""

    def _name(self, path: str) -> str:
        if path.startswith(("<", *self._libraries)) or "/site-packages/" in path:
            return ""
        try:
            return str(Path(path).relative_to(self._root))
        except ValueError:
            return path


def _waiting() -> Iterator[FrameType]:
    """The frames that wait for the running greenlet: SQLAlchemy's asyncio is made of these."""
    greenlet = sys.modules.get("greenlet")
    current = greenlet.getcurrent() if greenlet is not None else None
    while current is not None and current.parent is not None:
        current = current.parent
        if current.gr_frame is not None:
            yield current.gr_frame


class SeenStatements:
    """What SQLAlchemy, psycopg and asyncpg send, whichever of them a project uses. A `Patch`.

    Not seen: psycopg2 and sqlite3 without SQLAlchemy (their cursors are made in C), and other processes.
    """

    name = "SQLAlchemy, psycopg, asyncpg: statements are seen"

    def __init__(self, tell: Tell, root: Path) -> None:
        lines = Lines(root)
        self._parts: list[SeenSQLAlchemy | SeenDriver] = [SeenSQLAlchemy(tell, lines)]
        self._parts += [SeenDriver(driver, tell, lines) for driver in METHODS]

    def apply(self) -> None:
        """See each from now on, or as soon as it is imported."""
        for part in self._parts:
            part.apply()

    def undo(self) -> None:
        """Leave them as they were found."""
        for part in reversed(self._parts):
            part.undo()


class SeenSQLAlchemy:
    """SQLAlchemy's own event before a cursor executes, on all engines."""

    def __init__(self, tell: Tell, lines: Lines) -> None:
        self._tell = tell
        self._lines = lines
        self._watch = WhenImported("sqlalchemy.engine", self._listen)
        self._listens = False

    def apply(self) -> None:
        """Listen now, or as soon as SQLAlchemy is imported."""
        if not self._listens:
            self._watch.install()

    def undo(self) -> None:
        """Listen no longer."""
        self._watch.remove()
        if self._listens:
            from sqlalchemy import event
            from sqlalchemy.engine import Engine

            event.remove(Engine, "before_cursor_execute", self._see)
            self._listens = False

    def _listen(self, module: ModuleType) -> None:
        from sqlalchemy import event

        event.listen(module.Engine, "before_cursor_execute", self._see)
        self._listens = True

    def _see(
        self, connection: Any, cursor: Any, statement: str, parameters: Any, context: Any, executemany: bool
    ) -> None:
        del cursor, parameters, context, executemany
        self._tell(connection.engine.url.database or "", statement, self._lines)


class SeenDriver:
    """psycopg or asyncpg, used without SQLAlchemy: the methods that send a statement tell of it first."""

    def __init__(self, driver: str, tell: Tell, lines: Lines) -> None:
        self._driver = driver
        self._tell = tell
        self._lines = lines
        self._watch = WhenImported(driver, self._patch)
        self._undo: list[tuple[Any, str, Any]] = []

    def apply(self) -> None:
        """Change the driver's classes now, or as soon as it is imported."""
        if not self._undo:
            self._watch.install()

    def undo(self) -> None:
        """Leave the driver as it was found."""
        self._watch.remove()
        while self._undo:
            kind, method, original = self._undo.pop()
            setattr(kind, method, original)

    def _patch(self, module: ModuleType) -> None:
        for kind_name, methods in METHODS[self._driver].items():
            kind: Any = getattr(module, kind_name)
            for method in methods:
                original = vars(kind).get(method)
                if original is not None:
                    self._undo.append((kind, method, original))
                    setattr(kind, method, self._telling(original))

    def _telling(self, original: Callable[..., Any]) -> Callable[..., Any]:
        # Not a coroutine function where the original is one: the stack of the caller is there when it is called,
        # and may be gone when the coroutine is first run.
        @wraps(original)
        def telling(self_: Any, *args: Any, **options: Any) -> Any:
            caller = sys._getframe(1).f_globals.get("__name__", "")  # noqa: SLF001  # the documented way to it
            query = args[0] if args else next((options[name] for name in NAMES if name in options), None)
            if query is not None and not caller.startswith(SILENT):
                self._tell(_database(self_), query if isinstance(query, str) else _text(query, self_), self._lines)
            return original(self_, *args, **options)

        return telling


def _database(holder: Any) -> str:
    """The database that a cursor of psycopg, or a connection of asyncpg, leads to."""
    parameters = getattr(holder, "_params", None)
    if parameters is not None:
        return str(parameters.database)
    try:
        return str(holder.connection.info.dbname)
    except Exception:  # noqa: BLE001  # a connection that is closed by now can't say; its own error follows
        return ""


def _text(query: Any, cursor: Any) -> str:
    """The SQL: psycopg takes text, bytes, or a composition of SQL."""
    if isinstance(query, bytes):
        return query.decode("utf-8", "replace")
    return str(query.as_string(cursor)) if hasattr(query, "as_string") else str(query)
