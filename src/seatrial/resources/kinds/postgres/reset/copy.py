"""One copy of a PostgreSQL template: fenced, undone from the log or by a scan, or replaced by a fresh clone."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

from seatrial.core.redact import redact
from seatrial.errors import NeedsClone
from seatrial.resources.kinds.postgres.connection import NOTICE, Link, literal
from seatrial.resources.kinds.postgres.finding import scan
from seatrial.resources.kinds.postgres.finding.catalog import describe
from seatrial.resources.kinds.postgres.finding.log import LogReader, Written, committed
from seatrial.resources.kinds.postgres.finding.meaning import Meaning
from seatrial.resources.kinds.postgres.finding.search import Bearings, Search
from seatrial.resources.kinds.postgres.reset.at_once import AtOnce, Looked, declare
from seatrial.resources.kinds.postgres.reset.client import PsycopgConnection, plain
from seatrial.resources.kinds.postgres.reset.dead import DeadRows
from seatrial.resources.kinds.postgres.reset.fence import Fence
from seatrial.resources.kinds.postgres.reset.shared import SharedState
from seatrial.resources.kinds.postgres.reset.source import Below
from seatrial.resources.kinds.postgres.reset.undo import Undo
from seatrial.resources.protocol import NOBODY, Ended, Undone

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from seatrial.resources.kinds.postgres.finding.catalog import Catalog
    from seatrial.resources.kinds.postgres.finding.plan import Plan
    from seatrial.resources.kinds.postgres.reset.source import Source
    from seatrial.resources.kinds.postgres.reset.undo import Done
    from seatrial.resources.protocol import Address, Returning

UNDO: Mapping[str, str] = {
    **NOTICE,
    "plan_cache_mode": "force_generic_plan",
    "lock_timeout": "2s",
    "statement_timeout": "60s",
}
"""Our connection to a copy: nothing is planned twice, nothing hangs."""


class PostgresCopy:
    """One copy of a template, for one worker, at one address from first test to last.

    Implements `Copy`, `SupportsReady`, `SupportsReset`, `SupportsClone`, `SupportsRollback` and `SupportsLayers`.
    """

    def __init__(self, source: Source) -> None:
        self._source = source
        self._below: list[Below] = []
        self._catalog: Catalog | None = None
        self._oid = 0
        self._began = ("-infinity", "")
        self._pending = Written()
        self._looked: Looked | None = None
        """What `undo_at_once` has left to `undo`; it is pending."""
        self._shared: SharedState | None = None
        self._writers: set[int] = set()  # transactions of its that `SharedState` knows, of all layers and all clones
        # On a server of ours a commit costs no wait for the disk, and an undo then outlasts a crash of a backend.
        base = {**UNDO, "synchronous_commit": "on" if source.endpoint.owned else "off"}
        settings = base if source.abilities.replica else {**base, "session_replication_role": "replica"}
        self._link = Link(source.endpoint, source.address.database, {**settings, **source.admin.quiet()})
        self.renew()

    @property
    def address(self) -> Address:
        """Where the app finds it."""
        return self._source.address

    @property
    def cached_sequences(self) -> tuple[str, ...]:
        """Sequences with CACHE above 1: a pooled connection hands out the numbers that it took in an earlier test."""
        return self._known().cached_sequences

    def connect(self) -> Any:
        """A psycopg connection as the app would have it."""
        return plain(self.address)

    def client(self, *, is_async: bool = False) -> PsycopgConnection:
        """The same, kept open between tests."""
        del is_async  # a plain fixture is of use in async tests, too
        return PsycopgConnection(self.connect)

    def renew(self) -> None:
        """Replace it by a fresh clone of its template, behind the same address. Whoever is connected is thrown out."""
        source = self._source
        if self._oid and self._log is not None:
            self._read_on(self._log)  # what was open when it was last read may have ended since
        self._link.close()
        if self._oid and self._is_here():
            source.admin.run(source.remark)  # a test may have written over the comment by which we know it as ours
        start = source.admin.rows("select pg_current_wal_insert_lsn()::text")[0][0] if not source.abilities.log else ""
        before, shared, old = self._pending, self._shared, self._oid
        told = shared.ends(before, replaced=old) if shared is not None else None  # now: a clone may end the log
        self._oid = source.clone(shared.entangled(before.shared) if shared is not None else bool(before.shared))
        try:
            if shared is not None:
                # The old database is gone, and with it whatever kept a role from being dropped.
                shared.restore(before, told, replaced=old)
        finally:
            self._take_bearings(start)

    def _is_here(self) -> bool:
        """Whether the database that we made is still the one of this name."""
        name = literal(self.address.database)
        return bool(self._source.admin.rows(f"select 1 from pg_database where oid = {self._oid} and datname = {name}"))

    def changed(self) -> bool:
        """Whether anything was committed to it that is not in its baseline."""
        if self._log is not None:
            return bool(self.late_writes())
        try:
            return self._altered() or bool(self._search.by_scan())
        except NeedsClone:
            return True

    def _altered(self) -> bool:
        """Whether the database has other settings, rights or limits, where nobody knows whose these are."""
        unsure = self._log is None or (self._shared is None and self._pending.shared)
        return bool(unsure) and scan.properties(self._source.admin, self._oid) != self._properties

    def push(self) -> None:
        """What is in it now, schema included, is the baseline from here on. Whoever is connected is thrown out."""
        self.late_writes()
        touched = self._search.written_tables(self._pending) if self._log is not None else None
        self._link.close()
        self._below.append(
            Below(source=self._source, catalog=self._catalog, shared=self._shared, pending=self._pending)
        )
        try:
            self._source, start = self._source.layer(touched)
            self._catalog = None
            self._take_bearings("" if self._source.abilities.log else start)
        except BaseException:  # of whatever sort: a time-out of the test's as well
            self._go_below()
            raise

    def pop(self) -> None:
        """The baseline is again what it was before the last `push`. Whoever is connected is thrown out."""
        try:
            self.late_writes()
            self._below[-1].pending.add(self._pending)
        finally:
            self._go_below()

    def _go_below(self) -> None:
        over, below = self._source, self._below.pop()
        self._source, self._catalog, self._shared = below.source, below.catalog, below.shared
        self._pending = below.pending
        try:
            if over is not below.source:
                over.discard()  # first: a role that the layer has made can't be dropped while it owns something there
        finally:
            self.renew()

    def _take_bearings(self, start: str) -> None:
        """The database is at its baseline, and nobody has written to it since `start` in the log."""
        source = self._source
        catalog = self._catalog = self._catalog or describe(self._link)
        able = source.abilities
        self._fence = Fence(
            source.admin, self._oid, patience=source.patience, prepared=able.prepared, sees=able.sees, slots=able.slots
        )
        self._meaning = Meaning(catalog.of_kind("c"), source.horizon)
        self._bearings = Bearings(nodes=catalog.filenodes())
        self._search = Search(
            link=self._link,
            catalog=catalog,
            bearings=self._bearings,
            meaning=self._meaning,
            horizon=source.horizon,
            reference=source.reference,
        )
        self._undo = Undo(self._link, catalog, source.reference, silent=not able.replica, quiet=able.near)
        self._log, self._at_once = None, None
        if start:
            near = self._link if able.near else None
            more = [declare(self._fence)] if able.near and catalog.plpgsql else []
            self._log = LogReader(source.reader, self._oid, start, near=near, flushes=able.flushes, declare=more)
            if more and not able.replica and not catalog.unlogged():
                self._at_once = AtOnce(self._log, self._fence, catalog, self._bearings)
        if self._log is None:
            self._meaning.count(self._link)
        if self._log is not None and able.homes:
            self._shared = SharedState(source.admin, source.reader, self._oid, source.remark, self._writers)
        else:
            self._properties = scan.properties(source.admin, self._oid)
        self._pending, self._looked = Written(), None
        self._dead = DeadRows()
        self._losses = source.admin.losses + source.reader.losses
        self._lost = self._link.losses

    def undo(self) -> Undone:
        """Back to the baseline, whoever wrote.

        Raises:
            NeedsClone: the schema changed, or too much was written, or the server refused; `renew` is the way back.
            IsolationError: it changed what belongs to the whole server, and that could not be put back.
            ServerLost: the server is gone.
        """
        import psycopg

        written = Written()
        try:
            ended, notes, path = self._look()
            if not self._same_server():
                raise NeedsClone("the server was restarted, or our connection to it was ended")
            if self._altered():
                raise NeedsClone("the settings, rights, limits or subscriptions of the database itself were changed")
            plan = self._search.by_log(self._pending) if path == "log" else self._search.by_scan()
            written, shared = self._pending, self._shared
            told = shared.ends(written) if shared is not None else None
            if shared is not None and told is None:  # it stays pending: what the clone can't put back is told
                raise NeedsClone("the server has thrown away the part of its log that tells who changed a role")
            undone = self._carry_out(plan, path, ended, notes)
            if shared is not None:
                undone = replace(undone, notes=(*undone.notes, *shared.restore(written, told)))
        except psycopg.Error as error:
            self._pending.add(replace(written, blocks={}))  # a clone undoes the rest, and not the server's own state
            raise NeedsClone(
                f'the copy "{self.address.database}" could not be undone in place',
                cause=redact(str(error), self.address.password),
            ) from error
        return undone

    def undo_at_once(self, returning: Returning = NOBODY) -> Undone | None:
        """Back to the baseline in one round trip, if it takes nothing but what was undone before."""
        import psycopg

        if self._log is None or self._at_once is None or self._pending:
            return None
        try:
            looked = self._at_once.look(returning)
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
        """Tables written to since the last `undo`, or what asks it for a clone; empty where the log can't be read."""
        if self._log is None:
            return ()
        if not self._read_on(self._log):
            return ("the log of before is gone",)
        return (*self._search.tables(self._pending), *self._search.unlogged())

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
        if looked.busy or self._pending.blocks or not self._same_server() or self._search.unlogged():
            return False
        self._began = (looked.clock, self._log.position)
        if self._shared is not None and self._pending.shared:
            self._shared.look_again(self._pending)
        return True

    def _glance(self, log: LogReader) -> Looked:
        question = f"{self._fence.question([self._link.pid])}; select clock_timestamp()::text"
        written, (busy, clock) = log.read(question, self._fence.prepared)
        return Looked(written=written, busy=bool(busy.rows), clock=clock.rows[0][0])

    def settle(self) -> tuple[Ended, ...]:
        """Give whoever is in a transaction a moment, then end him."""
        busy = self._fence.busy(own := [self._link.pid])
        return self._fence.settle(own, busy) if any(row[0] for row in busy) else ()

    def mark(self) -> None:
        """A test begins now, by the server's clock."""
        self._fence.begin()
        self._began = self._source.admin.rows("select clock_timestamp()::text, pg_current_wal_insert_lsn()::text")[0]

    def used_since_checkout(self, own: Sequence[int]) -> tuple[Ended, ...]:
        """Connections besides `own` that ran something since `mark`."""
        return self._fence.used([*own, self._link.pid], since=self._began[0])

    def uncommitted_only(self) -> bool:
        """Whether nothing was committed since `mark`; without the log, whether everything is as in the baseline.

        A sequence that was advanced in a transaction which was rolled back does not count; `undo` puts it back.
        """
        if self._log is None:
            return not self._search.committed()
        if not self._read_on(self._log):
            return True  # whatever was committed is gone with the clone that `undo` asks for
        logged = committed(self._source.reader, self._oid, self._began[1], self._log.position)
        return not (logged or self._search.unlogged(sequences=False))

    def end_idle(self, own: Sequence[int]) -> tuple[Ended, ...]:
        """End all connections to the copy besides `own`, idle ones too: what the option `recycle` asks for."""
        return self._fence.idle([*own, self._link.pid])

    def tidy(self) -> bool:
        """Remove dead rows where there are many, for the harness to call between tests; whether there were any.

        Costs nothing where nothing is due.
        """
        due = self._dead.take_due(self._known())
        if due:
            self._link.run(f"VACUUM (SKIP_LOCKED) {', '.join(due)}")
        return bool(due)

    def close(self) -> None:
        """Close our connection to it."""
        self._link.close()

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
        self._pending.add(written)
        log.taken(written, undoer)
        self._looked = None

    def _same_server(self) -> bool:
        """Whether our connections to the server are those of the last clone: a crash empties unlogged tables."""
        if self._link.losses != self._lost:  # who has ended it, somebody or the server, the others know
            self._lost = self._link.losses
            self._source.admin.run("select 1")
        return self._source.admin.there() and self._source.admin.losses + self._source.reader.losses == self._losses

    def _carry_out(self, plan: Plan, path: str, ended: tuple[Ended, ...], notes: list[str]) -> Undone:
        if self._pending.blocks.keys() & {1259, 1249}:
            self._dead.stir()
        rows, read = 0, self._pending.told() if path == "log" else "every table and sequence"
        if plan:
            done = self._undo.carry_out(plan)
            rows = done.rows
            self._remember(done)
            if self._at_once is not None:
                self._at_once.learn(plan, self._pending)
            self._search.check_views(plan.views)
            notes += [f"the materialized view {view.label} was refreshed" for view in plan.views]
        self._pending = Written()
        path = path if plan else "nothing"
        return Undone(path=path, tables=plan.tables(), rows=rows, ended=ended, notes=tuple(notes), read=read)

    def _undone_at_once(self, looked: Looked) -> Undone:
        written, self._pending = self._pending, Written()
        self._dead.add(looked.undone)
        relations = sorted((self._known().relations[oid] for oid in looked.undone), key=lambda one: one.kind == "S")
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

    def _known(self) -> Catalog:
        assert self._catalog is not None, "`renew` has described it"
        return self._catalog
