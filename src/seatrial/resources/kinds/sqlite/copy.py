"""One copy of a SQLite template: written to by anybody, and brought back by SQLite's own backup API."""

from __future__ import annotations

import contextlib
import gc
import secrets
import sqlite3
from collections.abc import Sequence
from pathlib import Path

from seatrial.errors import IsolationError, NeedsClone, ProviderError
from seatrial.resources.kinds.sqlite import differences
from seatrial.resources.kinds.sqlite.client import SQLiteConnection
from seatrial.resources.kinds.sqlite.places import Place
from seatrial.resources.kinds.sqlite.transfer import (
    MOMENT,
    Locked,
    is_wal,
    locked,
    open_frozen,
    overwrite,
    room,
    same,
)
from seatrial.resources.protocol import Address, Ended, Undone

ANYTHING = "*"
"""In place of a table's name where the whole database was exchanged."""


class SQLiteCopy:
    """A copy at one address, from first test to last. It can reset, clone, hold a rollback test, and take layers.

    A connection of ours stays open, the watch: its `PRAGMA data_version` changes when any other connection, of
    any process, has committed something, and not when nobody has. What was rolled back leaves no trace in it.
    """

    def __init__(self, place: Place, template: Path, layers: Path | None = None) -> None:
        self._place = place
        self._layers = layers
        self._below: list[Path] = []
        self._take(template)
        self._watch = place.connect()
        self._identity = place.identity()
        self._baseline = self._marked = -1
        self._doubtful = True
        """Whether the baseline may not hold, whatever the data version says."""
        self._stuck = False
        """Whether somebody held a transaction for longer than a moment: waiting again is in vain."""

    @property
    def address(self) -> Address:
        """The same from first test to last."""
        return self._place.address

    def connect(self) -> sqlite3.Connection:
        """A new connection, as `sqlite3.connect` makes it by default."""
        return sqlite3.connect(self.address.database, uri=self.address.database.startswith("file:"))

    def client(self, *, is_async: bool = False) -> SQLiteConnection:
        """The same, opened again in place for each test."""
        del is_async  # the standard library has no other
        return SQLiteConnection(self.address.database)

    def used_since_checkout(self, own: Sequence[int]) -> tuple[Ended, ...]:
        """Always empty: SQLite does not know who has a file open."""
        del own
        return ()

    def mark(self) -> None:
        """Remember where a test begins, for `uncommitted_only`."""
        with contextlib.suppress(sqlite3.Error):
            self._marked = self._version()

    def uncommitted_only(self) -> bool:
        """Whether no connection has committed anything since `mark` that is still there.

        To set WAL mode, as many apps do where they connect, is a commit, too, and of nothing.
        """
        try:
            if not self._in_place():
                return False
            version = self._version()
            if version == self._marked:
                return True
            if self._doubtful or not same(self._watch, self._source):
                return False
        except sqlite3.Error:
            return False
        self._baseline = version
        return True

    def undo(self) -> Undone:
        """Back to the baseline: nothing to do, or the template's pages written over, DDL and sequences included.

        The cost grows with the size of the database, not with what was written. The journal mode is the
        connections' own affair and stays: an app that has set WAL keeps it.
        """
        if not self._in_place():
            raise self._doubt("the file of the database was deleted or replaced while it was served")
        try:
            version = self._version()
            if version == self._baseline and not self._doubtful:
                # Who has begun to write may commit later: that must not land in the next test.
                self._watch.execute("BEGIN IMMEDIATE").execute("ROLLBACK")
                return Undone(path="nothing")
            if _number(self._watch, "page_size") != self._page_size:
                raise self._doubt("the page size was changed, and can't be changed back while the file is open")
            overwrite(self._source, self._watch)
        except Locked:
            raise self._held() from None
        except sqlite3.Error as error:
            if isinstance(error, sqlite3.OperationalError) and locked(error):
                raise self._held() from error
            raise self._doubt(f"SQLite can't bring it back in place: {error}") from error
        # The version read before: what was committed since then shows as a late write, whether it was undone or not.
        self._baseline, self._doubtful = version, False
        return Undone(path="copy")

    def late_writes(self) -> tuple[str, ...]:
        """Tables that differ although the baseline was reached; cheap where nothing was committed since."""
        if not self._in_place():
            return (ANYTHING,)
        try:
            version = self._version()
            if version == self._baseline and not self._doubtful:
                return ()
            tables = differences.tables(self._place, self._template)
        except sqlite3.Error:
            return (ANYTHING,)
        if not tables and not self._doubtful:
            self._baseline = version
        return tables or ((ANYTHING,) if self._doubtful else ())

    def renew(self) -> None:
        """The template's content whole, in place where no transaction is in the way, otherwise in a new file.

        In place every open connection, of any process, sees it. A new file is seen by new connections only:
        those of this process must be replaced, and another process that had the file open keeps the old one.
        """
        if not (self._in_place() and not self._stuck and self._rewritten()):
            self._exchange()
        self._identity = self._place.identity()
        self._baseline, self._doubtful, self._stuck = self._version(), False, False

    def changed(self) -> bool:
        """Whether anything was committed to it that is not in its baseline."""
        return bool(self.late_writes())

    def push(self) -> None:
        """What is committed in it now is the baseline. Nobody's connection is ended.

        Raises:
            IsolationError: somebody held a transaction on it for longer than a moment.
        """
        assert self._layers is not None, "a copy of a store has a folder for layers"
        layer = self._layers / f"layer-{secrets.token_hex(6)}.db"
        try:
            # Whoever has begun to write may commit later: that must land in the layer, or in no test.
            self._watch.execute("BEGIN IMMEDIATE").execute("ROLLBACK")
            version = self._version()
            with room(self._layers), contextlib.closing(sqlite3.connect(layer)) as fresh:
                overwrite(self._watch, fresh)
        except ProviderError:
            layer.unlink(missing_ok=True)
            raise
        except (Locked, sqlite3.OperationalError) as error:
            layer.unlink(missing_ok=True)
            raise IsolationError(
                f"the data of a wider fixture can't become the baseline: {error or 'the database is locked'}",
                cause=f"{self._place.holders()} holds a transaction",
                fix="commit, or close the connection, at the end of the fixture",
            ) from error
        self._below.append(self._template)
        self._source.close()
        self._take(layer)
        self._baseline, self._doubtful, self._stuck = version, False, False
        self.mark()

    def pop(self) -> None:
        """What was there before the last `push` is the baseline again, and in the copy."""
        layer = self._template
        self._source.close()
        self._take(self._below.pop())
        self._doubtful = True
        try:
            self.renew()
        finally:
            layer.unlink(missing_ok=True)

    def close(self) -> None:
        """Close our own connections."""
        self._watch.close()
        self._source.close()

    def _take(self, template: Path) -> None:
        """From now on this is the baseline."""
        self._template = template
        self._source = open_frozen(template)
        self._page_size = _number(self._source, "page_size")
        self._template_is_wal = is_wal(template)

    def _version(self) -> int:
        return _number(self._watch, "data_version")

    def _in_place(self) -> bool:
        return self._place.identity() == self._identity

    def _rewritten(self) -> bool:
        try:
            if _number(self._watch, "page_size") != self._page_size and _number(self._watch, "page_count"):
                return False
            overwrite(self._source, self._watch)
            self._reset_journal_mode()
        except (Locked, sqlite3.Error):
            return False
        return True

    def _reset_journal_mode(self) -> None:
        """A fresh clone has the template's journal mode again, if nobody is at work in another."""
        if not self._template_is_wal and self._watch.execute("PRAGMA journal_mode").fetchone() == ("wal",):
            with contextlib.suppress(sqlite3.OperationalError):
                self._watch.execute("PRAGMA journal_mode = DELETE")
                self._watch.execute("PRAGMA journal_mode = MEMORY")

    def _exchange(self) -> None:
        self._watch.close()
        swapped = self._place.swap(self._template)
        self._watch = self._place.connect()
        if not swapped:
            gc.collect()  # a connection that was forgotten in a circle of references closes now
            try:
                overwrite(self._source, self._watch)
            except (Locked, sqlite3.Error) as error:
                self._doubtful = True
                raise IsolationError(
                    "the in-memory database can't be brought back to its baseline",
                    cause=str(error) or "a connection of this process still holds a transaction after the test",
                    fix="close every connection at the end of the test, or have the database in a file: remove `at`",
                ) from error

    def _held(self) -> NeedsClone:
        self._stuck = True
        return self._doubt(f"{self._place.holders()} still held a transaction {MOMENT * 1000:.0f} ms after the test")

    def _doubt(self, what: str) -> NeedsClone:
        self._doubtful = True
        return NeedsClone(what, fix="nothing: the test after it gets a fresh clone")


def _number(connection: sqlite3.Connection, pragma: str) -> int:
    return int(connection.execute(f"PRAGMA {pragma}").fetchone()[0])
