"""The one transaction that brings a copy back: deletes first, then lost rows, sequences and what hangs on them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from seatrial.errors import NeedsClone
from seatrial.resources.kinds.postgres.connection import Result, literal
from seatrial.resources.kinds.postgres.reset.order import in_order

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from seatrial.resources.kinds.postgres.connection import Link
    from seatrial.resources.kinds.postgres.finding.catalog import Catalog, Relation
    from seatrial.resources.kinds.postgres.finding.plan import Plan
    from seatrial.resources.kinds.postgres.finding.rows import Seed

MOST_ROWS = 10_000
"""Lost rows of one table that are given back one by one; above, a fresh clone is faster."""
MOST_BYTES = 4 * 1024 * 1024
"""The size of a seeded table that is filled again when it was rewritten (TRUNCATE, CLUSTER)."""
ROW = '"a row of Seatrial"'
"""A name for whole rows: no column of a table should have the same."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Done:
    """What one undo did."""

    rows: int
    deleted: dict[int, int]
    """Table -> rows deleted: dead ones, until it is vacuumed."""
    filenodes: dict[int, int]
    """New filenodes of materialized views."""
    transaction: str


class Script:
    """Statements of one round trip, each with what to do with its result; PostgreSQL makes them one transaction."""

    def __init__(self) -> None:
        self.prepared: dict[str, str] = {}
        self._steps: list[tuple[str, Callable[[Result], None] | None]] = []

    def add(self, statement: str, then: Callable[[Result], None] | None = None) -> None:
        """One statement that gives one result."""
        self._steps.append((statement, then))

    def run(self, link: Link) -> None:
        """Send all of it, and hand out the results."""
        results = link.run("; ".join(statement for statement, _ in self._steps), self.prepared, again=False)
        for (_, then), result in zip(self._steps, results, strict=True):
            if then is not None:
                then(result)


class Undo:
    """Carries a plan out, in one transaction on one connection that plays a replica.

    As a replica, ordinary triggers and rules stay silent, foreign keys order nothing and cascade nowhere.

    Args:
        link: our connection to the copy.
        catalog: what the template holds.
        reference: gives a connection to the reference: a copy of the template that nobody touches.
        silent: whether our role may play a replica; if not, an order is looked for that needs no silence.
    """

    def __init__(self, link: Link, catalog: Catalog, reference: Callable[[], Link], *, silent: bool) -> None:
        self._silent = silent
        self._link = link
        self._catalog = catalog
        self._reference = reference
        self._columns: dict[int, tuple[str, str]] = {}

    def carry_out(self, plan: Plan) -> Done:
        """Do it; returns what was done. The seeds of the plan know afterwards where their rows are.

        Raises:
            NeedsClone: too much was written for an undo to be worth it.
            psycopg.Error: the database refused; nothing was changed.
        """
        if not self._silent:
            rank = in_order(plan, self._catalog)
            plan.empty.sort(key=lambda one: -rank[one.oid])
            plan.rows.sort(key=lambda pair: -rank[pair[0].relation.oid])
            plan.full.sort(key=lambda seed: -rank[seed.relation.oid])
        losses = self._lost(plan)
        script, deleted, filenodes = Script(), dict[int, int](), dict[int, int]()
        placed: list[tuple[Seed, list[str], list[str]]] = []
        transaction: list[str] = []
        for table, guard, _ in self._guards(plan):
            script.add(f"ALTER TABLE {table} DISABLE {guard}")
        self._delete(plan, script, deleted)
        for seed, slots, rows in reversed(losses):
            places: list[str] = []
            placed.append((seed, slots, places))
            script.add(self._insert(seed.relation, rows), _into(places))
        if plan.large_objects:
            script.add("SELECT lo_unlink(oid) FROM pg_largeobject_metadata")
        for table_, index in plan.clustered:
            script.add(f"ALTER TABLE {table_.name} " + (f"CLUSTER ON {index}" if index else "SET WITHOUT CLUSTER"))
        self._refresh(plan, script, filenodes)
        for table, guard, enabled in self._guards(plan):
            script.add(f"ALTER TABLE {table} ENABLE {'ALWAYS' if enabled == 'A' else 'REPLICA'} {guard}")
        script.add(
            f"SELECT pg_current_xact_id()::xid::text{''.join(map(self._set_back, plan.sequences))}",
            lambda result: transaction.append(result.rows[0][0]),
        )
        script.run(self._link)
        for seed in plan.full:
            seed.forget()
        for seed, slots, places in placed:
            seed.place(slots, places, transaction[0])
        count = sum(deleted.values()) + sum(len(slots) for _, slots, _ in placed)
        return Done(rows=count, deleted=deleted, filenodes=filenodes, transaction=transaction[0])

    def _set_back(self, sequence: Relation) -> str:
        last, called = self._catalog.sequences[sequence.oid]
        return f", setval({sequence.oid}, {last}, {called})"

    def _delete(self, plan: Plan, script: Script, deleted: dict[int, int]) -> None:
        def count(oid: int) -> Callable[[Result], None]:
            return lambda result: deleted.__setitem__(oid, result.count)

        for one in [*plan.empty, *(seed.relation for seed in plan.full)]:
            script.prepared[f"empty_{one.oid}"] = f"AS DELETE FROM ONLY {one.name}"
            script.add(f"EXECUTE empty_{one.oid}", count(one.oid))
        for seed, difference in plan.rows:
            if difference.extra:
                places = _array(difference.extra)
                script.add(
                    f"DELETE FROM ONLY {seed.relation.name} WHERE ctid = ANY({places})", count(seed.relation.oid)
                )

    def _refresh(self, plan: Plan, script: Script, filenodes: dict[int, int]) -> None:
        for view in sorted(plan.views, key=lambda view: view.oid):
            script.add(f"REFRESH MATERIALIZED VIEW {view.name}" + ("" if view.populated else " WITH NO DATA"))
        if plan.views:
            listed = ",".join(str(view.oid) for view in plan.views)
            script.add(
                f"SELECT oid::bigint, pg_relation_filenode(oid)::bigint FROM pg_class WHERE oid IN ({listed})",
                lambda result: filenodes.update(dict(result.rows)),
            )

    def _lost(self, plan: Plan) -> list[tuple[Seed, list[str], str]]:
        """The lost rows: for each table the rows of the template, by place, and their values as one array."""
        wanted = [(seed, f"{ROW}.ctid = ANY({_array(found.lost)})") for seed, found in plan.rows if found.lost]
        for seed, found in plan.rows:
            if len(found.lost) > MOST_ROWS:
                raise NeedsClone(f"{len(found.lost)} rows of {seed.relation.label} were changed or deleted")
        for seed in plan.full:
            self._affordable(seed.relation)
            wanted.append((seed, "true"))
        if not wanted:
            return []
        results = self._reference().run(
            "; ".join(
                f"SELECT array_agg({ROW} ORDER BY {ROW}.ctid)::text, array_agg({ROW}.ctid ORDER BY {ROW}.ctid)::text "
                f"FROM ONLY {seed.relation.name} {ROW} WHERE {where}"
                for seed, where in wanted
            )
        )
        return [
            (seed, result.rows[0][1][2:-2].split('","'), result.rows[0][0])
            for (seed, _), result in zip(wanted, results, strict=True)
        ]

    def _affordable(self, table: Relation) -> None:
        size, count = self._reference().rows(
            f"SELECT pg_relation_size({table.oid}), (SELECT count(*) FROM ONLY {table.name})"
        )[0]
        if size > MOST_BYTES or count > MOST_ROWS:
            raise NeedsClone(
                f"{table.label} was rewritten (TRUNCATE, CLUSTER, VACUUM FULL), and its {count} seed rows take a clone"
            )

    def _insert(self, table: Relation, rows: str) -> str:
        columns, values = self._insertable(table)
        return (
            f"INSERT INTO {table.name} ({columns}) OVERRIDING SYSTEM VALUE SELECT {values} "
            f"FROM unnest({literal(rows)}::{table.name}[]) {ROW} RETURNING ctid::text"
        )

    def _insertable(self, table: Relation) -> tuple[str, str]:
        """The columns that an INSERT may name: all but the generated ones."""
        if table.oid not in self._columns:
            names = [
                name
                for (name,) in self._reference().rows(
                    f"""SELECT quote_ident(attname) FROM pg_attribute WHERE attrelid = {table.oid} AND attnum > 0
                    AND NOT attisdropped AND attgenerated = '' ORDER BY attnum"""
                )
            ]
            if not names:
                raise NeedsClone(f"{table.label} has no column that a row could be given back to")
            self._columns[table.oid] = (", ".join(names), ", ".join(f"{ROW}.{name}" for name in names))
        return self._columns[table.oid]

    def _guards(self, plan: Plan) -> list[tuple[str, str, str]]:
        """Triggers and rules that fire even for a replica, on the tables that we write to."""
        if not self._catalog.guards:
            return []
        tables = [*plan.empty, *(seed.relation for seed, _ in plan.rows), *(seed.relation for seed in plan.full)]
        return [(one.name, what, how) for one in tables for what, how in self._catalog.guards.get(one.oid, ())]


def _into(places: list[str]) -> Callable[[Result], None]:
    return lambda result: places.extend(place for (place,) in result.rows)


def _array(places: Sequence[str]) -> str:
    return "'{\"" + '","'.join(places) + "\"}'::tid[]"
