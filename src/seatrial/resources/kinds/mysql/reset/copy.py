"""One copy of a template: written to by anybody, and brought back to what its template holds."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from seatrial.errors import IsolationError, NeedsClone
from seatrial.resources.kinds.mysql import blueprint
from seatrial.resources.kinds.mysql.client import Connection
from seatrial.resources.kinds.mysql.connection import LOCKED, Link
from seatrial.resources.kinds.mysql.reset import fence, undo
from seatrial.resources.kinds.mysql.reset.log import Log, Position, Told
from seatrial.resources.kinds.mysql.reset.undo import Baseline
from seatrial.resources.protocol import Address, Ended, Undone

ANYTHING = "*"
"""In place of a table's name where the whole database was exchanged, or its definitions changed."""
_SHOWN = 3


@dataclass(frozen=True, slots=True, kw_only=True)
class Source:
    """What the store gives a copy."""

    address: Address
    link: Link
    """A connection of ours; the store's, which closes it."""
    log: Log | None
    """None where our user may not read it: each undo then reads every table."""
    unlogged: bool
    """Whether what the link writes is kept out of the log."""
    trims: bool
    """Whether old files of the log are ours to remove."""
    baseline: Baseline
    make: Callable[[Baseline], None]
    """A fresh database in the place of the copy."""
    layer: Callable[[], Baseline]
    """A template of the copy as it is now."""
    discard: Callable[[Baseline], None]
    """Remove such a template."""


class MySQLCopy:
    """A database at one address, from first test to last. It can reset, clone, be fenced and take layers."""

    def __init__(self, source: Source) -> None:
        self.address = source.address
        self._source = source
        self._link = source.link
        self._name = source.address.database
        self._baseline = source.baseline
        self._below: list[Baseline] = []
        self._since = self._now()
        self._doubtful = False
        """Whether nobody knows what it holds: an undo has failed half-way, or was broken off, or a clone was."""

    def client(self, *, is_async: bool = False) -> Connection:
        """A connection of PyMySQL's."""
        del is_async  # asyncmy's belongs to an event loop: AsyncSession has it
        return Connection(self.address)

    def used_since_checkout(self, own: Sequence[int]) -> tuple[Ended, ...]:
        """Always empty: the server does not tell who ran what."""
        del own
        return ()

    def mark(self) -> None:
        """Nothing: what counts is where the log was at the last undo."""

    def settle(self) -> tuple[Ended, ...]:
        """Give whoever is in a transaction a moment, then end him."""
        return fence.settle(self._link, self._name)

    def end_idle(self, own: Sequence[int]) -> tuple[Ended, ...]:
        """End all connections to the copy besides `own`, idle ones too: what the option `recycle` asks for."""
        return fence.end_all(self._link, self._name, own)

    def undo(self) -> Undone:
        """Put back what the log says was written to; where it can't be read, whatever differs in any table.

        The cost grows with what the template has in the tables that were written to.

        Raises:
            NeedsClone: the definitions changed, or somebody holds a lock.
        """
        import pymysql

        ended = self.settle()
        if self._doubtful:
            raise NeedsClone("an earlier undo failed half-way", fix="nothing: the test after it gets a fresh clone")
        self._doubtful = True
        try:
            undone = self._undo(ended)
        except pymysql.MySQLError as error:
            raise NeedsClone(
                f"the server refuses what would bring the copy back: {error.args[-1]}",
                fix="nothing: the test after it gets a fresh clone",
            ) from error
        self._doubtful = False
        return undone

    def late_writes(self) -> tuple[str, ...]:
        """Tables that the log says were written to since; empty where it can't be read."""
        if self._doubtful:
            return ("",)
        if self._source.log is None or self._since is None:
            return ()
        told = self._source.log.read(self._name, self._since)
        return (*sorted(told.tables), *((ANYTHING,) if told.statements else ()))

    def renew(self) -> None:
        """A fresh database by the same name. Every open connection to it is ended."""
        self._doubtful = True
        self._source.make(self._baseline)
        self._since, self._doubtful = self._now(), False

    def changed(self) -> bool:
        """Whether anything was written that is not in its baseline; a number that a rollback has used up counts."""
        if self._source.log is None or self.late_writes():
            return True
        return any(undo.moved(self._link, self._name, self._baseline))

    def push(self) -> None:
        """What is committed in it now is the baseline.

        Raises:
            IsolationError: somebody holds a lock on it, or the server refuses to copy it.
        """
        import pymysql

        self.settle()
        try:
            layer = self._source.layer()
        except pymysql.MySQLError as error:
            locked = error.args[0] == LOCKED
            raise IsolationError(
                f"the data of a wider fixture can't become the baseline: {error.args[-1]}",
                cause="a connection still holds a lock, as after LOCK TABLES"
                if locked
                else "the server refuses to copy the database",
                fix="give it back, or close the connection, at the end of the fixture"
                if locked
                else "mend what the server tells, or have each test make this data",
            ) from error
        undo.restart(self._link, self._name, layer, layer.sequences)  # as the tests after the first will find them
        self._below.append(self._baseline)
        self._baseline = layer
        self._since = self._now()

    def pop(self) -> None:
        """What was there before the last `push` is the baseline again, and in the copy."""
        layer, self._baseline = self._baseline, self._below.pop()
        try:
            self.renew()
        finally:
            self._source.discard(layer)

    def close(self) -> None:
        """Nothing: the connection is the store's."""

    def _undo(self, ended: tuple[Ended, ...]) -> Undone:
        log, plan = self._source.log, self._baseline.plan
        told = log.read(self._name, self._since) if log is not None and self._since is not None else None
        fence.roll_back(self._link, told.prepared if told is not None else ())
        written = told.tables - plan.sequences.keys() if told is not None else frozenset[str]()
        changed = told.changed if told is not None else written
        certain = told is not None and not told.statements and written <= plan.tables.keys()
        if not certain:
            self._compare(told)
            written = frozenset(plan.tables)
            changed = written
        reached = written | plan.with_children(changed)
        self._refuse_history(reached)
        rows = undo.restore(self._link, self._name, self._baseline, reached, certain=certain) if reached else {}
        counted = undo.restore_counters(self._link, self._name, self._baseline)
        self._advance(told)
        quiet = told is None or not (told.tables or told.statements)
        if quiet and not rows and not counted:
            return Undone(path="nothing", ended=ended)
        return Undone(
            path="log" if certain else "scan",
            tables=tuple(sorted({*(written if certain else ()), *rows, *counted})),
            rows=sum(rows.values()),
            ended=ended,
            read=_in_words(told),
        )

    def _compare(self, told: Told | None) -> None:
        """Raise `NeedsClone` where the definitions are not those of the template."""
        now = blueprint.read(self._link, self._name)
        if now != self._baseline.plan:
            what = (
                "; ".join(told.statements[:_SHOWN]) if told is not None and told.statements else "definitions changed"
            )
            raise NeedsClone(f"the test changed the schema: {what}", fix='mark it @pytest.mark.seatrial(NAME="clone")')

    def _refuse_history(self, tables: frozenset[str]) -> None:
        versioned = sorted(name for name in tables if self._baseline.plan.tables[name].versioned)
        if versioned:
            raise NeedsClone(
                f"{', '.join(versioned)} keeps what its rows were before, and would keep the undo as well",
                fix="nothing: the test after it gets a fresh clone",
            )

    def _advance(self, told: Told | None) -> None:
        """From here on the log tells of the next test."""
        if told is None or self._source.log is None:
            return
        before = self._since
        self._since = told.end if self._source.unlogged else self._now()
        if self._source.trims and before is not None and self._since is not None:
            self._source.log.trim(before, self._since)

    def _now(self) -> Position | None:
        return self._source.log.position() if self._source.log is not None else None


def _in_words(told: Told | None) -> str:
    if told is None:
        return "every table, since the binary log can't be read"
    return f"{told.events} events of the binary log: {len(told.tables)} tables"
