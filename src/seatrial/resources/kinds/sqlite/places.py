"""Where a copy lives: in a file of ours, in a file at an address that the project chose, or in memory."""

from __future__ import annotations

import contextlib
import os
import shutil
import sqlite3
from pathlib import Path
from typing import Protocol

from seatrial.errors import ProviderError, Refused
from seatrial.resources.kinds.sqlite import holders
from seatrial.resources.kinds.sqlite.transfer import CACHE, MOMENT, locked, room, uri
from seatrial.resources.protocol import Address

_COMPANIONS = ("-wal", "-shm", "-journal")


class Place(Protocol):
    """One database, by the name that connections know it by."""

    address: Address
    uri: str
    """Opens what is there with SQLite's URI syntax, and makes nothing."""

    def connect(self) -> sqlite3.Connection:
        """A connection of ours to what is there, in autocommit; waits a moment for the locks of others."""
        ...

    def claim(self) -> None:
        """Raises `Refused` if what is there now is not ours. Changes nothing."""
        ...

    def identity(self) -> object:
        """Changes when another database stands under the name: somebody deleted or replaced the file."""
        ...

    def swap(self, content: Path | None) -> bool:
        """Put a new database under the name, a copy of `content`, or empty; False where that is impossible.

        Connections that are open keep the old one: they must be replaced.
        """
        ...

    def remove(self) -> None:
        """Delete the database and what SQLite keeps beside it, if it is ours."""
        ...

    def holders(self) -> str:
        """Who holds a lock on it now, in words."""
        ...


class File:
    """A file in a folder of ours, where everything is ours."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.address = Address(scheme="sqlite", database=str(path))
        self.uri = f"{uri(path)}?mode=rw"  # a file that SQLite makes by itself would lack our mark

    def connect(self) -> sqlite3.Connection:
        """A connection of ours; never makes the database."""
        return _connect(self.uri)

    def claim(self) -> None:
        """All of the folder is ours."""

    def identity(self) -> object:
        """Which database stands under the name."""
        try:
            status = self.path.stat()
        except OSError:
            return None
        return status.st_dev, status.st_ino

    def swap(self, content: Path | None) -> bool:
        """A new file under the name; open connections keep the old one."""
        self.claim()
        fresh = self._beside(".seatrial-new")
        with room(fresh.parent):
            if content is None:
                fresh.unlink(missing_ok=True)
                fresh.touch(mode=0o600)
            else:
                shutil.copyfile(content, fresh)
        self._replace(fresh)
        return True

    def remove(self) -> None:
        """Delete what is ours."""
        for suffix in (*_COMPANIONS, "", ".seatrial-new"):
            self._beside(suffix).unlink(missing_ok=True)

    def holders(self) -> str:
        """Who holds a lock on it now."""
        return holders.describe(self.path)

    def _replace(self, fresh: Path) -> None:
        # A new file must never meet the log of an old one: SQLite would play it back into the new file.
        for suffix in _COMPANIONS:
            self._beside(suffix).unlink(missing_ok=True)
        fresh.replace(self.path)

    def _beside(self, suffix: str) -> Path:
        return self.path.with_name(self.path.name + suffix)


class ChosenFile(File):
    """A file where the project wants it (`at`): ours only if it bears our mark.

    The mark is a second name of the very same file, "NAME.seatrial": it says nothing inside the database,
    it can't come to stand for another file (a file with a name left keeps its inode number), and it needs
    no opening. It stays after a crash, so that the next run knows its own.
    """

    @property
    def mark(self) -> Path:
        """The second name."""
        return self._beside(".seatrial")

    def claim(self) -> None:
        """See that what is there is ours, or nothing."""
        if not self.path.parent.is_dir():
            raise ProviderError(
                f"no database can be served at {self.path}",
                cause=f"the folder {self.path.parent} does not exist",
                fix="create the folder, or choose another `at`",
            )
        if os.path.lexists(self.path) and not self._ours():
            raise Refused(
                f"{self.path} is not ours to overwrite",
                cause="`at` names a file that exists and was not made by Seatrial: it may be somebody's database",
                fix=f"choose another path for `at`, or move the file away: mv {self.path} {self.path}.before",
            )

    def remove(self) -> None:
        """Delete what is ours."""
        if self._ours():
            super().remove()
        if not os.path.lexists(self.path):
            self.mark.unlink(missing_ok=True)

    def _replace(self, fresh: Path) -> None:
        # Marked before it gets its name. Until the rename is done the new file's two names are both known.
        self.mark.unlink(missing_ok=True)
        try:
            os.link(fresh, self.mark)
        except OSError as error:
            fresh.unlink()
            raise ProviderError(
                f"no database can be served at {self.path}: {error.strerror}",
                cause="the file system has no hard links, and our mark on the file is one",
                fix="choose a path for `at` on another file system",
            ) from error
        super()._replace(fresh)

    def _ours(self) -> bool:
        with contextlib.suppress(OSError):
            return not self.path.is_symlink() and self.path.samefile(self.mark)
        return False


class Memory:
    """A database in the memory of this process, shared by its connections as long as one is open."""

    def __init__(self, name: str) -> None:
        self.uri = f"file:/{name}?vfs=memdb"
        self.address = Address(scheme="sqlite", database=self.uri)

    def connect(self) -> sqlite3.Connection:
        """A connection of ours; never makes the database."""
        return _connect(self.uri)

    def claim(self) -> None:
        """The name is random: nobody else can have it."""

    def identity(self) -> object:
        """Which database stands under the name."""
        return self.uri

    def swap(self, content: Path | None) -> bool:
        """The name belongs to the database until its last connection closes."""
        del content
        return False

    def remove(self) -> None:
        """It goes with its last connection."""

    def holders(self) -> str:
        """Who holds a lock on it now."""
        return "a connection of this process"


def _connect(database: str) -> sqlite3.Connection:
    """Fast, because a copy that a crash has spoilt is never used again."""
    connection = sqlite3.connect(database, isolation_level=None, timeout=MOMENT, check_same_thread=False, uri=True)
    try:
        connection.execute("PRAGMA synchronous = OFF")
        connection.execute(CACHE)
        if connection.execute("PRAGMA journal_mode").fetchone() != ("wal",):
            connection.execute("PRAGMA journal_mode = MEMORY")  # of this connection only; the file keeps its mode
    except sqlite3.OperationalError as error:
        if not locked(error):
            connection.close()
            raise
    except sqlite3.DatabaseError:
        connection.close()
        raise
    return connection
