"""The templates of SQLite, in files of the cache, and the copies of one process."""

from __future__ import annotations

import contextlib
import os
import sqlite3
from collections.abc import Callable
from pathlib import Path

from seatrial.core import folders
from seatrial.core.locks import FileLock
from seatrial.errors import Refused, TemplateError
from seatrial.resources.kinds.sqlite.copy import SQLiteCopy
from seatrial.resources.kinds.sqlite.places import ChosenFile, File, Memory, Place
from seatrial.resources.kinds.sqlite.run_folder import RunFolder
from seatrial.resources.kinds.sqlite.transfer import Locked, overwrite, room
from seatrial.resources.protocol import Address, Target

MEMORY = ":memory:"

_LAST_USE = 14 * 24 * 3600
"""Seconds after which a template that nobody used is removed."""

_KEPT = 10
"""As many copies are kept for a look at them; older ones make room."""

_UNFINISHED = ".partial"

_BUILDING = 600
"""Seconds to wait for another process that builds the same template."""


class SQLiteStore:
    """Templates and copies; no server.

    Args:
        cache: the folder that lasts from run to run: templates, and copies that are kept.
        run: the folder of this process's copies; removed with them.
        at: the database of the address that the project chose: a path, or `MEMORY`; empty where it chose none.
    """

    locale = f"sqlite {sqlite3.sqlite_version}"

    def __init__(self, *, cache: Path, run: Path, at: str = "") -> None:
        self._cache = cache
        self._run = RunFolder(run)
        self._at = at
        self._hold: FileLock | None = None
        for folder in (cache, self._templates, self._kept, self._lasting):
            folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        if at and at != MEMORY:
            self._hold = self._take(Path(at))
        self._run.create()

    def find(self, key: str) -> bool:
        """Whether the template is there. It is then safe from removal by age for some days."""
        try:
            os.utime(self._template(key))
        except FileNotFoundError:
            return False
        return True

    def build(self, key: str, name: str, fill: Callable[[Target], None]) -> bool:
        """Make the template `key` at the address of the copy `name`. A template gets its name when it is whole."""
        with FileLock(self._templates / f"{key}.lock", timeout=_BUILDING, purpose="building the same template"):
            if self.find(key):
                return False
            place = self._place(name)
            try:
                with contextlib.closing(_emptied(place)) as connection:
                    fill(_target(place.address, connection))
                    self._seal(key, connection)
            except BaseException:
                place.remove()
                raise
            self._remove_old()
        return True

    def checkout(self, key: str, name: str) -> SQLiteCopy:
        """A fresh copy. Whoever has the file of that copy open already sees the fresh content, too."""
        place = self._place(name)
        if place.identity() is None:
            place.swap(self._template(key))
        copy = SQLiteCopy(place, self._template(key), self._run.path)
        try:
            copy.renew()
        except BaseException:
            copy.close()
            raise
        return copy

    def drop(self, name: str) -> None:
        """Remove the copy. Connections that are open keep what they have until they close."""
        self._place(name).remove()

    def keep(self, name: str, kept: str, *, forever: bool = False) -> Address:
        """Set the copy `name` aside in a file of the cache that outlives the run.

        The ten newest stay, besides those that are kept `forever`.
        """
        path = (self._lasting if forever else self._kept) / f"{kept}.db"
        path.unlink(missing_ok=True)
        with (
            room(path.parent),
            contextlib.closing(self._place(name).connect()) as source,
            contextlib.closing(sqlite3.connect(path)) as copy,
        ):
            overwrite(source, copy)
        by_age = sorted(self._kept.glob("*.db"), key=lambda file: file.stat().st_mtime)
        for old in by_age[:-_KEPT]:
            old.unlink(missing_ok=True)
        self.drop(name)
        return Address(scheme="sqlite", database=str(path))

    def close(self) -> None:
        """Remove the copies of this process that are in its own folder."""
        self._run.release()
        if self._hold is not None:
            self._hold.release()

    @property
    def _templates(self) -> Path:
        return self._cache / "templates"

    @property
    def _lasting(self) -> Path:
        return self._cache / "lasting"

    @property
    def _kept(self) -> Path:
        return self._cache / "kept"

    def _template(self, key: str) -> Path:
        return self._templates / f"{key}.db"

    def _place(self, name: str) -> Place:
        if self._at == MEMORY:
            return Memory(memory_name(self._run.path, name))
        place = ChosenFile(Path(self._at)) if self._at else File(self._run.path / f"{name}.db")
        place.claim()
        return place

    def _take(self, path: Path) -> FileLock:
        hold = FileLock(self._cache / f"at-{folders.digest(str(path), 16)}.lock")
        if not hold.try_acquire():
            raise Refused(
                f"{path} is in use",
                cause="another run serves its database there: one file holds one copy",
                fix="wait until it has ended, or remove `at`: each run then has a file of its own",
            )
        return hold

    def _seal(self, key: str, connection: sqlite3.Connection) -> None:
        unfinished = File(self._template(key).with_suffix(_UNFINISHED))
        unfinished.remove()  # a builder who was killed leaves a journal, too: it would be played back into ours
        try:
            with room(self._templates), contextlib.closing(sqlite3.connect(unfinished.path)) as sealed:
                overwrite(connection, sealed)
            unfinished.path.replace(self._template(key))
        except Locked:
            raise TemplateError(
                "the template can't be sealed: somebody is still writing to the database",
                cause="a step of `schema` or `seed` left a transaction open",
                fix="commit or roll back at the end of the step",
            ) from None
        finally:
            unfinished.remove()

    def _remove_old(self) -> None:
        folders.remove_unused(self._templates.glob("*.db"), _LAST_USE)
        for path in self._templates.glob(f"*{_UNFINISHED}"):
            building = FileLock(path.with_suffix(".lock"))
            if building.try_acquire():  # nobody is: he was killed
                File(path).remove()
                building.release()


def memory_name(run: Path, name: str) -> str:
    """What an in-memory copy is called in this process."""
    return f"{run.name}-{name}"


def _emptied(place: Place) -> sqlite3.Connection:
    """A connection to the database of `place`, which is empty now, for whoever has it open as well."""
    if place.identity() is None:
        place.swap(None)
    with contextlib.closing(sqlite3.connect(MEMORY)) as nothing:
        connection = place.connect()
        try:
            overwrite(nothing, connection)
        except (Locked, sqlite3.Error):
            connection.close()
            if not place.swap(None):
                raise
            connection = place.connect()
    return connection


def _target(address: Address, connection: sqlite3.Connection) -> Target:
    return Target(
        address=address,
        execute=lambda script: _run(connection, script),
        connect=lambda: sqlite3.connect(address.database, uri=address.database.startswith("file:")),
    )


def _run(connection: sqlite3.Connection, script: str) -> None:
    connection.executescript(script)
    if connection.in_transaction:  # a script that begins and never commits
        connection.commit()
