"""The databases of ours on one server: written down in a table, held by named locks, dropped when their run is gone."""

from __future__ import annotations

from dataclasses import dataclass

from seatrial.core.folders import digest
from seatrial.errors import IsolationError, Refused
from seatrial.resources.kinds.mysql.connection import Link, identifier, literal
from seatrial.resources.protocol import Endpoint

OURS = "seatrial"
"""The database in which our list stands. MySQL keeps no comments of databases, which could bear a marker."""
_LIST = identifier(OURS, "databases")
_CREATE = f"""CREATE TABLE IF NOT EXISTS {_LIST} (
  name VARCHAR(64) NOT NULL PRIMARY KEY, what VARCHAR(16) NOT NULL, template VARCHAR(64) NOT NULL,
  run VARCHAR(32) NOT NULL, used BIGINT NOT NULL
) CHARACTER SET utf8mb4 COLLATE utf8mb4_bin COMMENT = 'the databases here that belong to Seatrial'"""
PASSING = ("copy", "building", "layer")
"""Databases that end with their run."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Listed:
    """One of ours."""

    name: str
    what: str
    """"template", "copy", "building", "layer", "kept" or "lasting"."""
    template: str
    run: str
    used: int
    """When it was made or last used, by the server's clock in seconds."""


class Databases:
    """What may be done with databases. Only what is in the list is ever dropped."""

    def __init__(self, link: Link, endpoint: Endpoint, run: str) -> None:
        self._link = link
        self._endpoint = endpoint
        self._run = run
        link.run(f"CREATE DATABASE IF NOT EXISTS {identifier(OURS)}")
        link.run(_CREATE)

    def find(self, name: str) -> Listed | None:
        """The one by this name, if it is ours."""
        found = self.all(f"name = {literal(name)}")
        return found[0] if found else None

    def all(self, where: str = "TRUE") -> list[Listed]:
        """Ours, the newest first."""
        rows = self._link.rows(
            f"SELECT name, what, template, run, used FROM {_LIST} WHERE {where} ORDER BY used DESC, name"
        )
        return [Listed(name=name, what=what, template=key, run=run, used=used) for name, what, key, run, used in rows]

    def note(self, name: str, what: str, template: str = "") -> None:
        """Write down that this one is ours, before it is made, or what it is now."""
        self._link.run(
            f"REPLACE INTO {_LIST} VALUES ({literal(name)}, {literal(what)}, {literal(template)}, "
            f"{literal(self._run)}, UNIX_TIMESTAMP())"
        )

    def drop(self, name: str) -> None:
        """Remove one of ours. Raises `Refused` for somebody else's."""
        if self._there(name):
            self.refuse_strangers(name)
            self._link.run(f"DROP DATABASE IF EXISTS {identifier(name)}")
        self._link.run(f"DELETE FROM {_LIST} WHERE name = {literal(name)}")

    def refuse_strangers(self, name: str) -> None:
        """Raise `Refused` if there is a database by this name that is not in our list."""
        if not self._there(name) or self.find(name) is not None:
            return
        admin = self._endpoint.admin
        raise Refused(
            f'the database "{name}" at {admin.host}:{admin.port} is not ours',
            cause="Seatrial has not made it, so it may be somebody's real one; nothing was touched",
            fix="rename or drop it yourself, or point `at` or `url` elsewhere",
        )

    def hold(self, name: str) -> None:
        """The name is this run's until its connection closes. Raises `IsolationError` where it is another's."""
        self.refuse_strangers(name)
        if not self.lock(f"copy {name}"):
            raise IsolationError(
                f'another run of this project is using the copy "{name}"',
                cause="two runs at once take different names, except where `at` fixes one",
                fix="wait for the other run to end",
            )

    def lock(self, what: str, patience: float = 0) -> bool:
        """Take a lock that ends with our connection; whether we have it."""
        return bool(self._link.rows(f"SELECT GET_LOCK({_name(what)}, {patience})")[0][0])

    def unlock(self, what: str) -> None:
        """Give it back."""
        self._link.rows(f"SELECT RELEASE_LOCK({_name(what)})")

    def sweep(self) -> None:
        """Drop what runs have left that hold their lock no more."""
        for one in self.all(f"what IN ({', '.join(map(literal, PASSING))}) AND run <> {literal(self._run)}"):
            if self.lock(f"run {one.run}"):
                try:
                    if self.lock(f"copy {one.name}"):
                        self.drop(one.name)
                        self.unlock(f"copy {one.name}")
                finally:
                    self.unlock(f"run {one.run}")

    def _there(self, name: str) -> bool:
        return bool(self._link.rows(f"SELECT 1 FROM information_schema.schemata WHERE schema_name = {literal(name)}"))


def _name(what: str) -> str:
    return literal(f"seatrial {digest(what, 32)}")
