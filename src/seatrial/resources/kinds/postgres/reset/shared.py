"""Roles, memberships and settings of the whole server: what this copy's test changed is put back, nothing else is.

Many workers share one server, so a changed role may be another test's: the commit records in the log tell
in which database a transaction ran.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from seatrial.errors import IsolationError, NeedsClone
from seatrial.resources.kinds.postgres.connection import identifier, literal
from seatrial.resources.kinds.postgres.finding.commits import Ends, ends
from seatrial.resources.kinds.postgres.finding.scan import PROPERTIES

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterable, Mapping

    from seatrial.resources.kinds.postgres.connection import Link
    from seatrial.resources.kinds.postgres.finding.log import Written

RESTORED: Mapping[str, tuple[str, ...]] = {
    "pg_authid": ("oid",),
    "pg_auth_members": ("roleid", "member", "grantor"),
    "pg_db_role_setting": ("setdatabase", "setrole"),
    "pg_shdescription": ("classoid", "objoid"),
}
"""Shared catalogs whose rows are put back, with what identifies a row."""
OF_ROLES: Mapping[str, str] = {"pg_shdescription": "where classoid = 'pg_authid'::regclass"}
"""The comments on databases are markers: ours is written again, others' are theirs."""
GONE_WITH_DATABASE = "pg_subscription"
"""A shared catalog whose rows belong to one database, and are dropped with it."""
ORIGINS = "pg_replication_origin"
OF_DATABASES = ("pg_database", "pg_shdescription", "pg_shdepend")
"""What making, marking, renaming and dropping a database writes to."""

LOCKED = "5s"
"""How long a role that somebody in another database has a lock on may keep its test from its end."""

Rows = dict[tuple[Any, ...], dict[str, Any]]


class SharedState:
    """What the server had besides databases, as it was when the copy was fresh.

    Args:
        admin: our connection to the maintenance database, as a superuser.
        reader: our connection to a database that has pg_walinspect.
        database: the oid of the copy.
        remark: writes the copy's marker again, where a test may have set a comment of its own.
    """

    def __init__(self, admin: Link, reader: Link, database: int, remark: Callable[[], None]) -> None:
        self._remark = remark
        self._admin = admin
        self._reader = reader
        self._database = database
        self._catalogs: dict[int, str] = dict(
            admin.rows(
                """select pg_relation_filenode(oid)::bigint, relname::text from pg_class
                where relisshared and relkind = 'r'"""
            )
        )
        self._before = self._snapshot(RESTORED)
        self._first = {name: frozenset(rows) for name, rows in self._before.items()}
        """What was there when the copy was fresh: what came later is other tests', and goes when they end."""
        self._database_before = self._own()

    def entangled(self, written: Iterable[int]) -> bool:
        """Whether a database may be in the way of putting these catalogs back, as where a role owns something in it.

        None is in the way of what clones write to, in the background and for other workers.
        """
        return any(self._catalogs.get(node) not in OF_DATABASES for node in written)

    def ends(self, written: Written) -> Ends | None:
        """How the transactions ended that wrote to shared catalogs; None where the server has that no more."""
        import psycopg

        if not self._touched(written):
            return Ends(homes={}, created={})
        try:
            return ends(self._reader, written.since, written.until)
        except psycopg.Error:
            return None

    def restore(self, written: Written, told: Ends | None, *, replaced: int = 0) -> list[str]:
        """Put back what this copy's test changed; returns notes about it.

        Args:
            written: what the log says.
            told: what `ends` said of it; None only where the database is replaced.
            replaced: the database that it was changed in, where that is gone: one cloned on a layer is another.

        Raises:
            IsolationError: it can't be put back while others use the server.
            NeedsClone: it is gone with the database.
        """
        touched = self._touched(written)
        if not touched:
            return []
        if told is None:
            return self._unknown(touched)
        ours = told.of(self._database, replaced or self._database)
        mine = {name: ids & ours for name, ids in touched.items() if ids & ours}
        notes: list[str] = []
        if mine:
            notes = self._put_back(mine, touched, told)
        # Dropping a role writes to other catalogs, too; else only those are read anew that anybody wrote to. Clones,
        # which other workers make all the time, write to none of them but comments.
        self._before |= self._snapshot(
            [name for name in RESTORED if mine or (name in touched and name not in OF_ROLES)]
        )
        strangers = self._strangers(mine.get("pg_database"))
        if strangers:
            names = ", ".join(strangers)
            raise IsolationError(
                f"the test changed a database that is not its own: {names}",
                cause="its rights, owner or limits are others now; it may be anybody's, so it was left as it is",
                fix="change only databases that the test itself creates, or change it back at the end of the test",
            )
        if GONE_WITH_DATABASE in mine and not replaced:
            raise NeedsClone("the test has made a subscription")
        beyond = sorted(mine.keys() - RESTORED.keys() - {"pg_database", GONE_WITH_DATABASE, ORIGINS})
        if beyond:
            raise IsolationError(
                f"the test changed what belongs to the whole server ({', '.join(beyond)})",
                cause="tests of other workers use the same server, so it can not be brought back here",
                fix="give this test a server of its own: a resource with another `version` or `at`, used by it alone",
            )
        return notes

    def _touched(self, written: Written) -> dict[str, set[int]]:
        touched = {self._catalogs[node]: set(ids) for node, ids in written.shared.items() if node in self._catalogs}
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

    def _put_back(self, mine: Mapping[str, set[int]], touched: Mapping[str, set[int]], told: Ends) -> list[str]:
        notes: list[str] = []
        if "pg_database" in mine:
            notes += self._databases(told.made_by(mine["pg_database"]))
        if "pg_shdescription" in mine:
            self._remark()
        if ORIGINS in mine:
            notes += self._origins(mine[ORIGINS])
        # Settings and memberships first: a role that owns none of them is easier to drop.
        for name in ("pg_shdescription", "pg_db_role_setting", "pg_auth_members", "pg_authid"):
            if name in mine:
                notes += self._rows(name, mine[name], alone=mine[name] == touched[name])
        return notes

    def _rows(self, name: str, mine: set[int], *, alone: bool) -> list[str]:
        """Put the rows of one catalog back, as far as this test wrote them."""
        now, before = self._read(name), self._before[name]
        notes = []
        for key, row in now.items():
            if row["xmin"] in mine and key not in before:
                notes.append(self._remove(name, row))
        for key, row in before.items():
            own = row["row"].get("setdatabase") == str(self._database)  # JSON holds an oid as text
            if key not in now and (own or (alone and key in self._first[name])):
                notes.append(self._insert(name, row))
            elif key in now and now[key]["xmin"] in mine and now[key]["row"] != row["row"]:
                self._delete(name, row)
                notes.append(self._insert(name, row))
        return notes

    def _remove(self, name: str, row: dict[str, Any]) -> str:
        import psycopg

        if name != "pg_authid":
            self._delete(name, row)
            return f"{_what(name)} that the test made was removed"
        role = row["row"]["rolname"]
        try:
            self._admin.run(
                f"SET LOCAL lock_timeout = '{LOCKED}'; DROP OWNED BY {identifier(role)}; DROP ROLE {identifier(role)}"
            )
        except psycopg.Error as error:
            raise IsolationError(
                f'the role "{role}" that the test created can not be dropped',
                cause=str(error).strip(),
                fix="drop it at the end of the test, with what it owns",
            ) from error
        return f'the role "{role}" that the test created was dropped'

    def _delete(self, name: str, row: dict[str, Any]) -> None:
        where = " and ".join(f"{column} = {row['row'][column]}" for column in RESTORED[name])
        self._admin.run(f"DELETE FROM {name} WHERE {where}")

    def _insert(self, name: str, row: dict[str, Any]) -> str:
        self._admin.run(
            f"INSERT INTO {name} SELECT * FROM jsonb_populate_record(null::{name}, {literal(json.dumps(row['row']))})"
        )
        return f"{_what(name)} that the test changed was put back"

    def _databases(self, made: Collection[int]) -> list[str]:
        notes = []
        for name, oid in self._admin.rows("select datname::text, oid::bigint from pg_database"):
            if oid in made:
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

    def _strangers(self, mine: set[int] | None) -> list[str]:
        """Databases that the test has changed, once those that it made are gone."""
        if mine is None:
            return []
        rows = self._admin.rows("select datname::text, xmin::text::bigint, oid::bigint from pg_database order by 1")
        return [name for name, xmin, oid in rows if xmin in mine and oid != self._database]

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
        statement = "select to_jsonb(c), xmin::text::bigint from {} c {}"
        results = self._admin.run("; ".join(statement.format(name, OF_ROLES.get(name, "")) for name in names))
        return {
            name: {
                tuple(row[column] for column in RESTORED[name]): {"row": row, "xmin": xmin} for row, xmin in result.rows
            }
            for name, result in zip(names, results, strict=True)
        }


def _what(name: str) -> str:
    return {
        "pg_authid": "a role",
        "pg_auth_members": "a role's membership",
        "pg_db_role_setting": "a setting of a role or database",
        "pg_shdescription": "a role's comment",
    }[name]
