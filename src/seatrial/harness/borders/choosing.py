"""The isolation of one resource's running test, where the configuration says "auto": chosen, told and learnt from."""

from __future__ import annotations

import shlex
from collections.abc import Callable
from dataclasses import replace

from seatrial.errors import PastRollback, SeatrialError, ServerLost
from seatrial.harness.borders.telling import Emitter
from seatrial.isolation.choose import AUTO, Chooser
from seatrial.isolation.protocol import Lease
from seatrial.resources.protocol import Copy, SupportsRollback, Undone

_NOT_JOINABLE = "rollback needs sessions that can join one transaction (SQLAlchemy), and reset is as safe"


class Choosing:
    """What was chosen for the running test. Without "auto" it costs nothing, and no history is read.

    Args:
        resource: its name in the configuration.
        open_chooser: called at the first test whose isolation is "auto".
        emitter: is told of an isolation that a test was to have, and could not.
    """

    def __init__(self, resource: str, open_chooser: Callable[[], Chooser], emitter: Emitter) -> None:
        self._resource = resource
        self._emitter = emitter
        self._told = False
        self._open = open_chooser
        self._chooser: Chooser | None = None
        self._chosen = False

    def choose(
        self, test: str, isolation: str, reason: str, *, joinable: bool, joins: bool, copy: Copy | None
    ) -> tuple[str, str]:
        """The isolation that the test gets, and why; what it was told to have, unless that is "auto".

        Where sessions can't join a `rollback`, it is `reset`; one that the copy itself can't hold,
        or that whoever runs the test does not join (`joins`), is not chosen.
        """
        self._chosen = isolation == AUTO
        if not self._chosen:
            if isolation != "rollback" or joinable:
                return isolation, reason
            if not self._told:
                self._told = True
                self._emitter.note(f"tests that were to run in rollback run in reset: {_NOT_JOINABLE}")
            return "reset", _NOT_JOINABLE
        self._chooser = self._chooser or self._open()
        choice = self._chooser.choose(test, joinable=joinable and joins and isinstance(copy, SupportsRollback))
        return choice.isolation, choice.reason

    def why(self, lease: Lease | None) -> str:
        """The isolation of the running test and its reason, where it was chosen."""
        return f"{self._resource} {lease.isolation}: {lease.reason}" if self._chosen and lease is not None else ""

    def rerun(self, lease: Lease | None) -> str:
        """How to run the test under `reset`, where something else was chosen; empty where not."""
        if not self._chosen or lease is None or lease.isolation == "reset":
            return ""
        return (
            f"{self._resource} ran in {lease.isolation}, which Seatrial chose ({lease.reason}). To see whether the "
            f"test fails because of that:\n"
            f"  pytest {shlex.quote(lease.test)} --seatrial-set {self._resource}.isolation=reset"
        )

    def learn(
        self,
        lease: Lease,
        undone: Undone,
        told: list[SeatrialError],
        milliseconds: float,
        *,
        failed: bool,
        kept: bool,
    ) -> Undone:
        """Take down what the test did. What only the choice is to blame for fails no test: it is taken from `told`.

        How it was undone says nothing of the next run where its database was kept, or its check-in went wrong.
        """
        if not self._chosen or self._chooser is None:
            return undone
        past = [error for error in told if isinstance(error, PastRollback)]
        refused = past[0].what if past and not any(isinstance(error, ServerLost) for error in told) else ""
        if refused:
            undone = replace(undone, notes=(f"rollback was chosen, and could not hold it: {refused}",))
            if not failed:
                told[:] = [error for error in told if error not in past]
        elif told or kept:
            return undone
        seen = replace(undone, path="rollback", notes=()) if refused else undone
        self._chooser.learn(lease.test, lease.isolation, seen, milliseconds, failed=failed, past_rollback=refused)
        return undone

    def close(self) -> None:
        """Keep what was learnt for the next run; where that can't be, this one has lost nothing."""
        if self._chooser is None:
            return
        try:
            self._chooser.save()
        except (OSError, SeatrialError) as error:
            self._emitter.note(f"what `auto` has learnt of the tests could not be kept: {error}")
