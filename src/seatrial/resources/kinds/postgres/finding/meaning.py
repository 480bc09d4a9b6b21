"""Whether a test changed the schema: by what the catalogs mean, not by which of their pages were written.

A catalog is compared as a seeded table is: rows older than the template's horizon are as they were, so only
newer rows of the copy, and the rows of the template that they took the place of, need be looked at.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from seatrial.resources.kinds.postgres.connection import Link
    from seatrial.resources.kinds.postgres.finding.catalog import Relation

VOLATILE: Mapping[str, str] = {
    "pg_class": (
        "relfilenode relpages reltuples relallvisible relallfrozen relfrozenxid relminmxid "
        "relhasindex relhasrules relhassubclass relhastriggers reltoastrelid relrewrite"
    ),
    "pg_index": "indcheckxmin indisclustered",
}
"""Columns that change while the schema stays: storage, statistics, hints, and what CLUSTER leaves."""

_ADDED: Mapping[str, str] = {
    "pg_class": (
        " || jsonb_build_object('toast', "
        "(select t.reloptions from pg_catalog.pg_class t where t.oid = r.reltoastrelid))"
    ),
    "pg_depend": " || jsonb_build_object('describes', pg_catalog.pg_describe_object(r.classid, r.objid, r.objsubid))",
}
"""What belongs to a row and stands elsewhere: a table's options for its toast; the name of what depends."""

_PASSING = (
    "(select oid from pg_catalog.pg_class where relpersistence = 't' or relnamespace = 99 "
    "or relnamespace in (select oid from pg_catalog.pg_namespace where nspname ~ '^pg_(toast_)?temp_'))"
)
_PASSING_SCHEMAS = "(select oid from pg_catalog.pg_namespace where nspname ~ '^pg_(toast_)?temp_')"

_OF_RELATION: Mapping[str, str] = {
    "pg_class": "oid",
    "pg_attribute": "attrelid",
    "pg_index": "indrelid",
    "pg_attrdef": "adrelid",
    "pg_trigger": "tgrelid",
    "pg_rewrite": "ev_class",
    "pg_policy": "polrelid",
    "pg_inherits": "inhrelid",
    "pg_sequence": "seqrelid",
    "pg_partitioned_table": "partrelid",
    "pg_statistic_ext": "stxrelid",
    "pg_constraint": "conrelid",
}
_OF_SCHEMA: Mapping[str, str] = {"pg_type": "typnamespace", "pg_proc": "pronamespace", "pg_namespace": "oid"}

_ALONE = (
    "(deptype in ('e', 'x') or deptype = 'a' and classid = 1259 and objid in "
    f"(select oid from pg_catalog.pg_class where relkind = 'S' and oid not in {_PASSING}))"
)
"""What pg_depend alone tells: members of extensions and who depends on them, owners of sequences."""

_NAMES = (
    "relname",
    "attname",
    "conname",
    "tgname",
    "proname",
    "typname",
    "nspname",
    "polname",
    "rulename",
    "extname",
    "describes",
)
_NOUNS: Mapping[str, str] = {
    "pg_class": "relation",
    "pg_attribute": "column",
    "pg_constraint": "constraint",
    "pg_trigger": "trigger",
    "pg_proc": "function",
    "pg_type": "type",
    "pg_namespace": "schema",
    "pg_policy": "policy",
    "pg_rewrite": "rule or view",
    "pg_extension": "extension",
    "pg_enum": "enum value",
    "pg_description": "comment",
    "pg_default_acl": "default privilege",
    "pg_attrdef": "column default",
    "pg_sequence": "sequence",
    "pg_index": "index",
    "pg_depend": "dependency of",
}
_SHOWN = 3
_PLAIN = ("pg_namespace", "pg_class", "pg_proc", "pg_extension", "pg_trigger", "pg_policy", "pg_constraint")
"""The catalogs that tell a change most plainly: told first."""


class Meaning:
    """Compares the catalogs of one copy with those of its template.

    Args:
        catalogs: the catalogs of the database (not of the whole server).
        horizon: the transaction id that every row of the template is older than.
    """

    def __init__(self, catalogs: Iterable[Relation], horizon: int) -> None:
        self._catalogs: Mapping[int, str] = {one.oid: one.name for one in catalogs}
        self._horizon = horizon
        self._places: dict[int, frozenset[str]] = {}
        self._counts: dict[int, int] = {}

    def count(self, link: Link) -> None:
        """Remember how many rows each catalog has: in a fresh copy, once."""
        self._counts = {oid: old for oid, old, _ in link.rows(self._census())}

    def touched(self, link: Link) -> list[int]:
        """The catalogs in which any row is new or gone, found without the log."""
        return [oid for oid, old, new in link.rows(self._census()) if new or old != self._counts[oid]]

    def changes(self, link: Link, reference: Link, touched: Iterable[int]) -> list[str]:
        """What differs in meaning, in words; empty where nothing does."""
        suspects = sorted(oid for oid in touched if oid in self._catalogs)
        if not suspects:
            return []
        found = link.run("; ".join(f"{self._newer(oid)}; {self._older(oid)}" for oid in suspects))
        unknown = [oid for oid in suspects if oid not in self._places]
        if unknown:
            for oid, result in zip(unknown, reference.run("; ".join(map(self._older, unknown))), strict=True):
                self._places[oid] = frozenset(place for (place,) in result.rows)
        lost = {
            oid: self._places[oid].difference(p for (p,) in found[2 * i + 1].rows) for i, oid in enumerate(suspects)
        }
        before = reference.run("; ".join(self._at(oid, lost[oid]) for oid in suspects))
        words: list[str] = []
        names = [self._catalogs[oid].removeprefix("pg_catalog.") for oid in suspects]
        for i in sorted(
            range(len(suspects)), key=lambda i: _PLAIN.index(names[i]) if names[i] in _PLAIN else len(_PLAIN)
        ):
            if names[i] != "pg_depend" or not words:  # it changes with nearly everything, and says less
                words += _difference(names[i], before[i].rows, found[2 * i].rows)
        if len(words) > _SHOWN:
            words[_SHOWN:] = [f"and {len(words) - _SHOWN} more"]
        return words

    def _census(self) -> str:
        return " union all ".join(
            f"select {oid}::bigint, count(*) filter (where xmin::text::bigint < {self._horizon}), "
            f"count(*) filter (where xmin::text::bigint >= {self._horizon}) from {name}"
            for oid, name in self._catalogs.items()
        )

    def _newer(self, oid: int) -> str:
        return self._rows(oid, f"xmin::text::bigint >= {self._horizon}")

    def _older(self, oid: int) -> str:
        name = self._catalogs[oid]
        telling = f" and {_ALONE}" if name == "pg_catalog.pg_depend" else ""  # few of many
        return f"select ctid::text from {name} where xmin::text::bigint < {self._horizon}{telling}"

    def _at(self, oid: int, places: Iterable[str]) -> str:
        listed = ",".join(f'"{place}"' for place in places)
        return self._rows(oid, f"ctid = any('{{{listed}}}'::tid[])")

    def _rows(self, oid: int, where: str) -> str:
        table = self._catalogs[oid]
        name = table.removeprefix("pg_catalog.")
        volatile = "{" + ",".join(VOLATILE.get(name, "").split()) + "}"
        if name in _OF_RELATION:
            where += f" and {_OF_RELATION[name]} not in {_PASSING}"
        if name in _OF_SCHEMA:
            where += f" and {_OF_SCHEMA[name]} not in {_PASSING_SCHEMAS}"
        if name == "pg_description":
            where += f" and not (classoid = 1259 and objoid in {_PASSING})"
        if name == "pg_depend":
            where += f" and {_ALONE}"
        row = f"(to_jsonb(r){_ADDED.get(name, '')})"
        return f"select ({row} - '{volatile}'::text[])::text, {row} from {table} r where {where}"


def _difference(catalog: str, before: list[tuple[Any, ...]], after: list[tuple[Any, ...]]) -> list[str]:
    was, now = dict(before), dict(after)
    noun = _NOUNS.get(catalog, catalog)
    gone = {_identity(row): row for text, row in was.items() if text not in now}
    words = []
    for text, row in now.items():
        if text not in was:
            verb = "changed" if gone.pop(_identity(row), None) else "created"
            words.append(f"{noun} {_name(row)} {verb}".replace("  ", " "))
    words += [f"{noun} {_name(row)} dropped".replace("  ", " ") for row in gone.values()]
    return words


def _identity(row: Mapping[str, Any]) -> tuple[Any, ...]:
    if "oid" in row:
        return (row["oid"],)
    return tuple(
        row.get(key) for key in ("attrelid", "attnum", "indexrelid", "seqrelid", "objoid", "classoid", "objsubid")
    )


def _name(row: Mapping[str, Any]) -> str:
    return next((str(row[key]) for key in _NAMES if key in row), "")
