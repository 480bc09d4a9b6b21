"""Roles, memberships and settings of the whole server: what this copy's test changed is put back, nothing else is.

Many workers share one server, so a changed role may be another test's: the commit records in the log tell
in which database a transaction ran.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from seatrial.errors import IsolationError, NeedsClone
from seatrial.resources.kinds.postgres.connection import identifier, literal
from seatrial.resources.kinds.postgres.finding.commits import Ends, ends, removed
from seatrial.resources.kinds.postgres.finding.scan import PROPERTIES

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Mapping

    from seatrial.resources.kinds.postgres.connection import Link
    from seatrial.resources.kinds.postgres.finding.log import Written

RESTORED: Mapping[str, tuple[str, ...]] = {
    "pg_authid": ("oid",),
    "pg_auth_members": ("roleid", "member", "grantor"),
    "pg_db_role_setting": ("setdatabase", "setrole"),
    "pg_shdescription": ("classoid", "objoid"),
    "pg_shdepend": ("dbid", "classid", "objid", "objsubid", "refclassid", "refobjid", "deptype"),
}
"""Shared catalogs whose rows are put back, with what identifies a row."""
PARTS: Mapping[str, str] = {
    "pg_shdescription": "where classoid = 'pg_authid'::regclass",
    "pg_shdepend": """where dbid = 0
        and (classid = 'pg_auth_members'::regclass or (classid = 'pg_database'::regclass and objid = {database}))""",
}
"""Of these, some rows: the comments of roles (those of databases are markers, of which ours is written again), and on
which roles memberships and our database depend, without which DROP ROLE may not know that it is refused."""
GONE_WITH_DATABASE = "pg_subscription"
"""A shared catalog whose rows belong to one database, and are dropped with it."""
ORIGINS = "pg_replication_origin"
OF_DATABASES = ("pg_database", "pg_shdescription", "pg_shdepend")
"""What making, marking, renaming and dropping a database writes to."""

FILES = "select pg_relation_filenode(oid)::bigint, relname::text from pg_class where relisshared and relkind = 'r'"
"""The file of each shared catalog."""
LOCKED = "5s"
"""How long a role that somebody in another database has a lock on may keep its test from its end."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """A row of a shared catalog."""

    values: dict[str, Any]
    """By column; JSON holds an oid as text."""
    writer: int
    """The transaction that wrote it."""
    place: str
    """"(block,line)", as the log has it."""


Rows = dict[tuple[Any, ...], Row]


class SharedState:
    """What the server had besides databases, as it was when the copy was fresh.

    Args:
        admin: our connection to the maintenance database, as a superuser.
        reader: our connection to a database that has pg_walinspect.
        database: the oid of the copy.
        remark: the statement that writes the copy's marker again, where a test may have set a comment of its own.
        writers: the transactions of this copy's that wrote here: of tests and layers until now, and those that put back
            what these did. More are added. What they wrote may have been right on a layer, with which it goes.
    """

    def __init__(self, admin: Link, reader: Link, database: int, remark: str, writers: set[int]) -> None:
        self._remark = remark
        self._admin = admin
        self._reader = reader
        self._database = database
        self._writers = writers
        self._catalogs: dict[int, str] = dict(admin.rows(FILES))
        self._before = self._snapshot(RESTORED)
        self._first = {name: frozenset(rows) for name, rows in self._before.items()}
        """What was there when the copy was fresh: what came later is other tests', and goes when they end."""
        self._database_before = self._own()

    def entangled(self, written: Iterable[int]) -> bool:
        """Whether a database may be in the way of putting these catalogs back, as where a role owns something in it.

        None is in the way of what clones write to, in the background and for other workers.
        """
        return any(self._catalogs.get(node) not in OF_DATABASES for node in written)

    def look_again(self, written: Written) -> None:
        """A test begins: where rows stand by now that others have put back since the last one ended.

        What came late of our own is still to be undone: then all stays as it is known.
        """
        touched = self._touched(written)
        moved = [name for name in RESTORED if self._moved(name, touched)]
        told = self.ends(written) if moved else None
        if told is not None and told.of(self._database).isdisjoint(set().union(*touched.values())):
            self._before |= self._snapshot(moved)

    def ends(self, written: Written, *, replaced: int = 0) -> Ends | None:
        """How the transactions ended that wrote to shared catalogs; None where the server has that no more.

        `replaced` is the database that they ran in, where it is going to be replaced.
        """
        import psycopg

        touched = self._touched(written)
        if not touched:
            return Ends(homes={}, created={})
        part = (self._reader, written.since, written.until)
        try:
            told = ends(*part)
            ours = told.of(self._database, replaced or self._database)
            if any(ids & ours for ids in touched.values()):
                told = removed(*part, told, [node for node, name in self._catalogs.items() if name in RESTORED])
        except psycopg.Error:
            return None
        return told

    def restore(self, written: Written, told: Ends | None, *, replaced: int = 0) -> list[str]:
        """Put back what this copy's test changed; returns notes about it.

        Args:
            written: what the log says.
            told: what `ends` said of it; None only where the database is replaced.
            replaced: the database that it was changed in, where that is gone: one cloned on a layer is another.

        Raises:
            IsolationError: it can't be put back while others use the server.
            NeedsClone: it is gone with the database.
            psycopg.Error: the server refused; where the database is replaced, that is an `IsolationError`.
        """
        touched = self._touched(written)
        if not touched:
            return []
        if told is None:
            return self._unknown(touched)
        ours = told.of(self._database, replaced or self._database)
        mine = {name for name, ids in touched.items() if ids & ours}
        self._writers.update(*(ids & ours for ids in touched.values()))
        notes: list[str] = []
        if replaced:
            self._forget_database()
        if mine:
            notes = self._put_back_or_tell(mine, told, ours, last=bool(replaced))
        self._before |= self._snapshot([name for name in RESTORED if mine or self._moved(name, touched)])
        if "pg_database" in mine:
            self._refuse_strangers(told, ours, replaced)
        if GONE_WITH_DATABASE in mine and not replaced:
            raise NeedsClone("the test has made a subscription")
        beyond = sorted(mine - RESTORED.keys() - {"pg_database", GONE_WITH_DATABASE, ORIGINS})
        if beyond:
            raise IsolationError(
                f"the test changed what belongs to the whole server ({', '.join(beyond)})",
                cause="tests of other workers use the same server, so it can not be brought back here",
                fix="give this test a server of its own: a resource with another `version` or `at`, used by it alone",
            )
        return notes

    def _forget_database(self) -> None:
        """It is gone, and what it had here with it: the clone has the same from its template."""
        for name, column in (("pg_db_role_setting", "setdatabase"), ("pg_shdepend", "objid")):
            rows = self._before[name]
            self._before[name] = {key: row for key, row in rows.items() if row.values[column] != str(self._database)}

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

    def _put_back_or_tell(self, mine: set[str], told: Ends, ours: set[int], *, last: bool) -> list[str]:
        """`last`: no clone comes after this, with which it could be tried again."""
        import psycopg

        try:
            return self._put_back(mine, told, ours)
        except IsolationError:
            self._before |= self._snapshot(RESTORED)  # what does not stay was put back, and stands elsewhere now
            raise
        except psycopg.Error as error:
            if not last:
                raise
            raise IsolationError(
                "what the test changed of the whole server can not be put back",
                cause=str(error).strip(),
                fix="change it back at the end of the test; start the server anew if other tests fail now",
            ) from error

    def _put_back(self, mine: set[str], told: Ends, ours: set[int]) -> list[str]:
        notes: list[str] = []
        if "pg_database" in mine:
            notes += self._databases(told.made_by(ours))
        if "pg_shdescription" in mine:
            self._write(self._remark)
        if ORIGINS in mine:
            notes += self._origins(ours)
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

        now, before = self._read(name), self._before[name]
        new = [row for key, row in now.items() if key not in before and row.writer in self._writers]
        there = [(now[key], row) for key, row in before.items() if key in now]
        changed = [row for is_now, row in there if is_now.writer in self._writers and is_now.values != row.values]
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
                self._write(_replace(name, changed, back))
            except psycopg.Error:
                if stays is None:  # else that is why: it has the name of another
                    raise
            notes += [f"{_what(name)} that the test changed was put back"] * len(back)
        if stays is not None:
            raise stays
        return notes

    def _deleted(self, name: str, key: tuple[Any, ...], row: Row, told: Ends) -> bool:
        """Whether a missing row was deleted by this copy's, and not by another worker's."""
        if row.values.get("setdatabase") == str(self._database):
            return True
        nodes = [node for node, known in self._catalogs.items() if known == name]
        by = {told.removed[node, row.place] for node in nodes if (node, row.place) in told.removed}
        return key in self._first[name] and not by.isdisjoint(self._writers)

    def _remove(self, name: str, row: Row) -> str:
        import psycopg

        if name != "pg_authid":
            self._write(_delete(name, row))
            return f"{_what(name)} that the test made was removed"
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
        self._writers.update(*self._admin.rows(f"{statement}; SELECT pg_current_xact_id()::xid::text::bigint"))

    def _databases(self, made: Collection[int]) -> list[str]:
        notes = []
        for name, oid in self._admin.rows("select datname::text, oid::bigint from pg_database"):
            if oid in made:
                self._admin.run(f"ALTER DATABASE {identifier(name)} IS_TEMPLATE false")
                self._admin.run(f"DROP DATABASE {identifier(name)} WITH (FORCE)")
                notes.append(f'the database "{name}" that the test created was dropped')
        return notes + self._database_itself()

    def _origins(self, mine: set[int]) -> list[str]:
        """Those of subscriptions go with them."""
        rows = self._admin.rows(f"select roname, xmin::text::bigint from {ORIGINS} where roname !~ '^pg_[0-9]+$'")
        made = [name for name, xmin in rows if xmin in mine]
        for name in made:
            self._admin.run(f"select pg_replication_origin_drop({literal(name)})")
        return [f'the replication origin "{name}" that the test created was dropped' for name in made]

    def _strangers(self, mine: set[int]) -> list[str]:
        """Databases that the test has changed, once those that it made are gone."""
        rows = self._admin.rows("select datname::text, xmin::text::bigint, oid::bigint from pg_database order by 1")
        return [name for name, xmin, oid in rows if xmin in mine and oid != self._database]

    def _refuse_strangers(self, told: Ends, ours: set[int], replaced: int) -> None:
        """Tell of databases that the test has changed or dropped, and had not made."""
        dropped = told.dropped_by(ours) - {self._database, replaced}
        if dropped:
            raise IsolationError(
                f"the test dropped a database that it had not created (oid {', '.join(map(str, sorted(dropped)))})",
                cause="it may have been anybody's, or a wider fixture's; nothing can bring it back",
                fix="drop only databases that the test itself creates",
            )
        strangers = self._strangers(ours)
        if strangers:
            names = ", ".join(strangers)
            raise IsolationError(
                f"the test changed a database that is not its own: {names}",
                cause="its rights, owner or limits are others now; it may be anybody's, so it was left as it is",
                fix="change only databases that the test itself creates, or change it back at the end of the test",
            )

    def _database_itself(self) -> list[str]:
        """Rights on it, its limit and its owner. Where a clone took its place it has them from the template."""
        now, before = self._own(), self._database_before
        if not now or not before or now == before:
            return []
        name, owner, rights, limit, allowed, template = before[0]
        if now[0][1] != owner:
            self._admin.run(f"ALTER DATABASE {identifier(name)} OWNER TO {identifier(owner)}")
        self._admin.run(
            f"""UPDATE pg_database SET datacl = {literal(rights) if rights else "NULL"}::aclitem[],
            datconnlimit = {limit}, datallowconn = {allowed}, datistemplate = {template} WHERE oid = {self._database}"""
        )
        return ["what the test changed of the database itself was put back"]

    def _own(self) -> list[tuple[Any, ...]]:
        return self._admin.rows(f"select {PROPERTIES} from pg_database where oid = {self._database}")

    def _read(self, name: str) -> Rows:
        return self._snapshot([name])[name]

    def _snapshot(self, names: Collection[str]) -> dict[str, Rows]:
        if not names:
            return {}
        statement = "select to_jsonb(c), xmin::text::bigint, ctid::text from {} c {}"
        parts = {name: part.format(database=self._database) for name, part in PARTS.items()}
        results = self._admin.run("; ".join(statement.format(name, parts.get(name, "")) for name in names))
        return {
            name: {
                tuple(values[column] for column in RESTORED[name]): Row(values=values, writer=writer, place=place)
                for values, writer, place in result.rows
            }
            for name, result in zip(names, results, strict=True)
        }


def _delete(name: str, *rows: Row) -> str:
    each = (" and ".join(f"{key} = {literal(str(row.values[key]))}" for key in RESTORED[name]) for row in rows)
    return f"DELETE FROM {name} WHERE {' or '.join(each) or 'false'}"


def _replace(name: str, old: Iterable[Row], new: Iterable[Row]) -> str:
    """Rows with the keys of `old` are gone before the first of `new` is written: the sum over them waits for all."""
    values = literal(json.dumps([row.values for row in new]))
    return f"""WITH gone AS ({_delete(name, *old)} RETURNING 1)
        INSERT INTO {name} SELECT r.* FROM jsonb_populate_recordset(null::{name}, {values}) r,
        (SELECT count(*) FROM gone) g"""


def _what(name: str) -> str:
    return {
        "pg_authid": "a role",
        "pg_auth_members": "a role's membership",
        "pg_db_role_setting": "a setting of a role or database",
        "pg_shdescription": "a role's comment",
        "pg_shdepend": "a dependency on a role",
    }[name]
