"""The databases of ours on one server: written down in a table, held by named locks, dropped when their run is gone."""

from __future__ import annotations

import contextlib
import secrets
from dataclasses import dataclass, replace

from seatrial.core.redact import redact
from seatrial.errors import IsolationError, Refused, TemplateError
from seatrial.resources.kinds.mysql.connection import LOCKED, Link, identifier, library, literal
from seatrial.resources.kinds.mysql.locks import Locks, run_lock
from seatrial.resources.kinds.mysql.reset import fence
from seatrial.resources.kinds.mysql.reset.log import Log
from seatrial.resources.protocol import Endpoint
from seatrial.resources.sharing.taken import taken

OURS = "seatrial"
"""The database in which our list stands. MySQL keeps no comments of databases, which could bear a marker."""
LIST = identifier(OURS, "databases")
WORKERS = identifier(OURS, "workers")
_MARK = "the databases here that belong to Seatrial"
_OUR_LIST = ("databases", _MARK)
_CREATE_LIST = f"""CREATE TABLE IF NOT EXISTS {LIST} (
  name VARCHAR(64) NOT NULL PRIMARY KEY, what VARCHAR(16) NOT NULL, template VARCHAR(64) NOT NULL,
  run VARCHAR(32) NOT NULL, used BIGINT NOT NULL
) CHARACTER SET utf8mb4 COLLATE utf8mb4_bin COMMENT = {literal(_MARK)}"""
_CREATE_WORKERS = f"""CREATE TABLE IF NOT EXISTS {WORKERS} (run VARCHAR(32) NOT NULL PRIMARY KEY, share INT NOT NULL)
CHARACTER SET utf8mb4 COLLATE utf8mb4_bin COMMENT = 'the connections that workers of Seatrial have'"""
ADOPTED = "adopted"
"""Somebody else's, which may be replaced: no run owns it, so none sweeps it away.

A name alone is no proof: he may drop it and make another. So a procedure in it bears the marker, and goes with it; the
list has its name in the place of a template's. A procedure is in no list of tables, and takes no privilege but its own.
"""
PASSING = ("copy", "building", "layer")
"""Databases that end with their run."""
_BUILDING = 600
"""Seconds to wait for another process that builds the same template."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Listed:
    """One of ours."""

    name: str
    what: str
    """"template", "copy", "building", "layer", "kept", "lasting" or "adopted"."""
    template: str
    run: str
    used: int
    """When it was made or last used, by the server's clock in seconds."""


class Databases:
    """What may be done with databases. Only what is in the list is ever dropped.

    Raises:
        Refused: the database in which the list would stand is somebody else's.
    """

    def __init__(self, link: Link, locks: Locks, endpoint: Endpoint, run: str) -> None:
        self._link = link
        self._locks = locks
        self._endpoint = endpoint
        self._run = run
        if not self._is_ours():
            link.run(f"CREATE DATABASE IF NOT EXISTS {identifier(OURS)}")
            link.run(_CREATE_LIST)
        link.run(_CREATE_WORKERS)
        link.use(OURS)

    def find(self, name: str) -> Listed | None:
        """The one by this name, if it is ours."""
        for found in self.all(f"name = {literal(name)}"):
            if found.what != ADOPTED or _has(self._link, name, found.template):
                return found
        return None

    def all(self, where: str = "TRUE") -> list[Listed]:
        """Ours, the newest first."""
        rows = self._link.rows(
            f"SELECT name, what, template, run, used FROM {LIST} WHERE {where} ORDER BY used DESC, name"
        )
        return [Listed(name=name, what=what, template=key, run=run, used=used) for name, what, key, run, used in rows]

    def note(self, name: str, what: str, template: str = "") -> None:
        """Write down that this one is ours, before it is made, or what it is now."""
        self._link.run(
            f"REPLACE INTO {LIST} VALUES ({literal(name)}, {literal(what)}, {literal(template)}, "
            f"{literal(self._run)}, UNIX_TIMESTAMP())"
        )

    def adopt(self, name: str) -> None:
        """Mark somebody else's as one that may be replaced. Raises `Refused` where our user may not."""
        procedure = f"seatrial_adopted_{secrets.token_hex(4)}"
        try:
            self._link.run(f"CREATE PROCEDURE {identifier(name, procedure)}() BEGIN END")
        except library().OperationalError as error:
            admin = self._endpoint.admin
            raise Refused(
                f'the user "{admin.user}" can\'t mark the database "{name}" at {admin.host}:{admin.port}',
                cause=f"{error.args[-1]}; the marker is a procedure, which goes with the database",
                fix=f"GRANT CREATE ROUTINE ON {identifier(name)}.* TO {identifier(admin.user)};",
            ) from error
        self.note(name, ADOPTED, procedure)

    def drop(self, name: str) -> None:
        """Remove one of ours, whoever is still connected to it.

        Raises:
            Refused: it is somebody else's.
            IsolationError: somebody holds a lock on it whom we can't end.
        """
        if self._there(name):
            self.refuse_strangers(name)
            fence.end_all(self._link, name)
            if not self._dropped(name):
                if self._endpoint.owned:  # elsewhere the log may be long
                    fence.roll_back(self._link, Log(self._link).whole(name).prepared)
                if not self._dropped(name):
                    raise self._locked(name)
        self._link.run(f"DELETE FROM {LIST} WHERE name = {literal(name)}")

    def refuse_strangers(self, name: str) -> None:
        """Raise `Refused` if there is a database by this name that is not in our list."""
        if not self._there(name) or self.find(name) is not None:
            return
        admin = self._endpoint.admin
        raise Refused(
            f'the database "{name}" at {admin.host}:{admin.port} is not ours',
            cause="Seatrial has not made it, so it may be somebody's real one; nothing was touched",
            fix=f"rename or drop it yourself, or, if it may be lost, run: seatrial adopt {self._url(name)}",
        )

    def hold(self, name: str) -> None:
        """The name is this run's until its connection closes. Raises `IsolationError` where it is another's."""
        if not self._locks.take(f"copy {name}"):
            raise taken(f'copy "{name}"')

    def building(self, key: str) -> None:
        """Nobody else builds this template until `built`. Raises `TemplateError` where somebody does, and for long."""
        if not self._locks.take(f"template {key}", _BUILDING):
            raise TemplateError(
                f"another worker has been making this template for {_BUILDING} s",
                cause="only one makes it, on one machine of all that use the server",
                fix="look what hinders that one, or end it",
            )

    def built(self, key: str) -> None:
        """The next one may."""
        self._locks.give_back(f"template {key}")

    def sweep(self) -> None:
        """Drop what runs have left that hold their lock no more."""
        for one in self.all(f"what IN ({', '.join(map(literal, PASSING))}) AND run <> {literal(self._run)}"):
            if self._locks.take(run_lock(one.run)):
                try:
                    if self._locks.take(f"copy {one.name}"):
                        with contextlib.suppress(IsolationError):  # somebody holds it still: the next run may do it
                            self._drop_unchanged(one)
                        self._locks.give_back(f"copy {one.name}")
                finally:
                    self._locks.give_back(run_lock(one.run))

    def _drop_unchanged(self, one: Listed) -> None:
        """Another run may have had the name since we read the list, and have left there what is to stay."""
        now = self.find(one.name)
        if now is not None and (now.what, now.run) == (one.what, one.run):
            self.drop(one.name)

    def _dropped(self, name: str) -> bool:
        """Drop it; False where somebody holds a lock on it for longer than we wait."""
        try:
            self._link.run(f"DROP DATABASE IF EXISTS {identifier(name)}")
        except library().OperationalError as error:
            if error.args[0] != LOCKED:
                raise
            return False
        return True

    def _locked(self, name: str) -> IsolationError:
        return IsolationError(
            f'the database "{name}" can\'t be dropped or replaced: somebody holds a lock on it',
            cause="a connection whose database is another one, or none, is in a transaction on it; "
            "or a two-phase transaction was prepared, and neither committed nor rolled back",
            fix="end transactions at the end of a test; see SHOW PROCESSLIST and XA RECOVER for who it is, "
            "and end it with KILL or XA ROLLBACK",
        )

    def _is_ours(self) -> bool:
        """Whether our list is there. Raises `Refused` where its place is somebody's."""
        tables = _tables(self._link)
        if _OUR_LIST in tables:
            return True
        admin = self._endpoint.admin
        if tables or (admin.database == OURS and not self._endpoint.owned):
            raise Refused(
                f'the database "{OURS}" at {admin.host}:{admin.port} is not ours',
                cause="Seatrial notes in a database of this name which others it has made; nothing was touched",
                fix="rename it, or let `url` name another server",
            )
        return False

    def _url(self, name: str) -> str:
        return redact(replace(self._endpoint.admin, database=name).url())

    def _there(self, name: str) -> bool:
        return bool(self._link.rows(f"SELECT 1 FROM information_schema.schemata WHERE schema_name = {literal(name)}"))


def listed(link: Link, name: str) -> bool:
    """Whether a database is in our list, if there is one, and is the one that was listed. Changes nothing."""
    if _OUR_LIST not in _tables(link):
        return False
    found = link.rows(f"SELECT what, template FROM {LIST} WHERE name = {literal(name)}")
    return any(what != ADOPTED or _has(link, name, procedure) for what, procedure in found)


def _has(link: Link, name: str, procedure: str) -> bool:
    return bool(
        link.rows(
            "SELECT 1 FROM information_schema.routines "
            f"WHERE routine_schema = {literal(name)} AND routine_name = {literal(procedure)}"
        )
    )


def _tables(link: Link) -> list[tuple[str, str]]:
    """What is in the place of our list, each table with its comment."""
    found = link.rows(
        f"SELECT table_name, table_comment FROM information_schema.tables WHERE table_schema = {literal(OURS)}"
    )
    return [(name, comment) for name, comment in found]
