"""The system catalogs, read as the server itself describes them: none is listed here, so none is forgotten.

Of each there are two halves: thousands of rows that initdb has made, the same in every database, and those that came
later. The digest of the later ones covers every column but those that change without a change of meaning. That of the
first ones covers which transaction wrote each row (`xmin`): but for those same columns none is altered in place. Only
where a digest differs is that half read by meaning: names in the place of object identifiers, definitions in the place
of trees.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from seatrial.resources.kinds.postgres.audit import definitions
from seatrial.resources.kinds.postgres.audit.reading import ask
from seatrial.resources.kinds.postgres.audit.snapshot import FIRST_LATER, Half

if TYPE_CHECKING:
    import psycopg

SKIPPED = frozenset({
    "pg_largeobject",  # data: read as a table
    "pg_largeobject_metadata",  # the same
    "pg_statistic",  # what ANALYZE last saw is no part of a baseline
    "pg_statistic_ext_data",  # the same
})  # fmt: skip

VOLATILE: Mapping[str, tuple[str, ...]] = {
    "pg_attribute": (
        "attcacheoff",  # a cache
        "atthasmissing",  # where a default is kept until the table is rewritten; the rows tell its value
        "attmissingval",  # the same
    ),
    "pg_class": (
        "relallfrozen",  # the planner's and vacuum's estimates
        "relallvisible",
        "relpages",
        "reltuples",
        "relfilenode",  # TRUNCATE, REFRESH, CLUSTER and VACUUM FULL write a new file
        "relfrozenxid",
        "relminmxid",
        "reltoastrelid",  # a rewrite may bring a new toast table
        "relhasindex",  # hints: "has, or once had"
        "relhasrules",
        "relhassubclass",
        "relhastriggers",
    ),
    "pg_index": ("indcheckxmin",),  # how old a snapshot may be to use it
}
"""Columns that change with no change of meaning."""

_COLUMNS = f"""
select c.relname, array_agg(a.attname::text order by a.attnum), array_agg(a.atttypid::regtype::text order by a.attnum)
  from pg_class c
  join pg_attribute a on a.attrelid = c.oid and a.attnum > 0 and not a.attisdropped
 where c.relnamespace = 'pg_catalog'::regnamespace and c.relkind = 'r' and not c.relisshared
   and c.oid < {FIRST_LATER} -- an extension may move tables of its own to this schema
   and has_table_privilege(c.oid, 'select') -- pg_user_mapping is for superusers
 group by c.relname
 order by c.relname
"""

_REFERENCES = """
select fktable::text, fkcols[1], pktable::text, is_array
  from pg_get_catalog_foreign_keys()
 where cardinality(fkcols) = 1
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Catalog:
    """One system catalog of this server."""

    name: str
    columns: dict[str, str]
    """Column -> type, without the volatile ones."""
    references: dict[str, tuple[str, bool]]
    """Column -> the catalog that it points into, and whether it is an array."""

    @property
    def halves(self) -> tuple[Half, Half]:
        """Of initdb, and later."""
        return (self.name, True), (self.name, False)

    @property
    def about(self) -> str:
        """An expression: the object that a row is, or says something of."""
        return f"t.{next((name for name in ('oid', 'objid') if name in self.columns), next(iter(self.columns)))}"

    def of(self, half: Half) -> str:
        """A condition: whether a row is of this half."""
        return f"{self.about} {'<' if half[1] else '>='} {FIRST_LATER}"


def find(connection: psycopg.Connection[Any]) -> tuple[Catalog, ...]:
    """Every catalog that belongs to a database (shared ones belong to the server)."""
    references: dict[str, dict[str, tuple[str, bool]]] = {}
    for table, column, target, is_array in ask(connection, _REFERENCES):
        references.setdefault(table, {})[column] = (target, is_array)
    return tuple(
        Catalog(
            name=name,
            columns={
                column: kind
                for column, kind in zip(columns, types, strict=True)
                if column not in VOLATILE.get(name, ())
            },
            references=references.get(name, {}),
        )
        for name, columns, types in ask(connection, _COLUMNS)
        if name not in SKIPPED
    )


def digests(connection: psycopg.Connection[Any], catalogs: Collection[Catalog]) -> dict[Half, str]:
    """The digest of each half of each catalog. Equal ones mean equal rows; different ones mean: read the meaning."""
    halves = {one.name: one.halves for one in catalogs}
    rows = ask(connection, " union all ".join(map(_digest, catalogs)))
    return {half: digest for name, *both in rows for half, digest in zip(halves[name], both, strict=True)}


def _digest(catalog: Catalog) -> str:
    """The query of both halves, in one reading. Without OFFSET 0 each row would be hashed twice."""
    initial = catalog.of(catalog.halves[0])
    version = f"hash_record_extended(row({catalog.about}, t.xmin), 0)"
    each = f"case when {initial} then {version} else {_hash(catalog)} end"
    sums = (f"concat(count(*) filter (where {which}), ':', sum(hash) filter (where {which}))" for which in _HALVES)
    return (
        f"select '{catalog.name}', {', '.join(sums)} from (select {initial} initial, {each}::numeric hash"
        f" from {catalog.name} t where {_RAW.get(catalog.name, 'true')} offset 0) read"
    )


_HALVES = ("initial", "not initial")
_HASHABLE = frozenset({
    '"char"', '"char"[]', "bigint", "boolean", "bytea", "integer", "name", "oid", "oid[]", "oidvector", "pg_lsn",
    "regproc", "smallint", "smallint[]", "text", "text[]",
})  # fmt: skip
"""Types whose values the server hashes as they are; the text of the others (trees, rights) is hashed."""


def _hash(catalog: Catalog) -> str:
    """An expression: the hash of a row, 64 bits. To hash the text of the whole row would take half as long again."""
    plain = [f"t.{column}" for column, kind in catalog.columns.items() if kind in _HASHABLE]
    others = [
        f'hashtextextended(t.{column}::text collate "C", 0)'
        for column, kind in catalog.columns.items()
        if kind not in _HASHABLE
    ]
    return f"hash_record_extended(row({', '.join(plain + others)}), 0)"


_TEMPORARY = "select oid from pg_namespace where nspname ~ '^pg_temp_'"
_RAW: Mapping[str, str] = {
    # A session's first temporary object leaves its empty schema behind, for the next session to use.
    "pg_namespace": "nspname !~ '^pg_(toast_)?temp_'",
    # Whoever reads the log has a temporary function while it is connected. To read what all functions mean, after
    # every test, takes four times as long as the rest of the audit.
    "pg_proc": f"pronamespace not in ({_TEMPORARY})",
    "pg_depend": "(classid <> 'pg_proc'::regclass"
    f" or objid not in (select oid from pg_proc where pronamespace in ({_TEMPORARY})))",
}
"""Rows of temporary objects, which `meaning` leaves out as well: they end with their session."""


def meaning(connection: psycopg.Connection[Any], catalog: Catalog, half: Half) -> Counter[tuple[str, str]]:
    """What one half of a catalog says: (object, definition), temporary and toast objects left out."""
    known = definitions.KNOWN.get(catalog.name, definitions.PLAIN)
    dropped = [
        column
        for column, kind in catalog.columns.items()
        if column in catalog.references or column in known.hidden or kind in definitions.NUMBERS
    ]
    parts = [
        (column, definitions.resolved(target, f"t.{column}", is_array=is_array))
        for column, (target, is_array) in catalog.references.items()
        if column in catalog.columns and column not in known.hidden
    ]
    parts += known.added.items()
    extra = " || ".join(f"jsonb_build_object('{name}', {expression})" for name, expression in parts) or "'{}'"
    removed = ", ".join(f"'{column}'" for column in [*dropped, *VOLATILE.get(catalog.name, ())])
    identity = known.identity or definitions.identity(catalog.name, "t.oid")
    query = (
        f"select {identity}, (to_jsonb(t) - array[{removed}]::text[] || jsonb_strip_nulls({extra}))::text"
        f" from {catalog.name} t where {catalog.of(half)} and {known.where}"
    )
    rows = ask(connection, query)
    return Counter((name or "", text) for name, text in rows if not definitions.passing(name or ""))


def told(lost: Iterable[tuple[str, str]], gained: Iterable[tuple[str, str]]) -> Iterator[tuple[str, str]]:
    """(object, what became of it), from the (object, definition) that are gone and those that are new."""
    was, is_ = dict(list(lost)), dict(list(gained))
    for name in sorted(was.keys() | is_.keys()):
        if name not in is_:
            yield name, "is gone"
        elif name not in was:
            yield name, "is new"
        else:
            before, after = json.loads(was[name]), json.loads(is_[name])
            parts = [key for key in sorted(before.keys() | after.keys()) if before.get(key) != after.get(key)]
            yield name, "; ".join(f"{key} was {before.get(key)!r}, is {after.get(key)!r}" for key in parts)
