"""What a template holds: its relations, which of them have rows, and where its sequences stand."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from seatrial.resources.kinds.postgres.connection import FIRST_OF_USERS

if TYPE_CHECKING:
    from collections.abc import Mapping

    from seatrial.resources.kinds.postgres.connection import Link


LARGE_OBJECTS = frozenset({2613, 2995})
"""pg_largeobject and pg_largeobject_metadata: data, though they are catalogs."""

PG_CLASS = 1259
PG_INDEX = 2610

STATISTICS = frozenset({2619, 3429})
"""pg_statistic, pg_statistic_ext_data: the planner's business."""

SIZE = f"""
case when c.relkind in ('r', 'm', 't') and (c.oid >= {FIRST_OF_USERS} or c.oid in {(*sorted(LARGE_OBJECTS),)})
  then pg_relation_size(c.oid) / current_setting('block_size')::int else 0 end"""
"""How many blocks a row of pg_class says that something with rows has; those of the server's own do not count."""

_BUILT_IN = "'btree', 'hash', 'gin', 'gist', 'spgist', 'brin'"
_LOGGED_ALONE = f"""(c.relkind in ('r', 'S', 'm', 't') or c.relkind = 'i' and c.oid >= {FIRST_OF_USERS}
  and c.relam not in (select oid from pg_am where amname in ({_BUILT_IN})))"""
"""What the log tells of by its own filenode. Of PostgreSQL's own sorts of indexes it tells by a manager that we skip,
of another (bloom, pgvector's) by one that might be anybody's."""

_RELATIONS = f"""
select c.oid::bigint, coalesce(pg_relation_filenode(c.oid), 0)::bigint, c.relkind::text, c.relpersistence::text,
  format('%I.%I', n.nspname, coalesce(o.relname, c.relname)),
  case n.nspname when 'public' then '' else n.nspname || '.' end || coalesce(o.relname, c.relname),
  {SIZE},
  c.relispopulated, c.relisshared,
  c.relkind in ('t', 'i')
  or has_table_privilege(c.oid, 'SELECT') and not (c.relkind = 'r' and row_security_active(c.oid))
from pg_class c left join pg_class o on c.relkind = 't' and o.reltoastrelid = c.oid
join pg_namespace n on n.oid = coalesce(o.relnamespace, c.relnamespace)
where c.relpersistence <> 't' and {_LOGGED_ALONE}
"""

_GUARDS = f"""
select tgrelid::bigint, format('DISABLE TRIGGER %I', tgname),
  format('ENABLE %s TRIGGER %I', case tgenabled when 'A' then 'ALWAYS' else 'REPLICA' end, tgname) from pg_trigger
where tgenabled in ('A', 'R') and tgrelid >= {FIRST_OF_USERS}
union all
select ev_class::bigint, format('DISABLE RULE %I', rulename),
  format('ENABLE %s RULE %I', case ev_enabled when 'A' then 'ALWAYS' else 'REPLICA' end, rulename) from pg_rewrite
where ev_enabled in ('A', 'R') and ev_class >= {FIRST_OF_USERS} and rulename <> '_RETURN'
union all
select oid::bigint, 'REPLICA IDENTITY FULL',
  'REPLICA IDENTITY ' || case relreplident when 'd' then 'DEFAULT' else 'NOTHING' end from pg_class
where relkind = 'r' and relpersistence = 'p' and oid >= {FIRST_OF_USERS} and (relreplident = 'n' or relreplident = 'd'
    and not exists(select from pg_index where indrelid = pg_class.oid and indisprimary))
  and exists(select from pg_publication where pubdelete)
"""
"""Of a table without a replica identity that is published nobody may delete, though all may insert."""

_HEARD = f"""
select tgrelid::bigint from pg_trigger where tgenabled <> 'D' and not (tgisinternal and tgfoid in (
  select oid from pg_proc where pronamespace = 11 and (proname ~ '^RI_FKey_' or proname = 'unique_key_recheck')))
union
select ev_class::bigint from pg_rewrite
where ev_enabled <> 'D' and ev_class >= {FIRST_OF_USERS} and rulename <> '_RETURN'
"""
"""PostgreSQL 14 calls a partition's triggers internal, as it does those of foreign keys."""

_KEYS = """
select distinct coalesce(child.relid, conrelid)::bigint, coalesce(parent.relid, confrelid)::bigint,
  confdeltype in ('c', 'n', 'd')
from pg_constraint left join lateral pg_partition_tree(conrelid) child on child.isleaf
left join lateral pg_partition_tree(confrelid) parent on parent.isleaf where contype = 'f'
"""
"""Of partitioned tables the partitions: they have the rows."""

_CLUSTERED = f"""
select i.indrelid::bigint, quote_ident(c.relname) from pg_index i join pg_class c on c.oid = i.indexrelid
where i.indisclustered and i.indrelid >= {FIRST_OF_USERS}
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Relation:
    """A table, sequence, materialized view or catalog of the template; its oid is the same in each copy."""

    oid: int
    filenode: int
    kind: str
    """As pg_class.relkind: "r", "S", "m"; "c" for a catalog; "t" and "i" for what is ignored.

    "h" for what is hidden from our role: it may not read it, or not every row of it.
    """
    logged: bool
    name: str
    """Qualified and quoted, for statements; of what is kept out of a table (TOAST), that table's."""
    label: str
    """For people: without the schema "public"."""
    seeded: bool
    populated: bool
    blocks: int
    """How many it has; of a catalog nobody asks."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Catalog:
    """A template, as far as an undo must know it."""

    relations: Mapping[int, Relation]
    """Tables, sequences, materialized views and catalogs by oid."""
    sequences: Mapping[int, tuple[int, bool]]
    """Oid -> last_value, is_called."""
    guards: Mapping[int, tuple[tuple[str, str], ...]]
    """Table -> how to silence what fires even for a replica or forbids a delete, and how to take that back.

    Triggers (those of foreign keys as well) and rules: ("DISABLE TRIGGER x", "ENABLE ALWAYS TRIGGER x").
    """
    clustered: Mapping[int, str]
    """Table -> the index it is clustered on, quoted."""
    listeners: frozenset[str]
    """When event triggers fire that hear DDL, as pg_event_trigger.evtenabled says: "O", "A", "R"."""
    large_objects: bool
    plpgsql: bool
    """Whether functions can be written in the language that PostgreSQL has at first, and anybody may drop."""
    triggered: frozenset[int]
    """Tables with enabled triggers or rules of the user's: they matter where our role may not silence them."""
    foreign_keys: tuple[tuple[int, int, bool], ...]
    """Child and parent of each foreign key, and whether the child's rows change where the parent's are deleted."""

    def filenodes(self) -> dict[int, int]:
        """The oid of each relation by filenode: as they are in a fresh copy."""
        return {relation.filenode: relation.oid for relation in self.relations.values() if relation.filenode}

    def empty(self) -> list[Relation]:
        """The tables that hold no row in the template."""
        return [relation for relation in self.relations.values() if relation.kind == "r" and not relation.seeded]

    def seeded(self) -> list[Relation]:
        """The tables that hold rows in the template."""
        return [relation for relation in self.relations.values() if relation.kind == "r" and relation.seeded]

    def of_kind(self, kind: str) -> list[Relation]:
        """All relations of one kind."""
        return [relation for relation in self.relations.values() if relation.kind == kind]

    def unlogged(self) -> list[Relation]:
        """Tables and sequences that the log says nothing about."""
        return [relation for relation in self.relations.values() if not relation.logged and relation.kind in "rSh"]


def describe(link: Link) -> Catalog:
    """Read the description from a fresh copy, before anyone has written to it."""
    found, guards, marked, heard, large, triggers, keys, languages = link.run(
        f"""{_RELATIONS}; {_GUARDS};
        {_CLUSTERED};
        select evtenabled::text from pg_event_trigger where evtevent <> 'login' and evtenabled <> 'D';
        select exists(select from pg_largeobject_metadata);
        {_HEARD}; {_KEYS}; select exists(select from pg_language where lanname = 'plpgsql')"""
    )
    sized = {row[0]: row for row in found.rows if row[6] and row[9] and row[2] in "rm" and row[0] >= FIRST_OF_USERS}
    seeded = _having_rows(link, {oid: row[4] for oid, row in sized.items()})
    relations = {}
    for oid, filenode, relkind, persistence, name, label, blocks, populated, shared, readable in found.rows:
        kind = "t" if relkind == "t" or oid in STATISTICS else "h" if not readable else relkind
        if kind in "rm" and oid < FIRST_OF_USERS:
            kind = "c"
        if not shared:
            relations[oid] = Relation(
                oid=oid,
                filenode=filenode,
                kind=kind,
                logged=persistence == "p",
                name=name,
                label=label,
                seeded=oid in seeded,
                populated=populated,
                blocks=blocks,
            )
    by_table: dict[int, list[tuple[str, str]]] = {}
    for oid, before, after in guards.rows:
        by_table.setdefault(oid, []).append((before, after))
    return Catalog(
        relations=relations,
        sequences=sequence_states(link, [one for one in relations.values() if one.kind == "S"]),
        guards={oid: tuple(found) for oid, found in by_table.items()},
        clustered=dict(marked.rows),
        listeners=frozenset(when for (when,) in heard.rows),
        large_objects=large.rows[0][0],
        plpgsql=languages.rows[0][0],
        triggered=frozenset(oid for (oid,) in triggers.rows),
        foreign_keys=tuple(key for key in keys.rows if {*key[:2]} <= relations.keys()),
    )


def sequence_states(link: Link, sequences: list[Relation]) -> dict[int, tuple[int, bool]]:
    """Where each sequence stands."""
    if not sequences:
        return {}
    rows = link.rows(
        " union all ".join(f"select {one.oid}::bigint, last_value, is_called from {one.name}" for one in sequences)
    )
    return {oid: (last, called) for oid, last, called in rows}


def clustered(link: Link) -> dict[int, str]:
    """The index that each table is marked as clustered on now, quoted."""
    return dict(link.rows(_CLUSTERED))


def filenodes(link: Link) -> dict[int, int]:
    """The filenode of each relation now, by oid: TRUNCATE and its like give a relation a new one."""
    return dict(
        link.rows(
            f"""select c.oid::bigint, pg_relation_filenode(c.oid)::bigint from pg_class c
            where c.relpersistence <> 't' and {_LOGGED_ALONE} and not c.relisshared
            and pg_relation_filenode(c.oid) is not null"""
        )
    )


def _having_rows(link: Link, tables: Mapping[int, str]) -> set[int]:
    if not tables:
        return set()
    rows = link.rows(
        " union all ".join(
            f"select {oid}::bigint where exists(select from only {name})" for oid, name in tables.items()
        )
    )
    return {oid for (oid,) in rows}
