"""One clone of a PostgreSQL template, as long as it is one: fenced, looked at, and undone from the log or by a scan."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from seatrial.core.redact import redact
from seatrial.errors import IsolationError, NeedsClone
from seatrial.resources.kinds.postgres.finding import scan
from seatrial.resources.kinds.postgres.finding.log import LogReader, Written, committed
from seatrial.resources.kinds.postgres.finding.meaning import Meaning
from seatrial.resources.kinds.postgres.finding.search import Bearings, Search
from seatrial.resources.kinds.postgres.reset.at_once import AtOnce, Looked, declare
from seatrial.resources.kinds.postgres.reset.dead import DeadRows
from seatrial.resources.kinds.postgres.reset.fence import Fence
from seatrial.resources.kinds.postgres.reset.undo import Undo
from seatrial.resources.protocol import NOBODY, Ended, Undone

if TYPE_CHECKING:
    from collections.abc import Sequence

    from seatrial.resources.kinds.postgres.connection import Link
    from seatrial.resources.kinds.postgres.finding.catalog import Catalog
    from seatrial.resources.kinds.postgres.finding.plan import Plan
    from seatrial.resources.kinds.postgres.reset.source import Source
    from seatrial.resources.kinds.postgres.reset.undo import Done
    from seatrial.resources.kinds.postgres.shared.commits import Ends
    from seatrial.resources.kinds.postgres.shared.state import SharedState
    from seatrial.resources.protocol import Returning


class Clone:
    """A database that is fresh from its template, until another takes its place.

    Args:
        source: where it comes from.
        link: our connection to it.
        catalog: what its template holds.
        oid: the database's.
        start: where the log was when it was made, and nobody had written to it; empty where the log can't be read.
        shared: what the server has besides databases; None where nobody can tell whose changes there are.
    """

    def __init__(
        self, *, source: Source, link: Link, catalog: Catalog, oid: int, start: str, shared: SharedState | None
    ) -> None:
        self.oid = oid
        self.catalog = catalog
        self.pending = Written()
        """What was written to it, and to the whole server, and is not undone yet."""
        self._admin, self._reader, self._link = source.admin, source.reader, link
        self._password = source.address.password
        self._name = source.address.database
        self._shared = shared
        self._looked: Looked | None = None
        """What `undo_at_once` has left to `undo`; it is pending."""
        self._began = ("-infinity", start)
        able = source.abilities
        self._fence = Fence(
            source.admin, oid, patience=source.patience, prepared=able.prepared, sees=able.sees, slots=able.slots
        )
        meaning = Meaning(catalog.of_kind("c"), source.horizon)
        self._bearings = Bearings(nodes=catalog.filenodes())
        self._search = Search(
            link=link,
            catalog=catalog,
            bearings=self._bearings,
            meaning=meaning,
            horizon=source.horizon,
            reference=source.reference,
        )
        self._undo = Undo(link, catalog, source.reference, silent=not able.replica, quiet=able.near)
        self._log: LogReader | None = None
        self._at_once: AtOnce | None = None
        if start:
            near = link if able.near else None
            more = [declare(self._fence)] if able.near and catalog.plpgsql else []
            self._log = LogReader(source.reader, oid, start, near=near, flushes=able.flushes, declare=more)
            if more and not able.replica and not catalog.unlogged():
                self._at_once = AtOnce(self._log, self._fence, catalog, self._bearings)
        else:
            meaning.count(link)
        self._properties = scan.properties(source.admin, oid) if shared is None else ()
        self._dead = DeadRows(catalog)
        self._ended = False
        self._losses = source.admin.losses + source.reader.losses
        self._lost = link.losses

    def changed(self) -> bool:
        """Whether anything was committed to it that is not in its baseline, or may be: somebody may hold a table."""
        if self._log is not None:
            return bool(self.late_writes())
        import psycopg

        try:
            return self._altered() or bool(self._search.by_scan())
        except (NeedsClone, psycopg.errors.LockNotAvailable):
            return True

    def _altered(self) -> bool:
        """Whether the database has other settings, rights or limits, where nobody knows whose these are."""
        unsure = self._log is None or (self._shared is None and self.pending.shared)
        return bool(unsure) and scan.properties(self._admin, self.oid) != self._properties

    def undo(self) -> Undone:
        """Back to the baseline, whoever wrote.

        Raises:
            NeedsClone: the schema changed, or too much was written, or the server refused; `renew` is the way back.
            IsolationError: it changed what belongs to the whole server, and that could not be put back.
            ServerLost: the server is gone.
        """
        try:
            return self._undo_in_place()
        except IsolationError as error:
            self._ended = isinstance(error, NeedsClone)  # and goes on asking for it: the clone may be broken off
            raise
        except BaseException:  # of whatever sort: where a time-out has broken it off, nobody knows how far
            self._ended = True
            raise

    def undo_at_once(self, returning: Returning = NOBODY, *, rolled_back: bool = False) -> Undone | None:
        """Back to the baseline in one round trip, if it takes nothing but what was undone before.

        After a rollback, if nothing was committed since the test began: only sequences are not as they were then.
        """
        import psycopg

        if self._log is None or self._at_once is None or self.pending:
            return None
        if rolled_back and self._began[1] != self._log.position:
            return None  # some of the log was read in the midst of the test
        try:
            looked = (self._at_once.rolled if rolled_back else self._at_once.look)(returning)
        except psycopg.Error:
            return None  # `undo` asks again, and knows what it means
        if looked is None:
            return None
        self._take_in(looked.written, self._log, looked.undoer)
        if (looked.undoer or not (looked.written or looked.busy)) and self._same_server():
            return self._undone_at_once(looked)
        self._looked = looked
        return None

    def late_writes(self) -> tuple[str, ...]:
        """Tables written to since the last `undo`, or what asks it for a clone; empty where the log can't be read.

        What was broken off asks for one, and has no name: no test has written late.
        """
        if self._ended:
            return ("",)
        if self._log is None:
            return ()
        if not self._read_on(self._log):
            return ("the log of before is gone",)
        shared = self._shared.late(self.pending) if self._shared is not None else ()
        return (*self._search.tables(self.pending), *self._search.unlogged(), *shared)

    def ready(self) -> bool:
        """Whether a test may begin, and begins now: one round trip, as nearly every test needs no more."""
        if self._log is None:
            return False
        import psycopg

        try:
            looked = (self._at_once and self._at_once.glance()) or self._glance(self._log)
        except psycopg.Error:
            return False  # `late_writes` asks again, and knows what it means
        self._take_in(looked.written, self._log)
        if looked.busy or self.pending.blocks or not self._same_server() or self._search.unlogged():
            return False
        if self._shared is not None and self.pending.shared and not self._shared.look_again(self.pending):
            return False
        self._began = (looked.clock, self._log.position)
        return True

    def _glance(self, log: LogReader) -> Looked:
        question = f"{self._fence.question([self._link.pid])}; select clock_timestamp()::text"
        written, (busy, clock) = log.read(question, self._fence.prepared)
        return Looked(written=written, busy=bool(busy.rows), clock=clock.rows[0][0])

    def settle(self) -> tuple[Ended, ...]:
        """Give whoever is in a transaction a moment, then end him; what was prepared is rolled back."""
        own = [self._link.pid]
        if not (busy := self._fence.busy(own)):
            return ()
        ended = self._fence.settle(own, busy) if any(row[0] for row in busy) else ()
        self._fence.roll_back(self._fence.busy(own), self._link)
        return ended

    def mark(self) -> None:
        """A test begins now, by the server's clock."""
        self._fence.begin()
        self._began = self._admin.rows("select clock_timestamp()::text, pg_current_wal_insert_lsn()::text")[0]

    def used_since_checkout(self, own: Sequence[int]) -> tuple[Ended, ...]:
        """Connections besides `own` that ran something since `mark`."""
        return self._fence.used([*own, self._link.pid], since=self._began[0])

    def uncommitted_only(self) -> bool:
        """Whether nothing was committed since `mark`; without the log, whether everything is as in the baseline.

        A sequence that was advanced in a transaction which was rolled back does not count; `undo` puts it back.
        """
        if self._log is None:
            return self._scanned_clean()
        if not self._read_on(self._log):
            return True  # whatever was committed is gone with the clone that `undo` asks for
        logged = committed(self._reader, self.oid, self._began[1], self._log.position)
        return not (logged or self._search.unlogged(sequences=False))

    def _scanned_clean(self) -> bool:
        """Whether all is as in the baseline; not while somebody holds a table for himself, for nobody knows that."""
        import psycopg

        try:
            return not self._search.committed()
        except psycopg.errors.LockNotAvailable:
            return False

    def end_idle(self, own: Sequence[int]) -> tuple[Ended, ...]:
        """End all connections to the copy besides `own`, idle ones too: what the option `recycle` asks for."""
        return self._fence.idle([*own, self._link.pid])

    def tidy(self) -> bool:
        """Remove dead rows where there are many, for the harness to call between tests; whether there were any.

        Costs nothing where nothing is due.
        """
        return self._dead.remove(self._link)

    def written(self) -> list[str] | None:
        """The tables that were written to; None where nobody can tell."""
        self.late_writes()
        return self._search.written_tables(self.pending) if self._log is not None else None

    def end(self) -> Written:
        """Another takes its place from here on; returns what is pending. Asked for anything, it asks for that clone."""
        if self._log is not None:
            self._read_on(self._log)  # what was open when it was last read may have ended since
        self._ended = True
        return self.pending

    def _undo_in_place(self) -> Undone:
        import psycopg

        try:
            ended, notes, path = self._look()
            if not self._same_server():
                raise NeedsClone("the server was restarted, or our connection to it was ended")
            if self._altered():
                raise NeedsClone("the settings, rights, limits or subscriptions of the database itself were changed")
            plan = self._search.by_log(self.pending) if path == "log" else self._search.by_scan()
            shared = self._shared
            told = shared.ends(self.pending) if shared is not None else None
            if shared is not None and told is None:  # it stays pending: what the clone can't put back is told
                raise NeedsClone("the server has thrown away the part of its log that tells who changed a role")
            undone = self._carry_out(plan, path, ended, notes)
            if shared is not None and told is not None:
                undone = self._put_back(undone, shared, told)
        except psycopg.Error as error:  # a clone undoes the rest; what is the server's own is pending till it is back
            raise NeedsClone(
                f'the copy "{self._name}" could not be undone in place', cause=redact(str(error), self._password)
            ) from error
        return undone

    def _look(self) -> tuple[tuple[Ended, ...], list[str], str]:
        """Read the log, then make sure that nobody is in a transaction; returns who was ended, notes, and the path.

        In this order: whoever wrote before the end of what was read is either done by the time of the second
        question, or is found busy, and then the log is read once more when he is done.
        """
        own = [self._link.pid]
        if self._log is None:
            return (*self._fence.clear(own, self._link), "scan")
        looked, self._looked = self._looked, None
        if looked is None or looked.busy or not self._search.plain(looked.written):
            found, (busy,) = self._log.read(self._fence.question(own), self._fence.prepared)
            looked = Looked(written=found, busy=bool(busy.rows))
            self._take_in(looked.written, self._log)
        if not looked.busy:
            return (), [], "log"
        ended, notes = self._fence.clear(own, self._link)
        self._read_on(self._log)
        return ended, notes, "log"

    def _read_on(self, log: LogReader) -> bool:
        """Take in what was written since; whether the log of before is still that of this server."""
        import psycopg

        try:
            self._take_in(log.read()[0], log)
        except psycopg.Error:
            # The database is gone, or the server is another since, or others wrote more than it keeps of its log.
            return False
        return self._same_server()

    def _take_in(self, written: Written, log: LogReader, undoer: str = "") -> None:
        """More was read: who wrote it may still be at work, whatever was found before."""
        self.pending.add(written)
        log.taken(written, undoer)
        self._looked = None

    def _same_server(self) -> bool:
        """Whether our connections to the server are those of the last clone: a crash empties unlogged tables."""
        if self._link.losses != self._lost:  # who has ended it, somebody or the server, the others know
            self._lost = self._link.losses
            self._admin.run("select 1")
        return not self._ended and self._admin.there() and self._admin.losses + self._reader.losses == self._losses

    def _carry_out(self, plan: Plan, path: str, ended: tuple[Ended, ...], notes: list[str]) -> Undone:
        if self.pending.blocks.keys() & {1259, 1249}:
            self._dead.stir()
        rows, read = 0, self.pending.told() if path == "log" else "every table and sequence"
        if plan:
            done = self._undo.carry_out(plan)
            rows = done.rows
            self._remember(done)
            if self._at_once is not None:
                self._at_once.learn(plan, self.pending)
            self._search.check_views(plan.views)
            notes += [f"the materialized view {view.label} was refreshed" for view in plan.views]
        self._dead.reached(self._bearings, self.pending.blocks)
        shared = bool(self.pending.shared)  # which stays until it is put back
        self.pending = replace(self.pending, blocks={}) if shared else Written()
        path = path if plan else "nothing"
        return Undone(path=path, tables=plan.tables(), rows=rows, ended=ended, notes=tuple(notes), read=read)

    def _put_back(self, undone: Undone, shared: SharedState, told: Ends) -> Undone:
        try:
            notes = shared.restore(self.pending, told)
        except (IsolationError, NeedsClone):  # it is told, or gone with the database
            self.pending = Written()
            raise
        self.pending = Written()
        path = "log" if notes and undone.path == "nothing" else undone.path
        return replace(undone, path=path, notes=(*undone.notes, *notes))

    def _undone_at_once(self, looked: Looked) -> Undone:
        written, self.pending = self.pending, Written()
        self._dead.add(looked.undone)
        self._dead.reached(self._bearings, written.blocks)
        relations = sorted((self.catalog.relations[oid] for oid in looked.undone), key=lambda one: one.kind == "S")
        return Undone(
            path="log" if relations else "nothing",
            tables=tuple([one.label for one in relations]),
            rows=sum(looked.undone.values()),
            read=written.told(),
        )

    def _remember(self, done: Done) -> None:
        if self._log is not None:
            self._log.own(done.transaction)
        self._dead.add(done.deleted)
        for oid, node in done.filenodes.items():
            self._bearings.nodes = {n: o for n, o in self._bearings.nodes.items() if o != oid} | {node: oid}
