"""Schemas and seed data in SQL: a file, a folder of files, or the migrations of Prisma."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from seatrial.core.redact import redact
from seatrial.errors import ConfigError, SeatrialError, TemplateError
from seatrial.migrators import content
from seatrial.migrators.source.scripts import plain
from seatrial.resources.protocol import Target


class SQLFiles:
    """Files of SQL, each sent as a whole, in the order in which they are given."""

    def __init__(self, label: str, files: Sequence[Path], *, root: Path) -> None:
        self.label = label
        self._files = files
        self._root = root

    def hash(self) -> str:
        """A key of the names and the contents."""
        return content.of_files(self._files, self._root)

    def migrate(self, target: Target) -> None:
        """Run them. Raises `TemplateError` with the server's own message, and the line where it tells."""
        for path in self._files:
            name = path.relative_to(self._root).as_posix() if path.is_relative_to(self._root) else str(path)
            written = _read(path, name)
            script = plain(written, name)
            try:
                target.execute(script)
            except SeatrialError:
                raise
            except Exception as error:
                line = _line(error, script) if script == written else ""
                raise TemplateError(
                    f"{name}{line} failed",
                    cause=redact(f"{type(error).__name__}: {error}", target.address.password),
                    fix="mend the statement that the error names; a statement that refuses transactions needs a "
                    "command: write a script that runs it with the database's own client",
                ) from error


def folder(path: Path, *, root: Path, label: str) -> SQLFiles:
    """The .sql files of a folder, in the order of their names, without those that undo one (`1_users.down.sql`).

    Raises `ConfigError` if there is none.
    """
    files = [each for each in sorted(path.glob("*.sql")) if builds(each.name)]
    return SQLFiles(label, _some(files, label, "*.sql"), root=root)


def _some(files: list[Path], label: str, pattern: str) -> list[Path]:
    if not files:
        raise ConfigError(
            f"the folder {label} holds no SQL",
            cause=f"nothing in it matches {pattern}",
            fix="name the folder of the files themselves; folders in it are not searched",
        )
    return files


def _read(path: Path, name: str) -> str:
    try:
        return path.read_text(encoding="utf-8-sig")
    except UnicodeDecodeError as error:
        raise ConfigError(
            f"{name} is not text in UTF-8: {error.reason} at byte {error.start}",
            fix=f"save it as UTF-8; a binary dump is restored by a command: pg_restore -d $DATABASE_URL {name}",
        ) from None


def _line(error: Exception, script: str) -> str:
    """Where the server says that the mistake is: psycopg tells the character, counted from 1."""
    position = getattr(getattr(error, "diag", None), "statement_position", None)
    return f", line {script.count(chr(10), 0, int(position) - 1) + 1}," if position else ""


def builds(name: str) -> bool:
    """Whether a file is SQL that makes a schema, and not SQL that undoes what another one has made."""
    return name.endswith(".sql") and not name.endswith(".down.sql")
