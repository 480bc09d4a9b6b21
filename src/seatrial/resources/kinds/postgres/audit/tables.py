"""The rows of every table, as one count and one digest each, and where every sequence stands."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from seatrial.resources.kinds.postgres.audit.reading import ask
from seatrial.resources.kinds.postgres.audit.snapshot import FIRST_LATER, Row, Rows

if TYPE_CHECKING:
    import psycopg

KEPT = 1000
"""Tables with at most so many rows are kept whole in a baseline; of larger ones the reference has the rows."""
AT_ONCE = 100
"""Tables that one query reads: the planner's time and memory grow faster than their number."""

_TABLES = rf"""
with wanted as (
    select c.oid, c.relkind, format('%I.%I', n.nspname, c.relname) as name,
           has_table_privilege(c.oid, 'select') and has_schema_privilege(n.oid, 'usage')
             and not row_security_active(c.oid) as readable
      from pg_class c
      join pg_namespace n on n.oid = c.relnamespace
     where c.relkind in ('r', 'm') and c.relpersistence <> 't' and c.relispopulated
       and (c.oid >= {FIRST_LATER} -- of initdb: what the information schema has for all
            or n.nspname <> 'pg_catalog' and has_table_privilege(c.oid, 'select'))
), columns as (
    select a.attrelid, string_agg(format('t.%I', a.attname), ', ' order by a.attnum) as list
      from pg_attribute a
      join wanted w on w.oid = a.attrelid
     where a.attnum > 0 and not a.attisdropped and a.attgenerated <> 'v'
     group by a.attrelid
), keys as (
    select i.indrelid, format('format(%L, %s)',
               string_agg(replace(format('%I', a.attname), '%', '%%') || '=%s', ', ' order by a.attnum),
               string_agg(format('t.%I', a.attname), ', ' order by a.attnum)) as expression
      from pg_index i
      join wanted w on w.oid = i.indrelid
      join pg_attribute a on a.attrelid = i.indrelid and a.attnum = any((i.indkey::int2[])[0:i.indnkeyatts - 1])
     where i.indisprimary and i.indisvalid
     group by i.indrelid
)
select w.name, case when w.relkind = 'r' then 'only ' else '' end || w.name, coalesce(c.list, ''),
       coalesce(k.expression, ''''''), w.readable
  from wanted w
  left join columns c on c.attrelid = w.oid
  left join keys k on k.indrelid = w.oid
 order by 1
"""
"""Every relation that has rows of its own. Virtual columns have none; toast belongs to its table."""

_SEQUENCES = """
select format('%I.%I', n.nspname, c.relname),
       has_sequence_privilege(c.oid, 'select') and has_schema_privilege(n.oid, 'usage')
  from pg_class c
  join pg_namespace n on n.oid = c.relnamespace
 where c.relkind = 'S' and c.relpersistence <> 't'
 order by 1
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Table:
    """How to read one table. All parts are SQL, quoted by the server."""

    name: str
    source: str
    """What stands after FROM: ONLY, so that no child is read twice."""
    columns: str
    key: str
    """An expression: the primary key as text, or an empty string."""
    readable: bool = True

    @property
    def text(self) -> str:
        """An expression: the row as text. No column, no cast of the user's can change it."""
        return f'(row({self.columns})::text collate "C")'

    @property
    def digest(self) -> str:
        """An expression: the row's hash, 64 bits."""
        return f"hashtextextended({self.text}, 0)"


LARGE_OBJECTS = (
    Table(
        name="large objects",
        source="pg_largeobject",
        columns="t.loid, t.pageno, t.data",
        key="format('loid=%s, page=%s', t.loid, t.pageno)",
    ),
    Table(
        name="large object owners",
        source="pg_largeobject_metadata",
        columns="t.oid, t.lomowner::regrole, t.lomacl",
        key="format('loid=%s', t.oid)",
    ),
)


def find(connection: psycopg.Connection[Any]) -> tuple[Table, ...]:
    """Every table that can hold rows, large objects included."""
    found = [
        Table(name=name, source=source, columns=columns, key=key, readable=readable)
        for name, source, columns, key, readable in ask(connection, _TABLES)
    ]
    return *found, *_large_objects(connection)


def _large_objects(connection: psycopg.Connection[Any]) -> list[Table]:
    """Everybody may read whose they are. Where there are none, nothing of them is out of sight."""
    sources = [table.source for table in LARGE_OBJECTS]
    question = """
        select name, has_table_privilege(name, 'select')
          from unnest(%(sources)s::text[]) name
         where has_table_privilege(name, 'select') or exists (select from pg_largeobject_metadata)
    """
    readable = dict(ask(connection, question, {"sources": sources}))
    return [replace(table, readable=readable[table.source]) for table in LARGE_OBJECTS if table.source in readable]


def digests(connection: psycopg.Connection[Any], tables: Sequence[Table]) -> dict[str, Rows]:
    """Count and digest of each table that may be read."""
    tables = [table for table in tables if table.readable]
    found: dict[str, Rows] = {}
    for start in range(0, len(tables), AT_ONCE):
        part = tables[start : start + AT_ONCE]
        query = " union all ".join(
            f"select {number}, count(*), coalesce(sum({table.digest}::numeric), 0)::text from {table.source} t"
            for number, table in enumerate(part)
        )
        found |= {
            part[number].name: Rows(count=count, digest=digest) for number, count, digest in ask(connection, query)
        }
    return found


def keep(connection: psycopg.Connection[Any], tables: Sequence[Table], found: dict[str, Rows]) -> dict[str, Rows]:
    """The same, with the rows themselves where there are at most `KEPT`."""
    small = [table for table in tables if table.name in found and found[table.name].count <= KEPT]
    rows: dict[str, list[Row]] = defaultdict(list)
    for start in range(0, len(small), AT_ONCE):
        part = small[start : start + AT_ONCE]
        query = " union all ".join(
            f"select {number}, {table.key}, {table.text} from {table.source} t" for number, table in enumerate(part)
        )
        for number, key, text in ask(connection, query):
            rows[part[number].name].append(Row(key=key, text=text))
    kept = {
        table.name: Rows(count=found[table.name].count, digest=found[table.name].digest, kept=tuple(rows[table.name]))
        for table in small
    }
    return found | kept


def sequences(connection: psycopg.Connection[Any]) -> tuple[dict[tuple[str, str], str], tuple[str, ...]]:
    """Where each sequence stands, and the names of those that may not be read. Their parameters are in a catalog."""
    found = ask(connection, _SEQUENCES)
    names = [name for name, readable in found if readable]
    if not names:
        return {}, tuple(name for name, _ in found)
    query = " union all ".join(
        f"select {number}, last_value, is_called from {name}" for number, name in enumerate(names)
    )
    return {
        ("sequence", names[number]): f"last_value {value}, {'called' if called else 'not called'}"
        for number, value, called in ask(connection, query)
    }, tuple(name for name, readable in found if not readable)
