"""Roles, memberships and settings of the whole server: what this copy's test changed is put back, nothing else is.

Many workers share one server, so a changed role may be another test's: the commit records in the log tell
in which database a transaction ran.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from seatrial.errors import IsolationError, NeedsClone
from seatrial.resources.kinds.postgres.connection import identifier
from seatrial.resources.kinds.postgres.shared import databases
from seatrial.resources.kinds.postgres.shared.commits import Ends, creators, ends, joined, removed
from seatrial.resources.kinds.postgres.shared.databases import ORIGINS
from seatrial.resources.kinds.postgres.shared.rows import PARTS, RESTORED, called, delete, read, substitute

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Mapping

    from seatrial.resources.kinds.postgres.connection import Link
    from seatrial.resources.kinds.postgres.finding.log import Written
    from seatrial.resources.kinds.postgres.shared.rows import Row, Rows

GONE_WITH_DATABASE = "pg_subscription"
"""A shared catalog whose rows belong to one database, and are dropped with it."""
OF_SUBSCRIPTIONS = (GONE_WITH_DATABASE, ORIGINS)
"""What making and dropping a subscription writes to."""
OF_DATABASES = ("pg_database", "pg_shdescription", "pg_shdepend")
"""What making, marking, renaming and dropping a database writes to."""

FILES = "select pg_relation_filenode(oid)::bigint, relname::text from pg_class where relisshared and relkind = 'r'"
"""The file of each shared catalog."""
LOCKED = "5s"
"""How long a role that somebody in another database has a lock on may keep its test from its end."""


@dataclass(slots=True)
class Ours:
    """What one copy, with all its layers, has had of a server that others use as well."""

    clones: set[int] = field(default_factory=set)
    """The databases that it was."""
    made: set[int] = field(default_factory=set)
    """Databases that its tests and layers created."""
    writers: set[int] = field(default_factory=set)
    """Transactions that wrote to shared catalogs: of its tests and layers, and those that put back what these did. What
    they wrote may have been right on a layer, with which it goes."""

    def of(self, told: Ends) -> set[int]:
        """Which transactions are its own."""
        return told.of(*self.clones, *self.made)


class SharedState:
    """What the server had besides databases, as it was when a baseline was made; it outlasts each clone of that.

    Args:
        admin: our connection to the maintenance database, as a superuser.
        reader: our connection to a database that has pg_walinspect.
        database: the oid of the clone.
        remark: the statement that writes the clone's marker again, where a test may have set a comment of its own.
        ours: what the copy has had of the server until now; more is added.
    """

    def __init__(self, admin: Link, reader: Link, database: int, remark: str, ours: Ours) -> None:
        self._remark = remark
        self._admin = admin
        self._reader = reader
        self._ours = ours
        self._catalogs: dict[int, str] = {}
        self._before: dict[str, Rows] = {}
        self._first: dict[str, set[tuple[Any, ...]]] = {}
        """What was there when the baseline was made, and what a clone has of its own: what came later is other tests',
        and goes when they end."""
        self._parts: list[Ends | None] = []
        """What the log said of a layer on this baseline when it was laid, and when it was lifted."""
        self._creators: Mapping[str, int] | None = None
        """By the place of a role, which transaction has made it."""
        self._stand(database)

    def recall(self, before: dict[str, Rows], written: Written) -> None:
        """What there was is not what there is now: a run was killed, and could not put it back.

        A role that another than the run has made is not dropped, though the run has changed it.

        Args:
            before: what there was.
            written: what the log says since.
        """
        self._before, self._first = before, {name: set(rows) for name, rows in before.items()}
        roles = [node for node, name in self._catalogs.items() if name == "pg_authid"]
        self._creators = creators(self._reader, written.since, written.until, roles)

    def entangled(self, written: Iterable[int]) -> bool:
        """Whether a database may be in the way of putting these catalogs back, as where a role owns something in it.

        None is in the way of what clones write to, in the background and for other workers.
        """
        return any(self._catalogs.get(node) not in OF_DATABASES for node in written)

    def look_again(self, written: Written) -> bool:
        """A test begins: where rows stand by now that others have put back since the last one ended.

        False where any of it was written late by this copy's: that is undone first, and all stays as it is known.
        """
        touched = self._touched(written)
        moved = [name for name in RESTORED if self._moved(name, touched)]
        told = self.ends(written) if moved else None
        if told is not None:
            if self._mine(touched, told):
                return False
            self._before |= read(self._admin, moved, self._database)
        return True

    def late(self, written: Written) -> tuple[str, ...]:
        """The catalogs that this copy's wrote to; clones, which others make, are in none of its databases."""
        touched = self._touched(written)
        told = self.ends(written) if touched else None
        return () if told is None else tuple(sorted(self._mine(touched, told)))

    def remember(self, written: Written) -> None:
        """A layer is laid, or lifted: what the log says of it is kept until it is put back, and outlasts the log.

        Tests on the layer may write to roles from within databases that it has created.
        """
        told = self._read(written)
        self._parts.append(told)
        if told is not None:
            self._ours.made |= told.made_by(self._ours.of(told))

    def ends(self, written: Written) -> Ends | None:
        """How the transactions ended that wrote to shared catalogs; None where the server has that no more."""
        told = self._read(written)
        if told is not None or not self._parts or None in self._parts:
            return told
        return joined(part for part in self._parts if part is not None)

    def _read(self, written: Written) -> Ends | None:
        import psycopg

        touched = self._touched(written)
        if not touched:
            return Ends(homes={}, created={})
        part = (self._reader, written.since, written.until)
        try:
            told = ends(*part)
            if self._mine(touched, told):
                told = removed(*part, told, [node for node, name in self._catalogs.items() if name in RESTORED])
        except psycopg.Error:
            return None
        return told

    def disown(self, link: Link) -> None:
        """The database is kept, and outlives its run: nothing in it belongs to a role that has come since.

        Args:
            link: our connection to the database.

        Raises:
            IsolationError: the server refused.
        """
        import psycopg

        try:
            databases.disown(link, self._admin, [int(oid) for (oid,) in self._first["pg_authid"]])
        except psycopg.Error as error:
            raise _refused(error) from error

    def restore_after(self, written: Written, told: Ends | None, clone: int) -> None:
        """The same, where the database was replaced by `clone`: whatever was in the way there is gone with it.

        Raises:
            IsolationError: it can't be put back while others use the server, or the server refused.
        """
        self._forget_database()
        try:
            self.restore(written, told, last=True)
        except IsolationError:
            self._stand(clone)  # what does not stay was put back; what stays is told once
            raise
        self._stand(clone)

    def restore(self, written: Written, told: Ends | None, *, last: bool = False) -> list[str]:
        """Put back what this copy's test changed; returns notes about it.

        Args:
            written: what the log says.
            told: what `ends` said of it.
            last: no clone comes after this, with which it could be tried again.

        Raises:
            IsolationError: it can't be put back while others use the server; or, the last time, the server refused.
            NeedsClone: it is gone with the database.
            psycopg.Error: the server refused.
        """
        touched = self._touched(written)
        if not touched:
            return []
        if told is None:
            return self._unknown(touched)
        mine, ours = self._mine(touched, told), self._ours.of(told)
        self._ours.writers.update(*(ids & ours for ids in touched.values()))
        self._ours.made |= told.made_by(ours)
        notes = self._put_back_or_tell(mine, told, last=last) if mine else []
        if not last:  # else all is read when the clone stands
            names = [name for name in RESTORED if mine or self._moved(name, touched)]
            self._before |= read(self._admin, names, self._database)
        if "pg_database" in mine:
            databases.refuse_strangers(self._admin, told, ours, self._ours.clones)
        if GONE_WITH_DATABASE in mine and not last:
            raise NeedsClone("the test has made a subscription")
        beyond = sorted(mine - RESTORED.keys() - {"pg_database", GONE_WITH_DATABASE, ORIGINS})
        if beyond:
            raise IsolationError(
                f"the test changed what belongs to the whole server ({', '.join(beyond)})",
                cause="tests of other workers use the same server, so it can not be brought back here",
                fix="give this test a server of its own: a resource with another `version` or `at`, used by it alone",
            )
        return notes

    def _stand(self, clone: int) -> None:
        """The copy is this database, fresh from its template: what there is now is right."""
        self._database, self._parts = clone, []
        self._catalogs |= dict(self._admin.rows(FILES))
        self._before |= read(self._admin, RESTORED, clone)
        self._database_before = databases.properties(self._admin, clone)
        for name, rows in self._before.items():
            own = {key for key, row in rows.items() if _is_about(row, clone)}
            self._first.setdefault(name, set(rows)).update(own)

    def _mine(self, touched: dict[str, set[int]], told: Ends) -> set[str]:
        """The catalogs that this copy's wrote to.

        Subscriptions go with their database: those of a clone of before are dropped from within it, in the background.
        """
        ours, here = self._ours.of(told), told.of(self._database, *self._ours.made)
        return {name for name, ids in touched.items() if ids & (here if name in OF_SUBSCRIPTIONS else ours)}

    def _forget_database(self) -> None:
        """It is gone, and what it had here with it: the clone has the same from its template."""
        for name, rows in self._before.items():
            self._before[name] = {key: row for key, row in rows.items() if not _is_about(row, self._database)}

    def _moved(self, name: str, touched: Collection[str]) -> bool:
        """Whether rows of a catalog that others wrote to may stand elsewhere now: then they are read anew.

        Clones, which other workers make all the time, write to none of these catalogs but comments.
        """
        if name == "pg_shdepend":
            return "pg_auth_members" in touched
        return name in touched and (name not in PARTS or bool(self._first[name]))

    def _touched(self, written: Written) -> dict[str, set[int]]:
        if written.shared.keys() - self._catalogs.keys():
            # VACUUM FULL has given them other files, to which it writes itself, without changing a row: of those that
            # are not compared row by row the new ones are not looked at.
            self._catalogs |= {node: name for node, name in self._admin.rows(FILES) if name in RESTORED}
        touched: dict[str, set[int]] = {}
        for node in written.shared.keys() & self._catalogs.keys():
            touched.setdefault(self._catalogs[node], set()).update(written.shared[node])
        touched.pop("pg_shdepend", None)
        return touched

    def _unknown(self, touched: Collection[str]) -> list[str]:
        beyond = sorted(set(touched) - set(OF_DATABASES))
        if beyond:
            raise IsolationError(
                f"roles or their settings were changed during the test ({', '.join(beyond)}), and not put back",
                cause="the server has thrown away the part of its log that tells who changed them",
                fix="ALTER SYSTEM SET wal_keep_size = '1GB'; SELECT pg_reload_conf();",
            )
        return []

    def _put_back_or_tell(self, mine: set[str], told: Ends, *, last: bool) -> list[str]:
        import psycopg

        try:
            return self._put_back(mine, told)
        except IsolationError:
            self._before |= read(self._admin, RESTORED, self._database)  # what could be put back stands elsewhere now
            raise
        except psycopg.Error as error:
            if not last:
                raise
            raise _refused(error) from error

    def _put_back(self, mine: set[str], told: Ends) -> list[str]:
        notes: list[str] = []
        ours = self._ours.of(told)
        if "pg_database" in mine:
            notes += databases.drop(self._admin, told.made_by(ours))
            notes += databases.put_back(self._admin, self._database, self._database_before)
        if "pg_shdescription" in mine:
            self._write(self._remark)
        if ORIGINS in mine:
            notes += databases.drop_origins(self._admin, ours)
        if mine & {"pg_database", "pg_auth_members"}:
            self._rows("pg_shdepend", told)
        # Settings and memberships first: a role that owns none of them is easier to drop.
        for name in ("pg_shdescription", "pg_db_role_setting", "pg_auth_members", "pg_authid"):
            if name in mine:
                notes += self._rows(name, told)
        return notes

    def _rows(self, name: str, told: Ends) -> list[str]:
        """Put the rows of one catalog back, as far as this copy's wrote them.

        All at once, or two roles that have changed names would be in each other's way; and in one statement, or our
        own role, should it be one of them, would be no superuser any more when its row is written.
        """
        import psycopg

        now, before = read(self._admin, [name], self._database)[name], self._before[name]
        new = [row for key, row in now.items() if key not in before and self._made(name, row)]
        there = [(now[key], row) for key, row in before.items() if key in now]
        changed = [row for is_now, row in there if is_now.writer in self._ours.writers and is_now.values != row.values]
        missing = {key: row for key, row in before.items() if key not in now}
        gone = [row for key, row in missing.items() if self._deleted(name, key, row, told)]
        notes, stays = [], None
        for row in new:
            try:
                notes.append(self._remove(name, row))
            except IsolationError as error:
                stays = stays or error
        if changed or gone:
            back = [*changed, *gone]
            try:
                self._write(substitute(name, changed, back))
            except psycopg.Error:
                if stays is None:  # else that is why: it has the name of another
                    raise
            notes += [f"{called(name)} that the test changed was put back"] * len(back)
        if stays is not None:
            raise stays
        return notes

    def _made(self, name: str, row: Row) -> bool:
        """Whether a row that is new is this copy's."""
        ours = self._ours.writers
        if name == "pg_authid" and self._creators is not None:
            return row.writer in ours and self._creators.get(row.place) in ours
        return row.writer in ours

    def _deleted(self, name: str, key: tuple[Any, ...], row: Row, told: Ends) -> bool:
        """Whether a missing row was deleted by this copy's, and not by another worker's."""
        if row.values.get("setdatabase") == str(self._database):
            return True
        nodes = [node for node, known in self._catalogs.items() if known == name]
        by = {told.removed[node, row.place] for node in nodes if (node, row.place) in told.removed}
        return key in self._first[name] and not by.isdisjoint(self._ours.writers)

    def _remove(self, name: str, row: Row) -> str:
        import psycopg

        if name != "pg_authid":
            self._write(delete(name, row))
            return f"{called(name)} that the test made was removed"
        role = row.values["rolname"]
        try:
            self._write(
                f"SET LOCAL lock_timeout = '{LOCKED}'; DROP OWNED BY {identifier(role)}; DROP ROLE {identifier(role)}"
            )
        except psycopg.Error as error:
            raise IsolationError(
                f'the role "{role}" that the test created can not be dropped',
                cause=str(error).strip(),
                fix="drop it at the end of the test, with what it owns",
            ) from error
        return f'the role "{role}" that the test created was dropped'

    def _write(self, statement: str) -> None:
        """Run it in a transaction that is known for this copy's when what it wrote is met again."""
        self._ours.writers.update(*self._admin.rows(f"{statement}; SELECT pg_current_xact_id()::xid::text::bigint"))


def _is_about(row: Row, database: int) -> bool:
    """Whether it is a setting of this database, or what that depends on: it goes with it."""
    return str(database) in (row.values.get("setdatabase"), row.values.get("objid"))


def _refused(error: Exception) -> IsolationError:
    return IsolationError(
        "what the test changed of the whole server can not be put back",
        cause=str(error).strip(),
        fix="change it back at the end of the test; start the server anew if other tests fail now",
    )
