"""One resource of one worker: this worker's copy, and a lease on it for each test."""

from __future__ import annotations

import secrets
import time
from collections.abc import Mapping, Sequence
from contextlib import suppress

from seatrial import events
from seatrial.errors import IsolationError, SeatrialError, ServerLost
from seatrial.harness.borders.choosing import Choosing
from seatrial.harness.borders.ending import Ending, end_idle
from seatrial.harness.borders.telling import Emitter
from seatrial.harness.borders.wider import Wider
from seatrial.harness.plan import Plan
from seatrial.harness.resource.supply import Supply
from seatrial.isolation import restore
from seatrial.isolation.protocol import Lease, Strategy
from seatrial.resources.protocol import (
    Copy,
    Ended,
    SupportsKeep,
    SupportsTidy,
    Undone,
)
from seatrial.sessions.protocol import Sessions


class Managed:
    """One resource while a run lasts. `prepare` is called once; `begin` and `end` enclose each test's own part."""

    def __init__(self, plan: Plan, emit: events.Emit) -> None:
        self.plan = plan
        self.failure: SeatrialError | None = None
        self._emit = emit
        self._copy: Copy | None = None
        self._strategies: Mapping[str, Strategy] = {}
        self._sessions: Sessions | None = None
        self._ending = Ending(plan.name)
        self._lease: Lease | None = None
        self._log_mark = 0
        self._last_test = ""
        self._emitter = Emitter(plan.name, emit)
        self.supply = Supply(plan, self._emitter, emit, self._lose_copy)
        self._choosing = Choosing(plan.name, plan.chooser, self._emitter)
        self._wider = Wider(self._emitter)
        self._audit = plan.audit() if plan.audit is not None else None
        self._at_work: Sequence[Ended] = ()
        self._held: frozenset[int] = frozenset()
        """Server processes of connections that the test before has not given back to their pools."""

    @property
    def started(self) -> bool:
        """Whether a copy is checked out for this worker."""
        return self._copy is not None

    @property
    def leased(self) -> bool:
        """Whether a test has it now."""
        return self._lease is not None

    @property
    def sessions(self) -> Sessions:
        """The sessions of the running test."""
        assert self._sessions is not None, f"resource {self.plan.name} is not started"
        return self._sessions

    def prepare(self) -> None:
        """Have the template, and this worker's copy of it. Imports the project where the schema needs it."""
        self.supply.prepare()
        self._check_out_copy()

    def begin(self, test: str, isolation: str, reason: str, *, joins: bool = True) -> None:
        """A test gets the copy, at its baseline. `joins`: whether rollback may be chosen for it."""
        self.break_off()  # where the test before never came to its check-in
        if not self.plan.server.alive():
            self._recover()
        self._wider.refuse_lost()
        isolation, reason = self._choosing.choose(
            test, isolation, reason, joinable=self.sessions.joinable, joins=joins, copy=self._copy
        )
        strategy = self._strategies[isolation]
        try:
            self._ending.start_over(self._copy, self.sessions)
            with self._wider.told_once(self.sessions):
                self._lease = strategy.checkout(test, reason)
        except ServerLost:
            self._recover()
            self._wider.refuse_lost()
            self._lease = self._strategies[isolation].checkout(test, reason)
        self._late(self._lease.late)
        self._ending.started()
        self._last_test = test
        self._log_mark = self.plan.server.log_size()
        self.sessions.begin(joined=self._lease.joined)
        self._emit(
            events.CheckedOut(
                resource=self.plan.name, test=test, isolation=self._lease.isolation, reason=self._lease.reason
            )
        )

    def end(self, *, keep: bool = False, failed: bool = False, recover: bool = True) -> list[SeatrialError]:
        """The test gives its copy back; returns what it must be told. The baseline holds afterwards.

        Args:
            keep: set the copy aside as the test left it, and go on with a fresh one.
            failed: whether the test has failed.
            recover: whether a server that has died is started again.
        """
        lease, before = self._lease, time.perf_counter()
        if lease is None:
            return []
        told: list[SeatrialError] = []
        with self._ending.all_or_none(self.sessions):
            self._lease = None
            keep = keep and not self._emitter.not_kept(lease, self.supply.store, failed=failed)
            if self._audit is not None:
                self._at_work = restore.at_work(lease.copy)
            complaints = self._ending.end(self.sessions, told, joined=lease.joined)
            held, self._held = self._held, frozenset(self.plan.held())
            self._emitter.disturbed(lease, held)
            undone = self._check_in(lease, told, keep=keep, recover=recover)
            if undone.path == "clone" or undone.ended:
                self.sessions.gather()
                self.sessions.invalidate()
        milliseconds = (time.perf_counter() - before) * 1000
        undone = self._choosing.learn(lease, undone, told, milliseconds, failed=failed, kept=keep)
        self._emitter.ended(lease.test, undone.ended)
        milliseconds = (time.perf_counter() - before) * 1000
        self._emitter.checked_in(lease, undone, milliseconds, complaints)
        if self._copy is not None:
            told.extend(self._wider.lift_due(self.sessions))
        self._tidy()
        return told

    def break_off(self) -> None:
        """The check-in was broken off before it came to ours: what was written is undone before the next test."""
        if self._lease is not None:
            self._lease = None
            self._ending.give_up(self.sessions)

    def audit(self, test: str) -> list[SeatrialError]:
        """Compare the whole copy with its baseline, where that is asked for; returns what the test must be told."""
        if self._audit is None or self._copy is None or self.failure is not None:
            return []
        before = time.perf_counter()
        try:
            leak = self._audit.check(test, self._at_work)
            if leak is not None:
                restore.renew(self._copy)  # one test fails of it, not all that follow
                self.sessions.invalidate()
                self._audit.accept()
        except ServerLost:
            return []  # nothing is left that could be compared; the next test has a server again
        milliseconds = (time.perf_counter() - before) * 1000
        self._emit(events.Audited(resource=self.plan.name, test=test, equal=leak is None, milliseconds=milliseconds))
        return [] if leak is None else [leak]

    def before_layer(self) -> None:
        """A fixture of wider scope is going to be set up: what a test has written late is no part of its layer."""
        if self._copy is None or self.leased:
            return
        try:
            with self._wider.told_once(self.sessions):
                self._late(restore.late(self._copy))
        except ServerLost:
            self._recover()

    def lay(self, owner: object, name: str) -> bool:
        """The fixture is set up: what it has written is the baseline of the tests inside it. Whether it wrote anything.

        Args:
            owner: the fixture; `lift` is called with the same.
            name: what it is called, for people.
        """
        return self._copy is not None and not self.leased and self._wider.lay(owner, name, self.sessions)

    def written(self) -> tuple[str, ...]:
        """Where something is not as in the baseline, as far as that can be told cheaply."""
        return self._wider.written() if self._copy is not None else ()

    def wrote(self, before: Sequence[str], *, asks: bool) -> bool:
        """Whether a fixture may have written since `written` was `before`; `asks`: whether it uses this resource."""
        joined = self._lease is not None and self._lease.joined
        return self._copy is not None and self._wider.wrote(before, asks=asks, joined=joined)

    def abandon(self, owner: object, name: str) -> None:
        """The fixture's set-up has failed: what it has written by then is gone, if no test has the copy."""
        if self._copy is not None and not self.leased:
            self._wider.abandon(owner, name, self.sessions)

    def lift(self, owner: object, name: str, *, sweep: bool) -> bool:
        """The fixture is torn down: what it has written is gone. Whether that took the connections to the copy.

        Args:
            owner: the fixture.
            name: what it is called, for people.
            sweep: whether its tear-down may have written.

        Raises:
            IsolationError: another fixture's layer lies on it.
        """
        if self.leased or self._copy is None:
            self._wider.lift_later(owner)
            return False
        return self._wider.lift(owner, name, self.sessions, sweep=sweep)

    def why(self) -> str:
        """The running test's isolation and its reason, where we chose it; empty where we did not."""
        return self._choosing.why(self._lease)

    def rerun(self) -> str:
        """How to run the test under `reset`, where we chose something else; empty where we did not."""
        return self._choosing.rerun(self._lease)

    def log_of_test(self) -> str:
        """What the server has logged since the running test began."""
        return self.plan.server.log_tail(self._log_mark)

    def close(self) -> None:
        """Drop this worker's copy and let go of the server."""
        try:
            self._choosing.close()
            if self._sessions is not None:
                self._sessions.close()
            if self._copy is not None:
                self._copy.close()
            if self.supply.serving and (self._copy is not None or self.plan.early):
                self.supply.drop()
        except ServerLost:
            pass  # nothing is left to drop: the next run sweeps
        finally:
            self.supply.let_go()
            self._sessions = None
            self.plan.server.release()

    def _check_out_copy(self) -> None:
        copy = self.supply.checkout()
        try:
            sessions = self._sessions = self._sessions or self.plan.sessions(copy)
        except BaseException:  # as the configuration names no dependency: nobody has it then
            copy.close()
            if not self.plan.early:  # `close` drops that one, and what is called so after the first drop may be another
                self.supply.drop()
            raise
        sessions.invalidate()  # the template's steps may have run in this process, on the app's own engines
        self._copy = copy
        self._strategies = self.plan.strategies(copy, sessions.backends)
        self._wider.start(copy, self._audit)
        self._wider.lift_due(sessions)  # their layers went with the copy before
        if self._audit is not None:
            self._audit.start()
            self._emitter.unseen(self._audit.unseen)

    def _late(self, late: Undone | None) -> None:
        if late is not None:
            self._emitter.late(self._last_test, late)
            if late.path == "clone" or late.ended:
                self.sessions.invalidate()

    def _check_in(self, lease: Lease, told: list[SeatrialError], *, keep: bool, recover: bool) -> Undone:
        try:
            if keep and (undone := self._set_aside(lease, told)) is not None:
                return undone
            return self._strategies[lease.isolation].checkin(lease, self.sessions)
        except ServerLost as error:
            told.append(error)
            try:
                if recover:
                    self._recover()
                else:
                    self.supply.let_go()
                    self.failure = error
            except SeatrialError as worse:
                told.append(worse)
                self.failure = worse
        except IsolationError as error:
            told.append(error)
        return Undone(path="clone", notes=(told[-1].what,))

    def _tidy(self) -> None:
        """What is due between two tests, and counts for neither."""
        if isinstance(self._copy, SupportsTidy):
            self._copy.tidy()
        if self.plan.recycle:
            end_idle(self._copy, self.sessions)

    def _set_aside(self, lease: Lease, told: list[SeatrialError]) -> Undone | None:
        """Keep the copy under a name of its own, for a look at it; None where that failed, which is told."""
        self.sessions.gather()
        store = self.supply.store
        assert isinstance(store, SupportsKeep)
        assert self._copy is not None
        try:
            address = store.keep(self.plan.copy_name, f"{self.plan.name}_kept_{secrets.token_hex(3)}")
        except IsolationError as error:
            told.append(error)
            return None
        if self._wider:
            restore.renew(self._copy)  # with the layers that lie on it
        else:
            self._copy.close()
            self._check_out_copy()
        self._emit(events.Kept(resource=self.plan.name, test=lease.test, url=address.url()))
        return Undone(path="clone", notes=("the test's database was kept",))

    def _recover(self) -> None:
        """The server died: have it run again, and start from a fresh copy at the same address."""
        self.supply.bring_back(self._check_out_copy)

    def _lose_copy(self) -> None:
        copy, self._copy = self._copy, None
        if copy is not None:
            with suppress(SeatrialError):  # its connections died with the server
                copy.close()
