"""The roles that a template's steps have made: they live on the server, and outlive the template."""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING

from seatrial.resources.kinds.postgres.connection import identifier, literal
from seatrial.resources.kinds.postgres.shared.commits import ends

if TYPE_CHECKING:
    from collections.abc import Iterable

    from seatrial.resources.kinds.postgres.connection import Link


class Rollcall:
    """The roles of a server at one moment, to tell later which ones were made in one database since.

    Args:
        admin: our connection to the maintenance database.
        reader: our connection that reads the log.
        owned: whether the server is ours: on any other no role is.
        log: whether it can be read.
    """

    def __init__(self, admin: Link, reader: Link, *, owned: bool, log: bool) -> None:
        self._admin = admin
        self._reader = reader
        self._log = log
        self._owned = owned
        self._start = admin.rows("select pg_current_wal_insert_lsn()::text")[0][0]
        self._before = {oid for oid, _ in self._present()}

    def made_in(self, database: int) -> tuple[int, ...]:
        """The oids of the roles that were made by transactions in this database.

        Where the log can't be read (PostgreSQL 14 and 15) all roles that are new: one that a test of another
        run has made at the same time can't be told from ours.
        """
        import psycopg

        new = [(oid, transaction) for oid, transaction in self._present() if oid not in self._before]
        if not new or not self._log:
            return tuple(oid for oid, _ in new)
        try:
            flushed = self._reader.run("BEGIN; SELECT pg_logical_emit_message(true, 'seatrial', '')::text; COMMIT")
            until = flushed[1].rows[0][0]
            ours = ends(self._reader, self._start, until).of(database)
        except psycopg.Error:  # more was written than the server keeps of its log
            return tuple(oid for oid, _ in new)
        return tuple(oid for oid, transaction in new if transaction in ours)

    def _present(self) -> list[tuple[int, int]]:
        if not self._owned:
            return []
        return [(oid, xmin) for oid, xmin in self._admin.rows("select oid::bigint, xmin::text::bigint from pg_authid")]


def names(admin: Link, oids: Iterable[int]) -> dict[int, str]:
    """Those of these roles that still are there, with their names."""
    listed = ",".join(map(str, oids))
    return dict(admin.rows(f"select oid::bigint, rolname::text from pg_roles where oid = any('{{{listed}}}'::oid[])"))


def named(admin: Link, name: str) -> tuple[int, ...]:
    """The oid of the role `name`, if it is there."""
    return tuple(oid for (oid,) in admin.rows(f"select oid::bigint from pg_roles where rolname = {literal(name)}"))


def holders(admin: Link, oids: Iterable[int]) -> set[int]:
    """The oids of the databases in which anything belongs to one of these roles, or grants it something."""
    listed = ",".join(map(str, oids))
    rows = admin.rows(
        f"""select distinct (case when dbid = 0 and classid = 'pg_database'::regclass then objid else dbid end)::bigint
        from pg_shdepend where refclassid = 'pg_authid'::regclass and refobjid = any('{{{listed}}}'::oid[])"""
    )
    return {oid for (oid,) in rows if oid}


def drop(admin: Link, oids: Iterable[int]) -> None:
    """Drop these roles, as far as they are there and nothing belongs to them."""
    import psycopg

    for name in names(admin, oids).values():
        with contextlib.suppress(psycopg.errors.DependentObjectsStillExist, psycopg.errors.UndefinedObject):
            admin.run(f"DROP ROLE {identifier(name)}")
