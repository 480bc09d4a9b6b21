"""Make a filled database a template: from now on nothing in it moves."""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING

from seatrial.errors import ServerLost
from seatrial.resources.kinds.postgres.connection import FIRST_OF_USERS, Link, end_others

if TYPE_CHECKING:
    from collections.abc import Sequence

    from seatrial.resources.protocol import Endpoint

LARGE = 400
"""With more relations than that, as many as are initdb's, its statistics of the catalogs mislead the planner."""

_SEQUENCES = """
select format('select setval(%L, last_value, is_called) from %s', s.name, s.name) from (
  select format('%I.%I', n.nspname, c.relname) as name from pg_class c join pg_namespace n on n.oid = c.relnamespace
  where c.relpersistence <> 't' and case c.relkind when 'S'
    then has_sequence_privilege(c.oid, 'UPDATE') and has_schema_privilege(n.oid, 'USAGE') end
) s
"""
"""Statements that set each sequence to where it stands. (A database need not have the language of a DO block.)"""
_TABLES = f"""
select format('%I.%I', n.nspname, c.relname) from pg_class c join pg_namespace n on n.oid = c.relnamespace
where c.relkind in ('r', 'm', 'p') and c.relpersistence <> 't' and has_schema_privilege(n.oid, 'USAGE')
  and (c.oid >= {FIRST_OF_USERS} or not c.relisshared
       and (select count(*) > {LARGE} from pg_class where oid >= {FIRST_OF_USERS}))
"""
"""Those of users, and of a large schema the catalogs. Whoever names a table must have a right to its schema."""
_UNLOGGED = "select from pg_class where relpersistence = 'u' and relkind in ('r', 'm')"


def seal(admin: Link, endpoint: Endpoint, name: str, touched: Sequence[str] | None = None) -> tuple[int, bool]:
    """Bring the database to rest; returns its horizon, and whether it is fragile.

    Every row in it has an older transaction id than the horizon. It is fragile if unlogged tables have rows: a crash of
    the server, of one backend even, empties these.

    Sequences are set to where they stand, so that the next number is logged: PostgreSQL logs once for 32 of
    them. Statistics are gathered and rows are frozen, so that copies begin without hint bits to set: in all
    tables, or in those of `touched` where the others are known to be at rest. Those of catalogs are initdb's
    unless the schema is large: to gather them anew takes 50 ms.
    """
    import psycopg

    end_others(admin, name)
    inside = Link(endpoint, name, admin.quiet())
    try:
        found = inside.rows(_SEQUENCES)
        if found:
            inside.run("; ".join(statement for (statement,) in found))
        if touched is None or touched:
            _analyze(inside, touched)
            inside.run(f"VACUUM (FREEZE) {', '.join(touched or ())}")
        with contextlib.suppress(psycopg.errors.InsufficientPrivilege):  # the next CREATE DATABASE makes one
            inside.run("CHECKPOINT")
        question = f"pg_snapshot_xmax(pg_current_snapshot())::text, exists({_UNLOGGED} and pg_relation_size(oid) > 0)"
        horizon, fragile = inside.rows(f"select {question}")[0]
    finally:
        inside.close()
    return int(horizon), fragile


def intact(admin: Link, endpoint: Endpoint, name: str) -> bool:
    """Whether the rows are still there that `seal` has counted in unlogged tables."""
    inside = Link(endpoint, name, admin.quiet())
    try:
        lost = f"select exists({_UNLOGGED} and relpages > 0 and pg_relation_size(oid) = 0)"
        return not inside.rows(lost)[0][0]
    finally:
        inside.close()


def spoiled() -> ServerLost:
    """The error for a template that is not intact any more: it has to be made anew."""
    return ServerLost(
        "the server crashed, and emptied the unlogged tables of the template",
        cause="PostgreSQL does so when it recovers; one process that is killed restarts all of them",
        fix="nothing: the template is made anew, and the next test starts from it",
    )


def _analyze(inside: Link, touched: Sequence[str] | None) -> None:
    """Gather statistics of all tables that need them, or of those of `touched`.

    Where that fails, as many as can be: a function in an index may fail where PostgreSQL calls it (with a search path
    of its own, since 17), and of a parent ANALYZE asks the foreign partitions, too. Nothing depends on them but plans.
    """
    import psycopg

    names = touched or [name for (name,) in inside.rows(f"{_TABLES} and not c.relispartition")]  # a parent's come along
    if not names:
        return
    try:
        inside.run(f"ANALYZE {', '.join(names)}")
    except psycopg.Error:
        for (name,) in inside.rows(f"{_TABLES} and c.relkind <> 'p' and not c.relhassubclass"):
            with contextlib.suppress(psycopg.Error):
                inside.run(f"ANALYZE {name}")
