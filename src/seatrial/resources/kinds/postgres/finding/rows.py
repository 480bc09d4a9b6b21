"""Which rows of a seeded table are lost, and which are extra: told by place and transaction, never by value.

A copy is a physical copy. A row of the template that nobody touched is at the same place (`ctid`) as in the
template, and its `xmin` is below the horizon that was taken when the template was sealed. Everything newer
was written since, either by somebody (extra) or by us, when we gave a lost row back: that one is known by
its new place *and* the transaction that put it there. So VACUUM may recycle places, and a row may be lost
and given back as often as one likes.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence

    from seatrial.resources.kinds.postgres.connection import Link
    from seatrial.resources.kinds.postgres.finding.catalog import Relation

_LOOK = """
select (array_agg(ctid) filter (where old))::text, (array_agg(ctid) filter (where not old))::text,
  (array_agg(xmin) filter (where not old))::text, count(*) filter (where old)
from (select ctid, xmin, age(xmin) > (select age('{horizon}'::xid)) as old from only {table}{where}) r
"""
"""Ages are compared, not transaction ids: these have no order that SQL knows, and a cast of each row takes long."""
_RANGE = " where ctid >= $1 and ctid < $2"


@dataclass(slots=True)
class Difference:
    """What must be done to a table: rows to delete by place, and rows of the template to give back."""

    extra: list[str] = field(default_factory=list)
    lost: list[str] = field(default_factory=list)

    def __bool__(self) -> bool:
        return bool(self.extra or self.lost)


class Seed:
    """The rows of one seeded table: where in the copy each row of the template is now.

    A *place* is a `ctid` as PostgreSQL writes it, "(17,3)"; a row of the template is named by its place there.

    Args:
        relation: the table.
        horizon: the transaction id that every row of the template is older than.
    """

    def __init__(self, relation: Relation, horizon: int) -> None:
        self.relation = relation
        self.moved: dict[str, tuple[str, str]] = {}
        """Row of the template -> its place in the copy and the transaction that put it there."""
        self._guests: dict[int, dict[str, tuple[str, str]]] = {}
        """Block -> place -> transaction and row of the template: the same, by block."""
        self._expected: dict[int, frozenset[str]] = {}
        self._horizon = horizon
        self._total = -1
        self._blocks: dict[int, int] = {}

    @property
    def prepared(self) -> Mapping[str, str]:
        """The statement that looks at one block of the copy."""
        text = _LOOK.format(horizon=self._horizon, table=self.relation.name, where=_RANGE)
        return {f"look_{self.relation.oid}": f"(tid, tid) as {text}"}

    @property
    def prepared_there(self) -> Mapping[str, str]:
        """The statement that looks at one block of the template: all of its rows are old."""
        text = f"select array_agg(ctid)::text from only {self.relation.name}{_RANGE}"
        return {f"look_{self.relation.oid}": f"(tid, tid) as {text}"}

    def look_at(self, block: int) -> str:
        """Look at one block, of the copy or of the template."""
        return f"EXECUTE look_{self.relation.oid}('({block},0)', '({block + 1},0)')"

    def unknown(self, blocks: Iterable[int]) -> list[int]:
        """The blocks of which we do not know yet what the template has there."""
        return [block for block in blocks if block not in self._expected]

    def learn(self, block: int, row: Sequence[Any]) -> None:
        """What the template has in a block, as `look_at` found it there."""
        self._expected[block] = frozenset(_list(row[0]))

    def compare(self, block: int, row: Sequence[Any]) -> Difference:
        """Compare a block of the copy, as `look_at` found it, with what belongs there."""
        old, new = _list(row[0]), dict(zip(_list(row[1]), _list(row[2]), strict=True))
        guests = self._guests.get(block, {})
        return Difference(
            extra=[place for place, xmin in new.items() if guests.get(place, ("", ""))[0] != xmin],
            lost=[slot for slot in self._expected[block].difference(old) if slot not in self.moved]
            + [slot for place, (xmin, slot) in guests.items() if new.get(place) != xmin],
        )

    def forget(self) -> None:
        """Every row is to be given back: nothing is where it was."""
        self.moved.clear()
        self._guests.clear()

    def place(self, slots: Sequence[str], places: Sequence[str], transaction: str) -> None:
        """These rows of the template were given back: remember where."""
        for slot, new in zip(slots, places, strict=True):
            before = self.moved.pop(slot, None)
            if before is not None:
                guests = self._guests[block_of(before[0])]
                if guests.get(before[0]) == (before[1], slot):
                    del guests[before[0]]
            self.moved[slot] = (new, transaction)
            self._guests.setdefault(block_of(new), {})[new] = (transaction, slot)

    def suspects(self, link: Link, reference: Callable[[], Link]) -> list[int]:
        """The blocks in which something may differ, found by reading the whole table.

        Costs one pass over the table; a second one, and one over the template, where rows are lost.
        """
        statement = _LOOK.format(horizon=self._horizon, table=self.relation.name, where="")
        _, new, xmins, count = link.rows(statement.replace("array_agg(ctid) filter (where old)", "null", 1))[0]
        if self._total < 0:
            self._total = reference().rows(f"select count(*) from only {self.relation.name}")[0][0]
        found = dict(zip(_list(new), _list(xmins), strict=True))
        blocks = {block_of(place) for place, xmin in found.items() if self._guest(place) != xmin}
        blocks.update(block_of(place) for place, xmin in self.moved.values() if found.get(place) != xmin)
        if count != self._total - len(self.moved):
            now = self._counts(link)
            self._blocks = self._blocks or self._counts(reference())
            away: dict[int, int] = {}
            for slot in self.moved:
                away[block_of(slot)] = away.get(block_of(slot), 0) + 1
            blocks.update(b for b, n in self._blocks.items() if now.get(b, 0) != n - away.get(b, 0))
        return sorted(blocks)

    def _guest(self, place: str) -> str:
        return self._guests.get(block_of(place), {}).get(place, ("", ""))[0]

    def _counts(self, link: Link) -> dict[int, int]:
        return dict(
            link.rows(
                f"select (ctid::text::point)[0]::bigint, count(*) from only {self.relation.name} "
                f"where xmin::text::bigint < {self._horizon} group by 1"
            )
        )


def block_of(place: str) -> int:
    """The block of a place: "(17,3)" -> 17."""
    return int(place[1 : place.index(",")])


def _list(array: str | None) -> list[str]:
    """An array of places or transaction ids as PostgreSQL writes it."""
    if array is None:
        return []
    return array[2:-2].split('","') if array.startswith('{"') else array[1:-1].split(",")
