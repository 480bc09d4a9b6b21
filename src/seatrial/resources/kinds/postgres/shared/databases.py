"""Databases of a server that a test has made or changed, replication origins, and whose a kept database is."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from seatrial.errors import IsolationError
from seatrial.resources.kinds.postgres.connection import end_others, identifier, literal
from seatrial.resources.kinds.postgres.finding.scan import PROPERTIES

if TYPE_CHECKING:
    from collections.abc import Collection, Sequence

    from seatrial.resources.kinds.postgres.connection import Link
    from seatrial.resources.kinds.postgres.shared.commits import Ends

ORIGINS = "pg_replication_origin"


def drop(admin: Link, made: Collection[int]) -> list[str]:
    """Drop the databases with these oids, which the test created; returns notes."""
    notes = []
    for name, oid in admin.rows("select datname::text, oid::bigint from pg_database"):
        if oid in made:
            admin.run(f"ALTER DATABASE {identifier(name)} IS_TEMPLATE false")
            admin.run(f"DROP DATABASE {identifier(name)} WITH (FORCE)")
            notes.append(f'the database "{name}" that the test created was dropped')
    return notes


def refuse_strangers(admin: Link, told: Ends, ours: Collection[int], clones: Collection[int]) -> None:
    """Tell of databases that the test has changed or dropped, and had not made.

    Args:
        admin: our connection to the maintenance database.
        told: how transactions ended.
        ours: those that are the copy's.
        clones: the databases that the copy was.

    Raises:
        IsolationError: there are such.
    """
    dropped = told.dropped_by(ours) - {*clones}
    if dropped:
        raise IsolationError(
            f"the test dropped a database that it had not created (oid {', '.join(map(str, sorted(dropped)))})",
            cause="it may have been anybody's, or a wider fixture's; nothing can bring it back",
            fix="drop only databases that the test itself creates",
        )
    rows = admin.rows("select datname::text, xmin::text::bigint, oid::bigint from pg_database order by 1")
    strangers = [name for name, xmin, oid in rows if xmin in ours and oid not in clones]
    if strangers:
        names = ", ".join(strangers)
        raise IsolationError(
            f"the test changed a database that is not its own: {names}",
            cause="its rights, owner or limits are others now; it may be anybody's, so it was left as it is",
            fix="change only databases that the test itself creates, or change it back at the end of the test",
        )


def properties(admin: Link, database: int) -> list[tuple[Any, ...]]:
    """Rights on it, its limit, its owner; no row where it is gone."""
    return admin.rows(f"select {PROPERTIES} from pg_database where oid = {database}")


def put_back(admin: Link, database: int, before: Sequence[tuple[Any, ...]]) -> list[str]:
    """Its properties are again what they were; returns notes. A clone in its place has them from the template."""
    now = properties(admin, database)
    if not now or not before or now == before:
        return []
    name, owner, rights, limit, allowed, template = before[0]
    if now[0][1] != owner:
        admin.run(f"ALTER DATABASE {identifier(name)} OWNER TO {identifier(owner)}")
    admin.run(
        f"""UPDATE pg_database SET datacl = {literal(rights) if rights else "NULL"}::aclitem[],
        datconnlimit = {limit}, datallowconn = {allowed}, datistemplate = {template} WHERE oid = {database}"""
    )
    return ["what the test changed of the database itself was put back"]


def drop_origins(admin: Link, ours: Collection[int]) -> list[str]:
    """Drop the replication origins that these transactions made; returns notes. Those of subscriptions go with them."""
    rows = admin.rows(f"select roname, xmin::text::bigint from {ORIGINS} where roname !~ '^pg_[0-9]+$'")
    made = [name for name, xmin in rows if xmin in ours]
    for name in made:
        admin.run(f"select pg_replication_origin_drop({literal(name)})")
    return [f'the replication origin "{name}" that the test created was dropped' for name in made]


def disown(link: Link, admin: Link, known: Collection[int]) -> None:
    """Leave nothing of other roles than the `known` in a database, or these could not be dropped.

    What belongs to them becomes its owner's; their rights are revoked.

    Args:
        link: our connection to the database.
        admin: that to the maintenance database: who else is connected may be in the way, and is ended.
        known: oids of roles.
    """
    listed = ",".join(map(str, known))
    of_others = link.rows(
        f"""select distinct r.rolname::text, pg_get_userbyid(d.datdba)::text
        from pg_shdepend s join pg_authid r on r.oid = s.refobjid join pg_database d on d.oid = s.dbid
        where s.refclassid = 'pg_authid'::regclass and d.datname = current_database()
          and r.oid <> all('{{{listed}}}'::oid[])"""
    )
    if of_others:
        link.close()
        end_others(admin, link.database)
    for role, owner in of_others:
        link.run(f"REASSIGN OWNED BY {identifier(role)} TO {identifier(owner)}; DROP OWNED BY {identifier(role)}")
