"""Look and undo in one round trip: a function of our session does what was done before, by statements prepared then.

After a rollback the same function looks whether it was one, and puts back what no rollback takes back.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from seatrial.resources.kinds.postgres.finding.log import COMMITTED, FOUND_AS_TEXT, NEAR, Written
from seatrial.resources.kinds.postgres.finding.search import MOST_BLOCKS
from seatrial.resources.protocol import NOBODY

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from seatrial.resources.kinds.postgres.finding.catalog import Catalog
    from seatrial.resources.kinds.postgres.finding.log import LogReader
    from seatrial.resources.kinds.postgres.finding.plan import Plan
    from seatrial.resources.kinds.postgres.finding.search import Bearings
    from seatrial.resources.kinds.postgres.reset.fence import Fence
    from seatrial.resources.protocol import Returning

FUNCTION = "pg_temp.seatrial_reset"
DECLARE = f"""CREATE FUNCTION {FUNCTION}(
  since pg_lsn, base oid, own xid[], mine int[], slots name[], rolled bool,
  known int8[], undos int8[], lasts int8[], called bool[]
) RETURNS text LANGUAGE plpgsql AS $$
#variable_conflict use_variable
DECLARE
  until pg_lsn;
  found text;
  touched int8[];
  amount int8;
  busy bool;
  fit bool;
  undoer text;
  undone text;
  place int;
  deleted int8;
BEGIN
  IF pg_current_wal_insert_lsn() <> since THEN
    until := pg_logical_emit_message(false, 'seatrial', '', true);
    SELECT * INTO found, touched, amount FROM ({{found}});
  END IF;
  busy := EXISTS ({{busy}});
  IF rolled THEN
    fit := cardinality(touched) > 0 AND NOT EXISTS ({{committed}});
  ELSE
    fit := touched <@ known AND amount <= {MOST_BLOCKS};
  END IF;
  IF fit AND NOT busy THEN
    undoer := pg_current_xact_id()::xid::text;
    FOR number IN 1 .. cardinality(touched) LOOP
      place := array_position(known, touched[number]);
      CONTINUE WHEN place IS NULL OR undos[place] = 0;
      IF called[place] IS NULL THEN
        EXECUTE 'EXECUTE undo_' || undos[place];
        GET DIAGNOSTICS deleted = ROW_COUNT;
      ELSE
        deleted := 0 * setval(undos[place]::oid, lasts[place], called[place]);
      END IF;
      undone := concat_ws(';', undone, undos[place] || ',' || deleted);
    END LOOP;
  END IF;
  RETURN format('%s|%s|%s|%s|%s|%s', until, busy, clock_timestamp(), undoer, undone, found);
END $$"""
"""What `READ` does, then the fence's question, and then the undo of what was found: if nobody is busy, if all of it is
known, and if it is not so much that a clone undoes it faster.

After a rollback it is enough that nothing was committed, neither in the database nor for the whole server: then only
sequences are not as they were.

Of each filenode that is known there are, in four arrays: the relation, or 0 for what takes no undo; of a sequence, the
state that it goes back to. It returns one text: what costs most in so short a function is what is set up for each
statement and each set of rows.

Each statement sees what was committed before it began. A transaction that is in the log, and that a later statement
can't see yet, is busy: PostgreSQL says that a backend has none only when it is visible to all.
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Looked:
    """What one round trip found, and what it did."""

    written: Written
    busy: bool
    """Whether anybody is in a transaction; nothing was undone then."""
    clock: str = ""
    """When that was seen, by the server's clock; empty where it was not asked."""
    undoer: str = ""
    """The transaction that has undone all of `written`; empty where nothing was undone."""
    undone: Mapping[int, int] = field(default_factory=dict)
    """Relation -> rows deleted."""


@dataclass(frozen=True, slots=True)
class Known:
    """How what was written to one filenode is undone."""

    relation: int
    """0 where that takes nothing."""
    last: int | None = None
    called: bool | None = None
    """Of a sequence; of a table there is a prepared statement."""


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
        self._known: dict[int, Known] = {}
        self._nodes: Mapping[int, int] = {}
        """The bearings' by which `rolled` was prepared."""
        self._prepared = {"glance": self._statement({})}

    def glance(self) -> Looked | None:
        """Look, and undo nothing; else as `look`."""
        return self._ask("glance")

    def look(self, returning: Returning) -> Looked | None:
        """Look, and undo, while others are put back; None where it takes a look of the usual sort.

        Raises:
            psycopg.Error: the log can't be read, or the undo was refused: nothing was changed.
        """
        return self._ask("at_once", returning) if self._known else None

    def rolled(self, returning: Returning) -> Looked | None:
        """The same after a rollback: sequences are put back, if nothing was committed since the last look."""
        if self._nodes != self._bearings.nodes:
            self._nodes, sequences = dict(self._bearings.nodes), self._catalog.sequences
            moved = {node: Known(oid, *sequences[oid]) for node, oid in self._nodes.items() if oid in sequences}
            self._prepared["rolled"] = self._statement(moved, rolled=True)
        return self._ask("rolled", returning)

    def _ask(self, name: str, returning: Returning = NOBODY) -> Looked | None:
        # They are gathered later: who could use one before the answer is there would not be seen at work.
        excused = self._fence.excused(returning.returning())
        found = self._reader.through(name, excused, self._prepared, meanwhile=returning.send)
        if found is None:
            return None
        written, (busy, clock, undoer, undone) = found
        each = [one.split(",") for one in undone.split(";")] if undone else []
        return Looked(
            written=written,
            busy=busy == "t",
            clock=clock,
            undoer=undoer,
            undone={int(relation): int(deleted) for relation, deleted in each},
        )

    def learn(self, plan: Plan, written: Written) -> None:
        """The plan was carried out for what was written."""
        guards, sequences = self._catalog.guards, self._catalog.sequences
        tables = {one.oid: one for one in plan.empty if one.oid not in guards}
        moved = {one.oid for one in plan.sequences if one.oid not in guards}
        before = self._known
        # A filenode that is no more never comes again: a suite that truncates would have one more for each test.
        self._known = {node: one for node, one in before.items() if node in self._bearings.nodes}
        for node in written.blocks.keys() - self._known.keys():
            oid = self._bearings.nodes.get(node, 0)
            if oid in tables:
                self._known[node] = Known(oid)
                # An EXECUTE within PL/pgSQL counts the rows that it returns, not those that it deletes.
                self._prepared[f"undo_{oid}"] = f"AS DELETE FROM ONLY {tables[oid].name} RETURNING 1"
            elif oid in moved:
                self._known[node] = Known(oid, *sequences[oid])
            elif oid and self._catalog.relations[oid].kind in "ti":
                self._known[node] = Known(0)
        if self._known != before:
            self._prepared["at_once"] = self._statement(self._known)

    @staticmethod
    def _statement(nodes: Mapping[int, Known], *, rolled: bool = False) -> str:
        """What is known is a part of it: to send and to parse that for each test costs 0.1 ms, for 200 tables."""
        known = nodes.values()
        after = (
            str(rolled),
            _array(nodes, "int8"),
            _array([one.relation for one in known], "int8"),
            _array([one.last for one in known], "int8"),
            _array([one.called for one in known], "bool"),
        )
        return f"(pg_lsn, oid, xid[], int[], name[]) AS SELECT {FUNCTION}($1, $2, $3, $4, $5, {', '.join(after)})"


def declare(fence: Fence) -> str:
    """The statement that declares the function for a session."""
    found = FOUND_AS_TEXT.format(blocks=NEAR, since="since", until="until", database="base", own="own")
    busy = fence.anybody.format(database="base", own="mine", slots="slots")
    committed = COMMITTED.format(blocks=NEAR, since="since", until="until", databases="0, base")
    return DECLARE.format(found=found, busy=busy, committed=committed)


def _array(values: Iterable[object], of: str) -> str:
    listed = ",".join("NULL" if one is None else str(one) for one in values)
    return f"'{{{listed}}}'::{of}[]"
