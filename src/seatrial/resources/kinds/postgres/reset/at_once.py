"""Look and undo in one round trip: a function of our session does what was done before, by statements prepared then."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from seatrial.resources.kinds.postgres.finding.log import FOUND, NEAR, Written
from seatrial.resources.kinds.postgres.finding.search import MOST_BLOCKS

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from seatrial.resources.kinds.postgres.finding.catalog import Catalog, Relation
    from seatrial.resources.kinds.postgres.finding.log import LogReader
    from seatrial.resources.kinds.postgres.finding.plan import Plan
    from seatrial.resources.kinds.postgres.finding.search import Bearings
    from seatrial.resources.kinds.postgres.reset.fence import Fence

FUNCTION = "pg_temp.seatrial_reset"
DECLARE = f"""CREATE FUNCTION {FUNCTION}(
  since pg_lsn, base oid, own xid[], mine int[], slots name[], nodes int8[], undos int8[]
) RETURNS TABLE (
  until text, node int8, blocks int8[], transactions int8[], busy bool, undoer text, relation int8, undone int8
) LANGUAGE plpgsql AS $$
#variable_conflict use_variable
DECLARE
  touched int8[] := '{{{{}}}}';
BEGIN
  IF pg_current_wal_insert_lsn() <> since THEN
    until := pg_logical_emit_message(false, 'seatrial', '', true);
    FOR node, blocks, transactions IN {{found}} LOOP
      RETURN NEXT;
      touched := touched || CASE WHEN cardinality(blocks) > {MOST_BLOCKS} THEN 0 ELSE node END;
    END LOOP;
    node := NULL;
  END IF;
  busy := EXISTS ({{busy}});
  IF NOT busy AND touched <> '{{{{}}}}' AND touched <@ nodes THEN
    undoer := pg_current_xact_id()::xid::text;
    FOR i IN 1 .. cardinality(touched) LOOP
      relation := undos[array_position(nodes, touched[i])];
      CONTINUE WHEN relation = 0;
      EXECUTE 'EXECUTE undo_' || relation INTO undone;
      RETURN NEXT;
    END LOOP;
    relation := NULL;
  END IF;
  RETURN NEXT;
END $$"""
"""What `READ` does, then the fence's question, and then the undo of what was found: if nobody is busy, and if for all
of it there is a statement: none, 0, for what takes no undo; nothing for what has too many blocks to be undone in place.
Its last row says whether that was so.

Each statement sees what was committed before it began. A transaction that is in the log, and that a later statement
can't see yet, is busy: PostgreSQL says that a backend has none only when it is visible to all.
"""
EXECUTE: Mapping[str, str] = {
    "at_once": (
        f"(pg_lsn, oid, xid[], int[], name[], int8[], int8[]) AS SELECT * FROM {FUNCTION}($1, $2, $3, $4, $5, $6, $7)"
    )
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Looked:
    """What one round trip found, and what it did."""

    written: Written
    busy: bool
    """Whether anybody is in a transaction; nothing was undone then."""
    undoer: str = ""
    """The transaction that has undone all of `written`; empty where nothing was undone."""
    undone: Mapping[int, int] = field(default_factory=dict)
    """Relation -> rows deleted."""


class AtOnce:
    """Learns from each undo what it takes, and has the server do the same at the next look.

    Tables that were empty, and sequences: nothing of their undo depends on what was found. An undo of anything else,
    or of something that is undone for the first time, is a second round trip, by a plan.

    Args:
        reader: reads the log; it has to declare what `declare` gives.
        fence: asks who is busy.
        catalog: what the template holds; nothing that is unlogged, which is probed whatever the log says.
        bearings: where its relations are.
    """

    def __init__(self, reader: LogReader, fence: Fence, catalog: Catalog, bearings: Bearings) -> None:
        self._reader = reader
        self._fence = fence
        self._catalog = catalog
        self._bearings = bearings
        self._prepared = dict(EXECUTE)
        self._undos: dict[int, int] = {}
        """Filenode -> the relation whose undo is prepared; 0 where none is needed."""
        self._arguments = ""

    def look(self, own: Iterable[int]) -> Looked | None:
        """Look, and undo; None where it takes a look of the usual sort.

        Raises:
            psycopg.Error: the log can't be read, or the undo was refused: nothing was changed.
        """
        if not self._undos:
            return None
        more = f"{self._fence.excused(own)}, {self._arguments}"
        found = self._reader.through("at_once", more, self._prepared)
        if found is None:
            return None
        written, rows = found
        *_, busy, undoer, _, _ = rows[-1]
        if undoer:
            self._reader.own(undoer)
        undone = {relation: count for *_, relation, count in rows if relation is not None}
        return Looked(written=written, busy=busy, undoer=undoer or "", undone=undone)

    def learn(self, plan: Plan, written: Written) -> None:
        """The plan was carried out for what was written."""
        simple = {one.oid: one for one in [*plan.empty, *plan.sequences] if one.oid not in self._catalog.guards}
        for node in written.blocks.keys() - self._undos.keys():
            oid = self._bearings.nodes.get(node, 0)
            if oid in simple:
                self._undos[node] = oid
                self._prepared[f"undo_{oid}"] = f"AS {self._statement(simple[oid])}"
            elif oid and self._catalog.relations[oid].kind == "t":
                self._undos[node] = 0
        listed = ",".join(map(str, self._undos)), ",".join(map(str, self._undos.values()))
        self._arguments = ", ".join(f"'{{{numbers}}}'" for numbers in listed)

    def _statement(self, relation: Relation) -> str:
        """It gives the number of rows that it has deleted."""
        if relation.kind == "S":
            last, called = self._catalog.sequences[relation.oid]
            return f"SELECT 0 FROM setval({relation.oid}, {last}, {called})"
        return f"WITH gone AS (DELETE FROM ONLY {relation.name} RETURNING 1) SELECT count(*) FROM gone"


def declare(fence: Fence) -> str:
    """The statement that declares the function for a session."""
    found = FOUND.format(blocks=NEAR, since="since", until="until::pg_lsn", database="base", own="own")
    busy = fence.anybody.format(database="base", own="mine", slots="slots")
    return DECLARE.format(found=found, busy=busy)
