"""Bring tables back to what they are in the template: only rows that differ are written."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from seatrial.resources.kinds.mysql.blueprint import Blueprint, Table, counters, remake, sequence_values
from seatrial.resources.kinds.mysql.connection import Link, identifier


@dataclass(frozen=True, slots=True, kw_only=True)
class Baseline:
    """What a copy goes back to."""

    database: str
    """The template: a database like the copy, to which nobody writes."""
    plan: Blueprint
    seeded: frozenset[str]
    """Tables with rows."""
    counters: Mapping[str, int]
    """The next AUTO_INCREMENT of each table that has one, in a fresh copy."""
    sequences: Mapping[str, int]


def baseline(link: Link, database: str, plan: Blueprint) -> Baseline:
    """The database as a baseline."""
    asked = [
        f"SELECT {number}, EXISTS(SELECT 1 FROM {identifier(database, name)})"
        for number, name in enumerate(plan.tables)
    ]
    names = list(plan.tables)
    rows = link.rows(" UNION ALL ".join(asked)) if asked else []
    return Baseline(
        database=database,
        plan=plan,
        seeded=frozenset(names[number] for number, there in rows if there),
        counters=counters(link, database),
        sequences=sequence_values(link, database, list(plan.sequences)),
    )


def restore(link: Link, copy: str, base: Baseline, tables: Iterable[str], *, certain: bool) -> dict[str, int]:
    """Put the rows of these tables back; returns how many were written, by table. All of it in one transaction.

    Triggers are set aside meanwhile: what they would write in answer is no part of the baseline.

    Args:
        link: a connection with `SESSION` set.
        copy: the database.
        base: where it goes back to.
        tables: which; foreign keys need no order among them.
        certain: whether something was surely written to them, so that asking first is no gain.
    """
    names = frozenset(name for name in tables if not base.plan.tables[name].elsewhere)
    triggers = base.plan.triggers(names)
    for one in triggers:
        link.run(f"DROP TRIGGER IF EXISTS {identifier(copy, one.name)}")
    try:
        with link.transaction():
            written = {name: _rows(link, copy, base, base.plan.tables[name], certain=certain) for name in sorted(names)}
            return {name: rows for name, rows in written.items() if rows}
    finally:
        if triggers:
            remake(link, triggers, copy)


def restore_counters(link: Link, copy: str, base: Baseline) -> tuple[str, ...]:
    """Put AUTO_INCREMENT and sequences back; returns whose were not as in the baseline."""
    tables, sequences = moved(link, copy, base)
    for name in tables:
        link.run(f"ALTER TABLE {identifier(copy, name)} AUTO_INCREMENT = {base.counters[name]}")
    restart(link, copy, base, sequences)
    return (*tables, *sequences)


def restart(link: Link, copy: str, base: Baseline, sequences: Iterable[str]) -> None:
    """Have these sequences go on as in the baseline: what the server has taken of them in advance is given up."""
    for name in sequences:
        link.run(f"ALTER SEQUENCE {identifier(copy, name)} RESTART {base.sequences[name]}")


def moved(link: Link, copy: str, base: Baseline) -> tuple[list[str], list[str]]:
    """Tables and sequences whose next number is not that of the baseline: a rollback takes none back."""
    now = counters(link, copy)
    values = sequence_values(link, copy, list(base.sequences))
    return (
        [name for name, value in base.counters.items() if now.get(name) != value],
        [name for name, value in values.items() if value != base.sequences[name]],
    )


def _rows(link: Link, copy: str, base: Baseline, table: Table, *, certain: bool) -> int:
    here, there = identifier(copy, table.name), identifier(base.database, table.name)
    if table.name not in base.seeded:
        return link.run(f"DELETE FROM {here}")
    names = ", ".join(map(identifier, table.columns))
    if not table.key:
        if not certain and len({row[1] for row in link.rows(f"CHECKSUM TABLE {here}, {there}")}) == 1:
            return 0
        return link.run(f"DELETE FROM {here}") + link.run(f"INSERT INTO {here} ({names}) SELECT {names} FROM {there}")
    same_key = " AND ".join(f"h.{identifier(name)} = t.{identifier(name)}" for name in table.key)
    first = identifier(table.key[0])
    same = " AND ".join(
        f"{how.format('h.' + identifier(name))} <=> {how.format('t.' + identifier(name))}"
        for name, how in table.columns.items()
    )
    deleted = link.run(
        f"DELETE h FROM {here} AS h LEFT JOIN {there} AS t ON {same_key} WHERE t.{first} IS NULL OR NOT ({same})"
    )
    listed = ", ".join(f"t.{identifier(name)}" for name in table.columns)
    return deleted + link.run(
        f"INSERT INTO {here} ({names}) SELECT {listed} FROM {there} AS t LEFT JOIN {here} AS h ON {same_key} "
        f"WHERE h.{first} IS NULL"
    )
