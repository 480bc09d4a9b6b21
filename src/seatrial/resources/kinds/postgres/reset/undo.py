"""The one transaction that brings a copy back: deletes first, then lost rows, sequences and what hangs on them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from seatrial.errors import NeedsClone
from seatrial.resources.kinds.postgres.connection import Result, literal
from seatrial.resources.kinds.postgres.reset.order import in_order

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

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


@dataclass(frozen=True, slots=True, kw_only=True)
class Columns:
    """The columns of a table, for the statement that gives rows back. All parts are SQL, quoted."""

    given: str
    """Those that an INSERT may name: all but the generated ones."""
    values: str
    """The same, of the row of the template."""
    computed: str
    """Those that the server computes and stores when a row is given back, as one text; empty where there are none."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Lost:
    """Rows of the template that one table is to be given back."""

    seed: Seed
    slots: list[str]
    """Their places in the template."""
    rows: str
    """Their values, as one array."""
    computed: list[str]
    """What the template has in the columns that the server computes: empty where there are none."""


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
        quiet: whether our connection calls no event triggers at all.
    """

    def __init__(
        self, link: Link, catalog: Catalog, reference: Callable[[], Link], *, silent: bool, quiet: bool
    ) -> None:
        self._silent = silent
        self._heard = not quiet and bool(catalog.listeners & ({"A", "R"} if silent else {"A", "O"}))
        self._link = link
        self._catalog = catalog
        self._reference = reference
        self._columns: dict[int, Columns] = {}

    def carry_out(self, plan: Plan) -> Done:
        """Do it; returns what was done. The seeds of the plan know afterwards where their rows are.

        Raises:
            NeedsClone: too much was written for an undo to be worth it.
            psycopg.Error: the database refused; nothing was changed.
        """
        rank = {} if self._silent else in_order(plan, self._catalog)
        plan.rows.sort(key=lambda pair: -rank.get(pair[0].relation.oid, 0))
        plan.full.sort(key=lambda seed: -rank.get(seed.relation.oid, 0))
        losses = self._lost(plan)
        script, deleted, filenodes = Script(), dict[int, int](), dict[int, int]()
        placed: list[tuple[Lost, Result]] = []
        transaction: list[str] = []
        guards = self._guards(plan)
        if (guards or plan.clustered or plan.views) and self._heard:
            raise NeedsClone("an event trigger would see the undo, and can't be silenced here")
        for table, before, _ in guards:
            script.add(f"ALTER TABLE {table} {before}")
        self._delete(plan, rank, script, deleted)
        for lost in reversed(losses):
            script.add(self._insert(lost), _with(lost, placed))
        if plan.large_objects:
            script.add("SELECT lo_unlink(oid) FROM pg_largeobject_metadata")
        for table_, index in plan.clustered:
            script.add(f"ALTER TABLE {table_.name} " + (f"CLUSTER ON {index}" if index else "SET WITHOUT CLUSTER"))
        self._refresh(plan, script, filenodes)
        for table, _, after in guards:
            script.add(f"ALTER TABLE {table} {after}")
        script.add(
            f"SELECT pg_current_xact_id()::xid::text{''.join(map(self._set_back, plan.sequences))}",
            lambda result: transaction.append(result.rows[0][0]),
        )
        script.run(self._link)
        self._check(plan, deleted, placed)
        for seed in plan.full:
            seed.forget()
        for lost, result in placed:
            lost.seed.place(lost.slots, [row[0] for row in result.rows], transaction[0])
        count = sum(deleted.values()) + sum(len(lost.slots) for lost in losses)
        return Done(rows=count, deleted=deleted, filenodes=filenodes, transaction=transaction[0])

    def _set_back(self, sequence: Relation) -> str:
        last, called = self._catalog.sequences[sequence.oid]
        return f", setval({sequence.oid}, {last}, {called})"

    def _delete(self, plan: Plan, rank: Mapping[int, int], script: Script, deleted: dict[int, int]) -> None:
        def count(oid: int) -> Callable[[Result], None]:
            return lambda result: deleted.__setitem__(oid, result.count)

        statements: dict[int, str] = {}
        for one in [*plan.empty, *(seed.relation for seed in plan.full)]:
            script.prepared[f"empty_{one.oid}"] = f"AS DELETE FROM ONLY {one.name}"
            statements[one.oid] = f"EXECUTE empty_{one.oid}"
        for seed, found in plan.rows:
            if found.extra:
                table = seed.relation
                statements[table.oid] = f"DELETE FROM ONLY {table.name} WHERE ctid = ANY({_array(found.extra)})"
        # In one order, whatever sort they are: ON DELETE SET NULL would move a row whose parent goes first.
        for oid in sorted(statements, key=lambda oid: -rank.get(oid, 0)):
            script.add(statements[oid], count(oid))

    def _check(self, plan: Plan, deleted: Mapping[int, int], placed: Sequence[tuple[Lost, Result]]) -> None:
        """After the undo: every row is gone that had to go, and every row that was lost is what it was.

        Raises:
            NeedsClone: something stood in the way, or the server computes another value now than it did.
        """
        for seed, found in plan.rows:
            if found.extra and deleted.get(seed.relation.oid, 0) != len(found.extra):
                raise NeedsClone(f"rows of {seed.relation.label} could not be deleted, and nothing said why")
        for lost, result in placed:
            label = lost.seed.relation.label
            if len(result.rows) != len(lost.slots):
                raise NeedsClone(f"rows of {label} could not be given back, and nothing said why")
            if lost.computed and [row[1] for row in result.rows] != lost.computed:
                raise NeedsClone(f"{label} has a generated column, and what is computed for it now is another value")

    def _refresh(self, plan: Plan, script: Script, filenodes: dict[int, int]) -> None:
        for view in sorted(plan.views, key=lambda view: view.oid):
            script.add(f"REFRESH MATERIALIZED VIEW {view.name}" + ("" if view.populated else " WITH NO DATA"))
        if plan.views:
            listed = ",".join(str(view.oid) for view in plan.views)
            script.add(
                f"SELECT oid::bigint, pg_relation_filenode(oid)::bigint FROM pg_class WHERE oid IN ({listed})",
                lambda result: filenodes.update(dict(result.rows)),
            )

    def _lost(self, plan: Plan) -> list[Lost]:
        """The rows of the template that are to be given back, of each table."""
        wanted = [(seed, f"{ROW}.ctid = ANY({_array(found.lost)})") for seed, found in plan.rows if found.lost]
        for seed, found in plan.rows:
            if len(found.lost) > MOST_ROWS:
                raise NeedsClone(f"{len(found.lost)} rows of {seed.relation.label} were changed or deleted")
        for seed in plan.full:
            self._affordable(seed.relation)
            wanted.append((seed, "true"))
        if not wanted:
            return []
        parts = [
            f"SELECT array_agg({ROW} ORDER BY {ROW}.ctid)::text, array_agg({ROW}.ctid ORDER BY {ROW}.ctid)::text"
            + (f", array_agg({columns.computed} ORDER BY {ROW}.ctid)" if columns.computed else "")
            + f" FROM ONLY {seed.relation.name} {ROW} WHERE {where}"
            for seed, where in wanted
            for columns in [self._columns_of(seed.relation)]
        ]
        return [
            Lost(seed=seed, slots=places[2:-2].split('","'), rows=rows, computed=computed[0] if computed else [])
            for (seed, _), result in zip(wanted, self._reference().run("; ".join(parts)), strict=True)
            for rows, places, *computed in result.rows
        ]

    def _affordable(self, table: Relation) -> None:
        size, count = self._reference().rows(
            f"SELECT pg_relation_size({table.oid}), (SELECT count(*) FROM ONLY {table.name})"
        )[0]
        if size > MOST_BYTES or count > MOST_ROWS:
            raise NeedsClone(
                f"{table.label} was rewritten (TRUNCATE, CLUSTER, VACUUM FULL), and its {count} seed rows take a clone"
            )

    def _insert(self, lost: Lost) -> str:
        table, columns = lost.seed.relation, self._columns_of(lost.seed.relation)
        given = f"({columns.given}) OVERRIDING SYSTEM VALUE" if columns.given else ""  # a table may have no columns
        return (
            f"INSERT INTO {table.name} {given} SELECT {columns.values} "
            f"FROM unnest({literal(lost.rows)}::{table.name}[]) {ROW} RETURNING ctid::text"
            + (f", {columns.computed}" if columns.computed else "")
        )

    def _columns_of(self, table: Relation) -> Columns:
        if table.oid not in self._columns:
            rows = self._reference().rows(
                f"""SELECT quote_ident(attname), attgenerated::text FROM pg_attribute
                WHERE attrelid = {table.oid} AND attnum > 0 AND NOT attisdropped ORDER BY attnum"""
            )
            names = [name for name, generated in rows if not generated]
            stored = [name for name, generated in rows if generated == "s"]
            self._columns[table.oid] = Columns(
                given=", ".join(names),
                values=", ".join(f"{ROW}.{name}" for name in names),
                computed=f"ROW({', '.join(stored)})::text" if stored else "",
            )
        return self._columns[table.oid]

    def _guards(self, plan: Plan) -> list[tuple[str, str, str]]:
        """What would fire even for a replica, or forbid a delete, on the tables that we write to."""
        guards = self._catalog.guards
        if not guards:
            return []
        return [(one.name, before, after) for one in plan.written() for before, after in guards.get(one.oid, ())]


def _with(lost: Lost, placed: list[tuple[Lost, Result]]) -> Callable[[Result], None]:
    return lambda result: placed.append((lost, result))


def _array(places: Sequence[str]) -> str:
    return "'{\"" + '","'.join(places) + "\"}'::tid[]"
