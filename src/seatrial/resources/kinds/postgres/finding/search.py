"""Find out what must be undone: from what the log says, or by a scan; both end in the same plan."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from seatrial.errors import NeedsClone
from seatrial.resources.kinds.postgres.connection import FIRST_OF_USERS
from seatrial.resources.kinds.postgres.finding import scan
from seatrial.resources.kinds.postgres.finding.catalog import LARGE_OBJECTS, PG_CLASS, PG_INDEX, clustered, filenodes
from seatrial.resources.kinds.postgres.finding.plan import Plan
from seatrial.resources.kinds.postgres.finding.rows import Difference, Seed

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from seatrial.resources.kinds.postgres.connection import Link
    from seatrial.resources.kinds.postgres.finding.catalog import Catalog, Relation
    from seatrial.resources.kinds.postgres.finding.log import Written
    from seatrial.resources.kinds.postgres.finding.meaning import Meaning

MOST_BLOCKS = 5_000
"""Blocks of one table (40 MB) that are undone in place; above, a fresh clone is faster."""
LOOKS = 500
"""Blocks that are looked at in one round trip."""


@dataclass(slots=True)
class Bearings:
    """Where things are in a copy now: what changes while it is used."""

    nodes: dict[int, int]
    """Filenode -> relation."""
    seeds: dict[int, Seed] = field(default_factory=dict)


class Search:
    """Looks for what was written to one copy.

    Args:
        link: our connection to the copy.
        catalog: what the template holds.
        bearings: where its relations and rows are; kept up here.
        meaning: the comparison of catalogs.
        horizon: the transaction id that every row of the template is older than.
        reference: gives a connection to the reference.
    """

    def __init__(
        self,
        *,
        link: Link,
        catalog: Catalog,
        bearings: Bearings,
        meaning: Meaning,
        horizon: int,
        reference: Callable[[], Link],
    ) -> None:
        self._link = link
        self._catalog = catalog
        self._bearings = bearings
        self._meaning = meaning
        self._horizon = horizon
        self._reference = reference
        self._probed = catalog.unlogged()

    def by_log(self, written: Written) -> Plan:
        """What to undo, given what the log says.

        Raises:
            NeedsClone: the schema changed, or too much was written.
        """
        touched, strange = self._resolve(written)
        rewritten: set[int] = set()
        if strange or PG_CLASS in touched:
            rewritten = self._remap()
            touched, _ = self._resolve(written)
        plan = Plan()
        self._hidden([self._catalog.relations[oid] for oid in touched.keys() | rewritten], plan)
        self._catalogs(plan, [oid for oid in touched if self._catalog.relations[oid].kind == "c"])
        for oid in touched.keys() | rewritten:
            self._one(plan, self._catalog.relations[oid], touched.get(oid, set()), rewritten=oid in rewritten)
        self._unlogged(plan)
        return plan

    def by_scan(self) -> Plan:
        """What to undo, by looking everywhere.

        Raises:
            NeedsClone: the schema changed, or too much was written.
        """
        plan = Plan()
        self._hidden([one for one in self._catalog.of_kind("h") if one.oid >= FIRST_OF_USERS], plan)
        self._everything(plan)
        return plan

    def committed(self) -> bool:
        """Whether anything is not as it was, as far as our role may look. Sequences move without a commit."""
        plan = Plan()
        try:
            self._everything(plan)
        except NeedsClone:
            return True
        plan.sequences.clear()
        return bool(plan)

    def _everything(self, plan: Plan) -> None:
        rewritten = self._remap()
        self._catalogs(plan, self._meaning.touched(self._link))
        if self._objects_differ():
            self._large_objects(plan)
        self._tables(plan, self._catalog.empty(), [one for one in self._catalog.seeded() if one.oid not in rewritten])
        plan.full += [self._seed(self._catalog.relations[oid]) for oid in rewritten if oid in self._seeded_oids()]
        plan.sequences += scan.moved(self._link, self._catalog.of_kind("S"), self._catalog.sequences)
        plan.views += self._differing_views()

    def tables(self, written: Written) -> tuple[str, ...]:
        """What was written to, for people, without a further look."""
        touched, strange = self._resolve(written)
        labels = [self._catalog.relations[oid].label for oid in touched]
        if strange:
            labels.append("a new or rewritten table")
        return tuple(dict.fromkeys(labels))

    def plain(self, written: Written) -> bool:
        """Whether no catalog was written to, nor anything that is new, rewritten, or the whole server's."""
        touched, strange = self._resolve(written)
        return not strange and not written.shared and all(self._catalog.relations[oid].kind in "rSm" for oid in touched)

    def written_tables(self, written: Written) -> list[str] | None:
        """The tables and catalogs that were written to, quoted; None where some are new or rewritten."""
        touched, strange = self._resolve(written)
        relations = [self._catalog.relations[oid] for oid in touched]
        return None if strange or self._probed else [one.name for one in relations if one.kind in "rmch"]

    def check_views(self, views: Iterable[Relation]) -> None:
        """After the undo: materialized views must hold what they held.

        Raises:
            NeedsClone: one of them is not a function of the tables alone.
        """
        for view in views:
            if view in self._differing_views([view]):
                raise NeedsClone(f"the materialized view {view.label} was refreshed, and a refresh gives other rows")

    def _resolve(self, written: Written) -> tuple[dict[int, set[int]], bool]:
        touched: dict[int, set[int]] = {}
        strange = False
        for node, blocks in written.blocks.items():
            oid = self._bearings.nodes.get(node)
            if oid is None:
                strange = True
            elif self._catalog.relations[oid].kind not in "ti":
                touched.setdefault(oid, set()).update(blocks)
        return touched, strange

    def _remap(self) -> set[int]:
        """Read the filenodes anew; returns the relations that got another one."""
        now = filenodes(self._link)
        before = {oid: node for node, oid in self._bearings.nodes.items()}
        self._bearings.nodes.update({node: oid for oid, node in now.items() if oid in self._catalog.relations})
        changed = {oid for oid, node in now.items() if oid in before and before[oid] != node}
        for oid in changed:
            del self._bearings.nodes[before[oid]]
        return {oid for oid in changed if self._catalog.relations[oid].kind in "rSmh"}

    def _catalogs(self, plan: Plan, touched: list[int]) -> None:
        schema = [oid for oid in touched if oid not in LARGE_OBJECTS]
        if schema:
            words = self._meaning.changes(self._link, self._reference(), schema)
            if words:
                raise NeedsClone(f"the schema was changed: {', '.join(words)}")
        if PG_INDEX in schema:
            now, before = clustered(self._link), self._catalog.clustered
            for oid in (now.keys() | before.keys()) & self._catalog.relations.keys():
                if now.get(oid) != before.get(oid):
                    plan.clustered.append((self._catalog.relations[oid], before.get(oid, "")))
        if len(schema) < len(touched):
            self._large_objects(plan)

    def _hidden(self, relations: list[Relation], plan: Plan) -> None:
        """What was written to, or may have been, and can't be looked at."""
        for one in relations:
            if one.oid in LARGE_OBJECTS and one.kind == "h":
                self._large_objects(plan)
            elif one.kind == "h":
                raise NeedsClone(f"{one.label} may be other than it was, and our role may not see all of its rows")

    def _objects_differ(self) -> bool:
        """Whether large objects are not those of the template. Who may read their catalogs finds that there."""
        if not self._catalog.large_objects:
            return bool(self._link.rows("select exists(select from pg_largeobject_metadata)")[0][0])
        if not any(self._catalog.relations[oid].kind == "h" for oid in LARGE_OBJECTS):
            return False
        statement = "select oid, lomowner, lomacl::text, md5(lo_get(oid)) from pg_largeobject_metadata order by oid"
        return self._link.rows(statement) != self._reference().rows(statement)

    def _large_objects(self, plan: Plan) -> None:
        if self._catalog.large_objects:
            raise NeedsClone("large objects were written, and the baseline has some of its own")
        plan.large_objects = True

    def _one(self, plan: Plan, relation: Relation, blocks: set[int], *, rewritten: bool) -> None:
        if relation.kind == "S":
            plan.sequences.append(relation)
        elif relation.kind == "m":
            plan.views.append(relation)
        elif relation.kind == "r":
            if len(blocks) > MOST_BLOCKS:
                raise NeedsClone(f"{len(blocks)} blocks of {relation.label} were written")
            if not relation.seeded:
                plan.empty.append(relation)
            elif rewritten:
                plan.full.append(self._seed(relation))
            else:
                self._compare(plan, self._seed(relation), sorted(blocks))

    def _compare(self, plan: Plan, seed: Seed, blocks: list[int]) -> None:
        unknown = seed.unknown(blocks)
        for start in range(0, len(unknown), LOOKS):
            some = unknown[start : start + LOOKS]
            results = self._reference().run("; ".join(map(seed.look_at, some)), seed.prepared_there)
            for block, result in zip(some, results, strict=True):
                seed.learn(block, result.rows[0])
        found = Difference()
        for start in range(0, len(blocks), LOOKS):
            some = blocks[start : start + LOOKS]
            results = self._link.run("; ".join(map(seed.look_at, some)), seed.prepared)
            for block, result in zip(some, results, strict=True):
                one = seed.compare(block, result.rows[0])
                found.extra += one.extra
                found.lost += one.lost
        if found:
            plan.rows.append((seed, found))

    def _tables(self, plan: Plan, empty: list[Relation], seeded: list[Relation]) -> None:
        plan.empty += scan.filled(self._link, empty)
        for relation in seeded:
            seed = self._seed(relation)
            blocks = seed.suspects(self._link, self._reference)
            if len(blocks) > MOST_BLOCKS:
                raise NeedsClone(f"{len(blocks)} blocks of {relation.label} were written")
            if blocks:
                self._compare(plan, seed, blocks)

    def unlogged(self, *, sequences: bool = True) -> tuple[str, ...]:
        """What differs of all that the log says nothing about, for people; without what our role may not see.

        Without `sequences` only what was committed: these move in transactions that are rolled back, too.
        """
        import psycopg

        plan = Plan()
        try:
            self._probe(plan)
        except (NeedsClone, psycopg.Error):  # too much was written, or a table is not what it was
            return ("unlogged tables",)
        if not sequences:
            plan.sequences.clear()
        return plan.tables()

    def _unlogged(self, plan: Plan) -> None:
        """What the log says nothing about: to look at it is the only way."""
        self._hidden(self._probed, plan)
        self._probe(plan)

    def _probe(self, plan: Plan) -> None:
        if not self._probed:
            return
        done = {one.oid for one in plan.empty} | {seed.relation.oid for seed in plan.full}
        tables = [one for one in self._probed if one.kind == "r" and one.oid not in done]
        self._tables(plan, [one for one in tables if not one.seeded], [one for one in tables if one.seeded])
        known = {one.oid for one in plan.sequences}
        sequences = [one for one in self._probed if one.kind == "S" and one.oid not in known]
        plan.sequences += scan.moved(self._link, sequences, self._catalog.sequences)

    def _differing_views(self, views: list[Relation] | None = None) -> list[Relation]:
        chosen = [one for one in (views if views is not None else self._catalog.of_kind("m")) if one.populated]
        if not chosen:
            return []
        statement = "; ".join(
            f"select md5(coalesce(string_agg(x, '' order by x), '')) from (select md5(v::text) x from {one.name} v) s"
            for one in chosen
        )
        here, there = self._link.run(statement), self._reference().run(statement)
        return [one for one, a, b in zip(chosen, here, there, strict=True) if a.rows != b.rows]

    def _seed(self, relation: Relation) -> Seed:
        seed = self._bearings.seeds.get(relation.oid)
        if seed is None:
            seed = self._bearings.seeds[relation.oid] = Seed(relation, self._horizon)
        return seed

    def _seeded_oids(self) -> set[int]:
        return {one.oid for one in self._catalog.seeded()}
