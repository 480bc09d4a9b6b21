"""One copy of a PostgreSQL template: one address, behind which clone follows clone, and layers are laid."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from seatrial.errors import IsolationError
from seatrial.resources.kinds.postgres.connection import NOTICE, Link, literal
from seatrial.resources.kinds.postgres.finding.catalog import describe
from seatrial.resources.kinds.postgres.finding.log import Written
from seatrial.resources.kinds.postgres.reset.client import PsycopgConnection, plain
from seatrial.resources.kinds.postgres.reset.clone import Clone
from seatrial.resources.kinds.postgres.reset.source import Below
from seatrial.resources.kinds.postgres.shared.state import Ours, SharedState
from seatrial.resources.protocol import NOBODY

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from seatrial.resources.kinds.postgres.finding.catalog import Catalog
    from seatrial.resources.kinds.postgres.reset.source import Source
    from seatrial.resources.protocol import Address, Ended, Returning, Undone

UNDO: Mapping[str, str] = {
    **NOTICE,
    "plan_cache_mode": "force_generic_plan",
    "lock_timeout": "2s",
    "statement_timeout": "60s",
}
"""Our connection to a copy: nothing is planned twice, nothing hangs."""


class PostgresCopy:
    """One copy of a template, for one worker, at one address from first test to last.

    Implements `Copy`, `SupportsReady`, `SupportsReset`, `SupportsUndoAtOnce`, `SupportsFence`, `SupportsTidy`,
    `SupportsRecycle`, `SupportsClone`, `SupportsRollback` and `SupportsLayers`.
    What is asked of the database, and done in it, is its present clone's.
    """

    def __init__(self, source: Source) -> None:
        self._source = source
        self._below: list[Below] = []
        self._catalog: Catalog | None = None
        self._shared: SharedState | None = None
        self._ours = Ours()
        self._clone: Clone | None = None
        # On a server of ours a commit costs no wait for the disk, and an undo then outlasts a crash of a backend.
        base = {**UNDO, "synchronous_commit": "on" if source.endpoint.owned else "off"}
        settings = base if source.abilities.replica else {**base, "session_replication_role": "replica"}
        self._link = Link(source.endpoint, source.address.database, {**settings, **source.admin.quiet()})
        self.renew()

    @property
    def address(self) -> Address:
        """Where the app finds it."""
        return self._source.address

    def connect(self) -> Any:
        """A psycopg connection as the app would have it."""
        return plain(self.address)

    def client(self, *, is_async: bool = False) -> PsycopgConnection:
        """The same, kept open between tests."""
        del is_async  # a plain fixture is of use in async tests, too
        return PsycopgConnection(self.connect)

    def close(self) -> None:
        """Close our connection to it."""
        self._link.close()

    def renew(self) -> None:
        """Replace it by a fresh clone of its template, behind the same address. Whoever is connected is thrown out.

        Where that is broken off, as by a time-out of the test's, it is due again: the old clone has ended, and what was
        pending there still is.
        """
        source, shared = self._source, self._shared
        pending = self._clone.end() if self._clone is not None else Written()
        self._link.close()
        if self._clone is not None and self._is_here(self._clone.oid):
            source.claim()  # a test may have written over the comment by which we know it as ours
        start = source.admin.rows("select pg_current_wal_insert_lsn()::text")[0][0] if not source.abilities.log else ""
        told = shared.ends(pending) if shared is not None else None  # now: a clone may end the log
        oid = source.clone(shared.entangled(pending.shared) if shared is not None else bool(pending.shared))
        self._ours.clones.add(oid)
        try:
            if shared is not None:
                shared.restore_after(pending, told, oid)
        except IsolationError:  # the test is told, and the next one has its clone
            self._clone = self._fresh(oid, start)
            raise
        self._clone = self._fresh(oid, start)

    def push(self) -> None:
        """What is in it now, schema included, is the baseline from here on. Whoever is connected is thrown out."""
        clone = self._now()
        touched = clone.written()
        if self._shared is not None:
            self._shared.remember(clone.pending)
        self._link.close()
        self._below.append(
            Below(source=self._source, catalog=self._catalog, shared=self._shared, pending=clone.pending)
        )
        try:
            self._source, start = self._source.layer(touched)
            self._catalog = self._shared = None
            self._clone = self._fresh(clone.oid, "" if self._source.abilities.log else start)
        except BaseException:  # of whatever sort: a time-out of the test's as well
            self.pop()
            raise

    def pop(self) -> None:
        """The baseline is again what it was before the last `push`. Whoever is connected is thrown out."""
        clone, over = self._now(), self._source
        of_layer, below = clone.end(), self._below.pop()
        below.pending.add(of_layer)
        clone.pending = below.pending
        self._source, self._catalog, self._shared = below.source, below.catalog, below.shared
        try:
            if below.shared is not None:
                below.shared.remember(of_layer)
            if over is not below.source:
                over.discard()  # first: a role that the layer has made can't be dropped while it owns something there
        finally:
            self.renew()

    def part(self) -> None:
        """The database is kept, and another takes its place: what it did to the whole server is put back before.

        Raises:
            IsolationError: that can't be done.
        """
        clone, shared = self._now(), self._shared
        pending = clone.end()
        if shared is not None:
            told, first = shared.ends(pending), next((one.shared for one in self._below if one.shared), shared)
            first.disown(self._link)  # what was there before any layer was laid
            clone.pending = Written()  # it is told, and once
            shared.restore(pending, told, last=True)
        self._link.close()

    def leaves(self) -> bool:
        """It ends here: whether anything that it did to the whole server, or its layers did, is not put back yet."""
        pending = self._now().end()
        return bool(self._below) or (self._shared is not None and bool(self._shared.late(pending)))

    def _is_here(self, oid: int) -> bool:
        """Whether the database that we made is still the one of this name."""
        name = literal(self.address.database)
        return bool(self._source.admin.rows(f"select 1 from pg_database where oid = {oid} and datname = {name}"))

    def _fresh(self, oid: int, start: str) -> Clone:
        """The database is at its baseline, and nobody has written to it since `start` in the log."""
        source = self._source
        if self._catalog is None:
            self._catalog = describe(self._link)
        if self._shared is None and start and source.abilities.homes:
            self._shared = SharedState(source.admin, source.reader, oid, source.remark, self._ours)
        return Clone(source=source, link=self._link, catalog=self._catalog, oid=oid, start=start, shared=self._shared)

    def _now(self) -> Clone:
        assert self._clone is not None, "the first is there since `__init__`"
        return self._clone

    def changed(self) -> bool:
        """Whether anything was committed to it that is not in its baseline."""
        return self._now().changed()

    def undo(self) -> Undone:
        """Back to the baseline, whoever wrote. Raises as `Clone.undo`."""
        return self._now().undo()

    def undo_at_once(self, returning: Returning = NOBODY, *, rolled_back: bool = False) -> Undone | None:
        """Back to the baseline in one round trip, if it takes nothing else, as `Clone.undo_at_once`."""
        return self._now().undo_at_once(returning, rolled_back=rolled_back)

    def late_writes(self) -> tuple[str, ...]:
        """What was written to since the last `undo`, or what asks it for a clone; empty where the log can't be read."""
        return self._now().late_writes()

    def ready(self) -> bool:
        """Whether a test may begin, and begins now: one round trip, as nearly every test needs no more."""
        return self._now().ready()

    def settle(self) -> tuple[Ended, ...]:
        """Give whoever is in a transaction a moment, then end him."""
        return self._now().settle()

    def mark(self) -> None:
        """A test begins now, by the server's clock."""
        self._now().mark()

    def used_since_checkout(self, own: Sequence[int]) -> tuple[Ended, ...]:
        """Connections besides `own` that ran something since `mark`."""
        return self._now().used_since_checkout(own)

    def uncommitted_only(self) -> bool:
        """Whether nothing was committed since `mark`; without the log, whether everything is as in the baseline."""
        return self._now().uncommitted_only()

    def end_idle(self, own: Sequence[int]) -> tuple[Ended, ...]:
        """End all connections to the copy besides `own`, idle ones too: what the option `recycle` asks for."""
        return self._now().end_idle(own)

    def tidy(self) -> bool:
        """Remove dead rows where there are many, for the harness to call between tests; whether there were any."""
        return self._now().tidy()
