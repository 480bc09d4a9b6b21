"""The borders of a fixture of wider scope on one resource: its layer, and what it has left besides."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager

from seatrial.errors import IsolationError, ServerLost
from seatrial.harness.borders.telling import Emitter
from seatrial.isolation import restore
from seatrial.isolation.audit import Audit
from seatrial.isolation.layers import Layers
from seatrial.resources.protocol import Copy, SupportsFence, SupportsLayers, SupportsReset
from seatrial.sessions.protocol import Sessions


class Wider:
    """Layers on one resource's copy, and the undo of what is part of none.

    Args:
        emitter: is told whom a fixture has left at work.
    """

    def __init__(self, emitter: Emitter) -> None:
        self._emitter = emitter
        self._copy: Copy | None = None
        self._layers: Layers | None = None
        self._lost: dict[object, str] = {}
        """Fixtures that are still there, though the server has died with what they wrote."""
        self._due: list[object] = []
        """Fixtures that were torn down while a test had the copy: their layers are lifted when it is back."""

    def __bool__(self) -> bool:
        """Whether any layer lies on the copy."""
        return bool(self._layers)

    def start(self, copy: Copy, audit: Audit | None) -> None:
        """A fresh copy is there: the layers on the one before went with it."""
        if self._layers is not None:
            self._lost.update(self._layers.owners())
        self._copy, self._layers = copy, Layers(copy, audit)

    def refuse_lost(self) -> None:
        """Raise `IsolationError` where a fixture that is still there has lost what it wrote."""
        if self._lost:
            raise IsolationError(
                f"the server was restarted, and with it went what {', '.join(self._lost.values())} wrote",
                cause="fixtures of wider scope are set up once, and this test is inside them",
                fix="run the tests again; the server's log tells why it died",
            )

    def lay(self, owner: object, name: str, sessions: Sessions) -> bool:
        """Between two tests: what the fixture wrote is the baseline of the tests inside it. Whether it wrote."""
        assert self._layers is not None, "a fixture is set up after the copy"
        if sessions.settle(owner):
            self._emitter.uncommitted(_fixture(name), awaited=sessions.awaited)
        ended = self._copy.settle() if isinstance(self._copy, SupportsFence) else ()
        self._emitter.ended(_fixture(name), ended, until="its set-up ends")
        with self.told_once(sessions):
            laid = self._layers.lay(owner, name)
        if laid or ended or self._unlayered(name):
            sessions.invalidate()
        if laid:
            self._emitter.unseen(self._layers.unseen)
        return laid

    def written(self) -> tuple[str, ...]:
        """Where something is not as in the baseline, as far as that can be told cheaply."""
        try:
            return self._copy.late_writes() if isinstance(self._copy, SupportsReset) else ()
        except ServerLost:
            return ()

    def wrote(self, before: Sequence[str], *, asks: bool, joined: bool) -> bool:
        """Whether a fixture may have written since `written` was `before`. Where that can't be told, one that asks did.

        Args:
            before: what was written before its set-up.
            asks: whether it uses the resource.
            joined: whether a transaction holds what it wrote, in which nobody else sees it.
        """
        now = self.written()
        if not asks or tuple(now) != tuple(before):
            return tuple(now) != tuple(before)
        return joined or bool(now) or (isinstance(self._copy, SupportsLayers) and self._copy.changed())

    def abandon(self, owner: object, name: str, sessions: Sessions) -> None:
        """Between two tests: the fixture's set-up has failed. What it has written by then is gone."""
        # A layer there may be already: what fails, or is interrupted, can be whatever comes after it.
        self.lift(owner, name, sessions, sweep=True, until="its set-up ends")

    def lift(
        self, owner: object, name: str, sessions: Sessions, *, sweep: bool, until: str = "its tear-down ends"
    ) -> bool:
        """Between two tests: what the fixture has written is gone. Whether that took the connections to the copy.

        Args:
            owner: the fixture.
            name: what it is called, for people.
            sessions: those on the copy.
            sweep: whether it may have written since its layer was laid, as in its tear-down.
            until: when it should have ended what it has left at work.

        Raises:
            IsolationError: another fixture's layer lies on it, or not all that it has changed could be put back.
        """
        assert self._layers is not None, "a fixture is torn down before the copy"
        self._lost.pop(owner, None)
        try:
            sessions.leave(owner)
        except Exception:  # noqa: BLE001 - a connection that broke says so in any driver's words; the layer goes all the same
            sessions.invalidate()
        try:
            if self._layers.lift(owner):
                sessions.invalidate()
                return True
        except IsolationError:
            sessions.invalidate()  # where it was not another layer that was in the way, the copy was replaced
            self._sweep(name, sessions, until=until)
            raise
        return sweep and self._sweep(name, sessions, until=until)

    @contextmanager
    def told_once(self, sessions: Sessions) -> Iterator[None]:
        """Somebody is told what could not be put back: the copy was replaced, and none of the next test's is left."""
        try:
            yield
        except IsolationError:
            sessions.invalidate()
            if self._layers is not None:
                self._layers.accept()
            raise

    def lift_later(self, owner: object) -> None:
        """The fixture is torn down while a test has the copy."""
        self._lost.pop(owner, None)
        if self._layers is not None and owner in self._layers.owners():
            self._due.append(owner)

    def lift_due(self, sessions: Sessions) -> list[IsolationError]:
        """The copy is back: lift what waited for that. Returns what could not be lifted."""
        due, self._due = self._due, []
        told = []
        for owner in due:
            try:
                self.lift(owner, "", sessions, sweep=False)
            except IsolationError as error:
                told.append(error)
        return told

    def _unlayered(self, name: str) -> bool:
        """On a copy that takes no layers, undo what the fixture wrote, and say so: the test before it is not to blame.

        Returns whether connections to the copy have ended.
        """
        if self._copy is None or isinstance(self._copy, SupportsLayers):
            return False
        undone = restore.late(self._copy)
        if undone is None:
            return False
        self._emitter.unlayered(_fixture(name), undone.tables)
        return undone.path == "clone" or bool(undone.ended)

    def _sweep(self, name: str, sessions: Sessions, *, until: str) -> bool:
        """Undo what is part of no layer. Whether connections to the copy have ended."""
        if not isinstance(self._copy, SupportsReset):
            return False
        try:
            with self.told_once(sessions):
                undone = restore.undo(self._copy)
        except ServerLost:
            return False  # whoever needs the server next has it started again, with a fresh copy
        self._emitter.ended(_fixture(name), undone.ended, until=until)
        stale = undone.path == "clone" or bool(undone.ended)
        if stale:
            sessions.invalidate()
        return stale


def _fixture(name: str) -> str:
    return f"the fixture {name}"
