"""The databases of ours on one server: found by their marker, cloned, renamed and dropped; nobody else's."""

from __future__ import annotations

import secrets
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from seatrial.core import wait
from seatrial.core.redact import redact
from seatrial.errors import IsolationError, Refused, TemplateError
from seatrial.resources.kinds.postgres.connection import FIRST_OF_USERS, Link, end_others, identifier, literal
from seatrial.resources.kinds.postgres.naming import Marker

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from seatrial.resources.kinds.postgres.locale.chosen import Locale
    from seatrial.resources.protocol import Endpoint

FIRST_WITH_STRATEGY = 150000
BROKEN = -2
"""DATCONNLIMIT_INVALID_DB of src/include/catalog/pg_database.h."""
PATIENCE = 10.0
"""Seconds in which a database must come free of connections that keep coming back."""
HELD = "50ms"
"""After this time somebody holds a database who will not let go of it by himself."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Found:
    """A database on the server."""

    oid: int
    name: str
    marker: Marker | None
    """None: somebody else's."""
    broken: bool
    """Its DROP was interrupted, by the death of the server: it can only be dropped."""


class Databases:
    """What may be done with databases, through one connection of ours to the server's maintenance database.

    Args:
        admin: the connection.
        endpoint: the server.
        owner: the role that owns copies; empty for our own.
    """

    def __init__(self, admin: Link, endpoint: Endpoint, owner: str) -> None:
        self._admin = admin
        self._endpoint = endpoint
        self._owner = owner

    def find(self, name: str) -> Found | None:
        """The database called `name`, whosever it is."""
        found = self._select(f"datname = {literal(name)}")
        return found[0] if found else None

    def ours(self) -> list[Found]:
        """All databases that bear our marker, and that our role may change: others may use the same server."""
        return [one for one in self._select("pg_has_role(datdba, 'USAGE')") if one.marker]

    def of(self, what: str) -> list[Found]:
        """Our databases of one sort, the newest first."""
        found = [one for one in self.ours() if one.marker and one.marker.what == what]
        return sorted(found, key=lambda one: (one.marker.since if one.marker else 0, one.oid), reverse=True)

    def names(self, oids: Iterable[int]) -> list[str]:
        """What the databases with these oids are called, whosever they are."""
        listed = ",".join(map(str, oids))
        rows = self._admin.rows(f"select datname::text from pg_database where oid = any('{{{listed}}}'::oid[])")
        return [name for (name,) in rows]

    def create(self, name: str, marker: Marker, template: str = "", locale: Locale | None = None) -> int:
        """A new database, a physical copy of `template` where one is named; returns its oid.

        `locale` is that of a new one, if not the server's: a copy has that of its template.

        It is made under a private name and renamed when it bears its marker: a database with a name that
        anybody waits for is never without one.
        """
        private = f"seatrial_new_{secrets.token_hex(8)}"
        statement = f"CREATE DATABASE {private}"
        if self._owner:
            statement += f" OWNER {identifier(self._owner)}"
        if template:
            statement += f" TEMPLATE {identifier(template)}"
            if self._admin.version >= FIRST_WITH_STRATEGY:
                statement += " STRATEGY file_copy"
        elif locale is not None:
            statement += locale.clause(self._admin.version)
        self._run(statement, locale)
        try:
            self.mark(private, marker)
            if template:
                self._inherit(template, private)
            self._admin.run(f"ALTER DATABASE {private} RENAME TO {identifier(name)}")
        except BaseException:
            self._admin.run(f"DROP DATABASE {private}")
            raise
        found = self.find(name)
        assert found is not None, "it was just made"
        return found.oid

    def mark(self, name: str, marker: Marker) -> None:
        """Write the marker. Whoever clones the database meanwhile is waited for, however long that takes."""
        self._admin.run(marker.written_on(name))

    def claim(self, name: str, marker: Marker) -> None:
        """Write it on a copy. Whoever holds that itself, in a transaction open or prepared, is ended."""
        import psycopg

        statement = _soon(marker.written_on(name))
        try:
            self._admin.run(statement)
        except psycopg.errors.LockNotAvailable:
            self.alone_with(name, lambda: self._admin.run(statement))

    def rename(self, old: str, new: str) -> None:
        """Give one of ours another name; whoever is connected to it is thrown out."""
        left = old
        try:
            self._alone(old, lambda: self._admin.run(f"ALTER DATABASE {identifier(old)} RENAME TO {identifier(new)}"))
            left = new
        finally:
            self._admin.run(f"ALTER DATABASE {identifier(left)} ALLOW_CONNECTIONS true")

    def drop(self, name: str) -> None:
        """Remove one of ours, whoever is connected to it, and whatever was prepared in it.

        Raises:
            Refused: it does not bear our marker.
        """
        found = self.find(name)
        if found is None:
            return
        self.refuse_strangers(found)
        drop = f"DROP DATABASE IF EXISTS {identifier(name)} WITH (FORCE)"
        if found.broken:
            self._admin.run(drop)
            return
        self.release(name)
        self._alone(name, lambda: self._admin.run(drop))

    def replace(self, name: str, fresh: str, marker: Marker, old: str) -> int:
        """The database `fresh` takes the name of `name`, which becomes `old`; returns its oid.

        Two renames, about a millisecond each, where dropping and cloning take tens.
        """
        found = self.find(name)
        if found is not None and found.broken:
            self.drop(name)
        elif found is not None:
            self.refuse_strangers(found)
            self.release(name)
            self.claim(name, Marker(what="old", run=marker.run))
            self._alone(name, lambda: self._admin.run(f"ALTER DATABASE {identifier(name)} RENAME TO {identifier(old)}"))
        self.mark(fresh, marker)
        self._admin.run(f"ALTER DATABASE {identifier(fresh)} RENAME TO {identifier(name)}")
        new = self.find(name)
        assert new is not None, "it was just renamed"
        return new.oid

    def alone_with(self, name: str, act: Callable[[], object]) -> None:
        """Do something while nobody is connected to one of ours, nothing is prepared in it, and nobody gets in."""
        self.release(name)
        try:
            self._alone(name, act)
        finally:
            self._admin.run(f"ALTER DATABASE {identifier(name)} ALLOW_CONNECTIONS true")

    def release(self, name: str) -> None:
        """End what outlasts any connection: prepared transactions, subscriptions, replication slots."""
        lasting = self._admin.rows(
            f"""select format('ROLLBACK PREPARED %L', gid) from pg_prepared_xacts where database = {literal(name)}
            union all select unnest(array[format('ALTER SUBSCRIPTION %I DISABLE', subname),
              format('ALTER SUBSCRIPTION %I SET (slot_name = NONE)', subname), format('DROP SUBSCRIPTION %I', subname)])
            from pg_subscription where subdbid = (select oid from pg_database where datname = {literal(name)})"""
        )
        if lasting:
            inside = Link(self._endpoint, name, self._admin.quiet())
            for (statement,) in lasting:
                inside.run(statement)
            inside.close()
        self._admin.run(
            f"""select pg_terminate_backend(active_pid) from pg_replication_slots
            where database = {literal(name)} and active_pid is not null;
            select pg_drop_replication_slot(slot_name) from pg_replication_slots where database = {literal(name)}"""
        )

    def refuse_strangers(self, found: Found) -> None:
        """Raise `Refused` unless the database is ours; on our own server its initial databases are ours, too."""
        fresh = self._endpoint.owned and found.oid < FIRST_OF_USERS and found.name == "postgres"
        if found.marker or (fresh and found.name != self._endpoint.admin.database):
            return
        raise Refused(
            f'the database "{found.name}" at {self._endpoint.admin.host}:{self._endpoint.admin.port} is not ours',
            cause="it bears no comment of Seatrial's, so it may be somebody's real one; nothing was touched",
            fix=f"rename or drop it yourself, or, if it may be lost, run: seatrial adopt {self._url(found.name)}",
        )

    def _run(self, statement: str, locale: Locale | None) -> None:
        import psycopg

        try:
            self._admin.run(statement)
        except psycopg.Error as error:
            if locale is None:
                raise
            raise TemplateError(
                f"a database can't have the locale {locale.name} of {locale.provider} on this server",
                cause=redact(str(error).strip(), self._endpoint.admin.password),
                fix="take another `locale`, or a server that has it: `seatrial doctor` shows which there are",
            ) from error

    def _url(self, name: str) -> str:
        return redact(replace(self._endpoint.admin, database=name).url())

    def _select(self, where: str) -> list[Found]:
        rows = self._admin.rows(
            f"""select oid::bigint, datname::text, shobj_description(oid, 'pg_database'), datconnlimit = {BROKEN}
            from pg_database where {where} and not datistemplate"""
        )
        return [Found(oid=oid, name=name, marker=Marker.read(text), broken=broken) for oid, name, text, broken in rows]

    def _inherit(self, template: str, name: str) -> None:
        """ALTER DATABASE, SET and the rest, and GRANT ON DATABASE are of the server: a clone comes without them."""
        source, target = (f"(select oid from pg_database where datname = {literal(one)})" for one in (template, name))
        own = "datdba, datacl::text, datconnlimit"
        differs, owner, able = self._admin.rows(
            f"""select exists(select from pg_db_role_setting where setdatabase = {source})
            or (select ({own}) from pg_database where oid = {source})
            is distinct from (select ({own}) from pg_database where oid = {target}),
            (select pg_get_userbyid(datdba)::text from pg_database where oid = {source}),
            (select rolsuper from pg_roles where rolname = current_user)"""
        )[0]
        if differs and able:
            self._admin.run(
                f"""alter database {identifier(name)} owner to {identifier(owner)};
                insert into pg_db_role_setting select {target}, setrole, setconfig from pg_db_role_setting
                where setdatabase = {source};
                update pg_database t set datacl = s.datacl, datconnlimit = s.datconnlimit from pg_database s
                where s.oid = {source} and t.oid = {target};
                insert into pg_shdepend select dbid, classid, {target}, objsubid, refclassid, refobjid, deptype
                from pg_shdepend where classid = 'pg_database'::regclass and objid = {source} and deptype = 'a'"""
            )
        elif differs:
            raise IsolationError(
                "the migrations set properties of the database itself (ALTER DATABASE, GRANT ON DATABASE)",
                cause="copies can only be given the same by a superuser, and our role on this server is none",
                fix="give the role of `url` SUPERUSER on this test server, or let Seatrial start a server",
            )

    def _alone(self, name: str, act: Callable[[], object]) -> None:
        """Do something that nobody may be connected for, against clients that connect again at once."""
        import psycopg

        until, shut = wait.now() + PATIENCE, False
        while True:
            others = False
            try:
                if not shut:
                    self._admin.run(_soon(f"ALTER DATABASE {identifier(name)} ALLOW_CONNECTIONS false"))
                    shut = True
                others = end_others(self._admin, name)
                act()
            except (
                psycopg.errors.ObjectInUse,
                psycopg.errors.LockNotAvailable,
                psycopg.errors.InsufficientPrivilege,  # to end others
            ) as error:
                if wait.now() > until and isinstance(error, psycopg.errors.LockNotAvailable):
                    raise self._held(name) from error
                if wait.now() > until or (isinstance(error, psycopg.errors.InsufficientPrivilege) and not others):
                    raise
                if not shut:  # somebody is in a transaction that has changed the database itself
                    end_others(self._admin, name)
                wait.pause(0.005)
            else:
                return

    def _held(self, name: str) -> IsolationError:
        holders = self._admin.rows(
            f"""select pid, coalesce(application_name, '') from pg_locks left join pg_stat_activity using (pid)
            where locktype = 'object' and classid = 'pg_database'::regclass and granted and pid <> pg_backend_pid()
            and objid = (select oid from pg_database where datname = {literal(name)}) order by pid"""
        )
        who = ", ".join(f"pid {pid}{f' ({application})' if application else ''}" for pid, application in holders)
        return IsolationError(
            f'somebody holds the database "{name}", and does not let go of it',
            cause="a session of another database has altered it, or clones it, and its transaction is open"
            + (f": {who}" if who else ""),
            fix="end that transaction",
        )


def _soon(statement: str) -> str:
    """The statement, which is refused where somebody holds what it needs, and does not wait for him."""
    return f"SET LOCAL lock_timeout = '{HELD}'; {statement}"
