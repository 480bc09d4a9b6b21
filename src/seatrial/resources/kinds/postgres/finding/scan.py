"""Find what was written by looking at the tables, where the log can't be read: the cost grows with the data."""

from __future__ import annotations

from typing import TYPE_CHECKING

from seatrial.resources.kinds.postgres.finding.catalog import sequence_states

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from seatrial.resources.kinds.postgres.connection import Link
    from seatrial.resources.kinds.postgres.finding.catalog import Relation

PROPERTIES = "datname::text, pg_get_userbyid(datdba)::text, datacl::text, datconnlimit, datallowconn, datistemplate"
"""Of a database's row in `pg_database`: its name, owner, rights and limits."""


def filled(link: Link, tables: Sequence[Relation]) -> list[Relation]:
    """Those of `tables` that hold any row: one statement for all of them."""
    if not tables:
        return []
    rows = link.rows(
        " union all ".join(f"select {one.oid}::bigint where exists(select from only {one.name})" for one in tables)
    )
    found = {oid for (oid,) in rows}
    return [one for one in tables if one.oid in found]


def moved(link: Link, sequences: Sequence[Relation], baseline: Mapping[int, tuple[int, bool]]) -> list[Relation]:
    """Those of `sequences` that do not stand where they stood in the template."""
    now = sequence_states(link, list(sequences))
    return [one for one in sequences if now[one.oid] != baseline[one.oid]]


def properties(admin: Link, database: int) -> list[tuple[object, ...]]:
    """What a database has in the server's shared catalogs: `PROPERTIES`, its comment, settings and subscriptions."""
    return admin.rows(
        f"""select {PROPERTIES}, shobj_description(oid, 'pg_database'),
        array(select concat(setrole, setconfig) from pg_db_role_setting s where s.setdatabase = d.oid order by 1)::text,
        array(select concat(subname, subenabled) from pg_subscription s where s.subdbid = d.oid order by 1)::text
        from pg_database d where oid = {database}"""
    )
