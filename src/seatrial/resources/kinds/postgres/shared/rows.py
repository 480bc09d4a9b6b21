"""Rows of shared catalogs: how they are read, told apart and written back."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from seatrial.resources.kinds.postgres.connection import literal

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Mapping

    from seatrial.resources.kinds.postgres.connection import Link

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


def read(link: Link, names: Collection[str], database: int) -> dict[str, Rows]:
    """The rows of some of the catalogs that are `RESTORED`, as they stand now; of our databases those of `database`."""
    if not names:
        return {}
    statement = "select to_jsonb(c), xmin::text::bigint, ctid::text from {} c {}"
    parts = {name: part.format(database=database) for name, part in PARTS.items()}
    results = link.run("; ".join(statement.format(name, parts.get(name, "")) for name in names))
    return {
        name: {
            tuple(values[column] for column in RESTORED[name]): Row(values=values, writer=writer, place=place)
            for values, writer, place in result.rows
        }
        for name, result in zip(names, results, strict=True)
    }


def delete(name: str, *rows: Row) -> str:
    """The statement that deletes them."""
    each = (" and ".join(f"{key} = {literal(str(row.values[key]))}" for key in RESTORED[name]) for row in rows)
    return f"DELETE FROM {name} WHERE {' or '.join(each) or 'false'}"


def substitute(name: str, old: Iterable[Row], new: Iterable[Row]) -> str:
    """The statement that writes `new`.

    Rows with the keys of `old` are gone before the first of `new` is written: the sum over them waits for all.
    """
    values = literal(json.dumps([row.values for row in new]))
    return f"""WITH gone AS ({delete(name, *old)} RETURNING 1)
        INSERT INTO {name} SELECT r.* FROM jsonb_populate_recordset(null::{name}, {values}) r,
        (SELECT count(*) FROM gone) g"""


def called(name: str) -> str:
    """What a row of it is, for people."""
    return {
        "pg_authid": "a role",
        "pg_auth_members": "a role's membership",
        "pg_db_role_setting": "a setting of a role or database",
        "pg_shdescription": "a role's comment",
        "pg_shdepend": "a dependency on a role",
    }[name]
