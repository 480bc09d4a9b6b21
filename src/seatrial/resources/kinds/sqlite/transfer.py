"""The content of one database put into another that may be open elsewhere: SQLite's backup API, with an end.

The destination's file is written by SQLite itself, as one transaction: every connection to it, of any
process, sees the new content with its next statement, in rollback-journal and in WAL mode. Writing over an
open database file from outside corrupts it, and opening one to copy it drops this process's locks on it.
"""

from __future__ import annotations

import contextlib
import errno
import shutil
import sqlite3
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import quote

from seatrial.errors import ProviderError

MOMENT = 0.2
"""Seconds that others get to end their transactions."""

CACHE = "PRAGMA cache_size = -65536"
"""Up to 64 MB of pages stay in memory, in KiB as SQLite counts; its 2 MB made a copy of 2.4 MB twice as slow."""

_BUSY = (5, 6)
"""SQLITE_BUSY and SQLITE_LOCKED, the primary result codes."""

_FULL = 13
"""SQLITE_FULL."""

_UNSTEADY = ((18, 20), (24, 28), (40, 44), (92, 100))
"""Where the file's header has the journal mode, the numbers of the last commit and schema, and who has made it."""


class Locked(Exception):
    """Somebody held a transaction on the database for longer than a moment."""


def overwrite(source: sqlite3.Connection, destination: sqlite3.Connection) -> None:
    """Make `destination` equal to `source`: rows, schema, sequences, user_version and application_id.

    Waits for others as long as the destination's timeout says, then raises `Locked` and has changed nothing.
    Raises `sqlite3.Error` where the destination is not a database, or is in WAL mode with another page size.
    """

    def stop_waiting(status: int, _remaining: int, _total: int) -> None:
        # Connection.backup would try again for ever.
        if status & 0xFF in _BUSY:
            raise Locked

    try:
        source.backup(destination, progress=stop_waiting)
    except sqlite3.OperationalError as error:
        if locked(error):
            raise Locked from error
        raise


def same(one: sqlite3.Connection, other: sqlite3.Connection) -> bool:
    """Whether they are equal page for page, but for the journal mode and what SQLite counts: no row is looked at.

    False where this SQLite can't tell.
    """
    if not hasattr(one, "serialize"):
        return False
    now, then = (bytearray(connection.serialize()) for connection in (one, other))
    for pages in (now, then):
        for first, end in _UNSTEADY:
            pages[first:end] = bytes(end - first)
    return now == then


def locked(error: sqlite3.Error) -> bool:
    """Whether the error only says that somebody else is at work."""
    code = getattr(error, "sqlite_errorcode", None)
    return code is not None and code & 0xFF in _BUSY


def open_frozen(path: Path) -> sqlite3.Connection:
    """Open a database that nobody writes to any more: no locks, no -wal or -shm file beside it."""
    connection = sqlite3.connect(f"{uri(path)}?immutable=1", uri=True, check_same_thread=False)
    connection.execute(CACHE)
    return connection


def uri(path: Path) -> str:
    """The path as SQLite reads it in a URI."""
    return f"file:{quote(str(path))}"


def is_wal(path: Path) -> bool:
    """Whether a database file that nobody has open is in WAL mode: its header says so."""
    with path.open("rb") as file:
        return file.read(19)[18:] == b"\x02"


@contextlib.contextmanager
def room(folder: Path) -> Iterator[None]:
    """The block writes to `folder`.

    Raises:
        ProviderError: there is no room left in it. Other errors stay what they are.
    """
    try:
        yield
    except (OSError, sqlite3.OperationalError) as error:
        if not _is_full(error):
            raise
        words = error.strerror if isinstance(error, OSError) else error
        free = shutil.disk_usage(folder).free // 1024
        raise ProviderError(
            f"there is no room left for a database of SQLite: {words}",
            cause=f"{free} KB are free in {folder}, and a template, or its copy, takes more",
            fix="free some, by `seatrial clean` or otherwise, or set SEATRIAL_CACHE to a folder with more room",
        ) from error


def _is_full(error: OSError | sqlite3.OperationalError) -> bool:
    if isinstance(error, OSError):
        return error.errno in (errno.ENOSPC, errno.EDQUOT)
    return getattr(error, "sqlite_errorcode", 0) & 0xFF == _FULL
