"""How each system catalog is read by meaning: what names its rows, and what says in words what a tree says."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field

NUMBERS = frozenset({"oid", "oid[]", "oidvector", "pg_node_tree", "xid"})
"""Types of columns that hold identifiers or trees: references are resolved, trees are told by a definition."""

_PASSING = re.compile(r"(?:^|[ (])(?:pg_temp(?:_\d+)?|pg_toast|pg_toast_temp(?:_\d+)?)(?:\.|$)")


def passing(identity: str) -> bool:
    """Whether this is a temporary object, which ends with its session, or toast, which belongs to its table."""
    return _PASSING.search(identity) is not None


def identity(catalog: str, oid: str, part: str = "0") -> str:
    """An expression: the qualified name of an object."""
    return f"(select i.identity from pg_identify_object('{catalog}'::regclass, {oid}, {part}) i)"


def resolved(catalog: str, column: str, *, is_array: bool) -> str:
    """An expression: names in the place of identifiers."""
    if not is_array:
        return identity(catalog, column)
    name = identity(catalog, "u.oid")
    return f"(select jsonb_agg({name} order by u.place) from unnest({column}::oid[]) with ordinality u(oid, place))"


@dataclass(frozen=True, slots=True, kw_only=True)
class Known:
    """What the server's own description of a catalog does not say."""

    identity: str = ""
    """An expression that names a row; empty takes the object's own name."""
    added: Mapping[str, str] = field(default_factory=dict)
    """Name -> expression."""
    hidden: tuple[str, ...] = ()
    """Columns without a meaning of their own: a definition says it, or it holds an identifier's digits."""
    where: str = "true"


PLAIN = Known()

_OBJECT = "(select concat(i.type, ' ', i.identity) from pg_identify_object(t.classid, t.objid, t.objsubid) i)"
_LABELLED = "(select concat(i.type, ' ', i.identity) from pg_identify_object(t.classoid, t.objoid, t.objsubid) i)"
_OTHER = "(select concat(i.type, ' ', i.identity) from pg_identify_object(t.refclassid, t.refobjid, t.refobjsubid) i)"

KNOWN: Mapping[str, Known] = {
    "pg_aggregate": Known(identity=identity("pg_proc", "t.aggfnoid")),
    "pg_attrdef": Known(added={"default": "pg_get_expr(t.adbin, t.adrelid)"}, hidden=("adnum",)),
    "pg_attribute": Known(
        identity=identity("pg_class", "t.attrelid", "t.attnum"),
        added={"type": "format_type(t.atttypid, t.atttypmod)"},
        where="not t.attisdropped and t.attnum > 0",
    ),
    "pg_class": Known(
        added={
            "bound": "pg_get_expr(t.relpartbound, t.oid)",
            "toast options": "(select to_jsonb(o.reloptions) from pg_class o where o.oid = t.reltoastrelid)",
        },
        hidden=("reltype",),
    ),
    "pg_constraint": Known(
        added={"definition": "pg_get_constraintdef(t.oid)"},
    ),
    "pg_depend": Known(
        identity=_OBJECT,
        added={"on": _OTHER},
        hidden=("objsubid", "refobjsubid"),
        # Owned sequences, members of extensions; the rest follows from definitions.
        where="t.deptype in ('a', 'e', 'x')",
    ),
    "pg_description": Known(identity=_LABELLED, hidden=("objsubid",)),
    "pg_enum": Known(identity=f"concat({identity('pg_type', 't.enumtypid')}, ' ', t.enumlabel)"),
    "pg_foreign_table": Known(identity=identity("pg_class", "t.ftrelid")),
    "pg_index": Known(
        identity=identity("pg_class", "t.indexrelid"),
        added={"definition": "pg_get_indexdef(t.indexrelid)"},
    ),
    "pg_inherits": Known(
        identity=identity("pg_class", "t.inhrelid"),
    ),
    "pg_init_privs": Known(identity=_LABELLED, hidden=("objsubid",)),
    "pg_partitioned_table": Known(
        identity=identity("pg_class", "t.partrelid"), added={"key": "pg_get_partkeydef(t.partrelid)"}
    ),
    "pg_policy": Known(
        added={
            "using": "pg_get_expr(t.polqual, t.polrelid)",
            "with check": "pg_get_expr(t.polwithcheck, t.polrelid)",
        }
    ),
    "pg_proc": Known(added={"definition": "case when t.prokind <> 'a' then pg_get_functiondef(t.oid) end"}),
    "pg_publication_rel": Known(
        added={
            # PostgreSQL 14 has no such column: the name then means the one outside, which is null.
            "where": "(select (select pg_get_expr(prqual, r.prrelid) from pg_publication_rel r where r.oid = t.oid)"
            " from (select null::pg_node_tree as prqual) before_15)"
        }
    ),
    "pg_range": Known(identity=identity("pg_type", "t.rngtypid")),
    "pg_rewrite": Known(added={"definition": "pg_get_ruledef(t.oid)"}),
    "pg_seclabel": Known(identity=_LABELLED, hidden=("objsubid",)),
    "pg_sequence": Known(identity=identity("pg_class", "t.seqrelid")),
    "pg_statistic_ext": Known(added={"definition": "pg_get_statisticsobjdef(t.oid)"}),
    "pg_subscription_rel": Known(identity=identity("pg_class", "t.srrelid")),
    "pg_trigger": Known(
        # The triggers of a foreign key have its identifier in their names.
        identity=(
            f"case when t.tgisinternal then concat({identity('pg_constraint', 't.tgconstraint')}, ' ',"
            f" t.tgfoid::regproc, ' on ', t.tgrelid::regclass) else {identity('pg_trigger', 't.oid')} end"
        ),
        added={
            "definition": "case when not t.tgisinternal then pg_get_triggerdef(t.oid) end",
            "name": "case when not t.tgisinternal then t.tgname end",
        },
        hidden=("tgname", "tgparentid"),
    ),
    "pg_ts_config_map": Known(identity=f"concat({identity('pg_ts_config', 't.mapcfg')}, ' ', t.maptokentype)"),
}
"""Catalogs whose rows have no name of their own, or hold trees. A new catalog with an `oid` needs no entry."""
