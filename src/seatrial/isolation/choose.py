"""Which isolation a test gets where the configuration says "auto": by what it did last time, and why."""

from __future__ import annotations

from dataclasses import dataclass

from seatrial.isolation.history import History, Seen
from seatrial.resources.protocol import Undone

AUTO = "auto"
DEAR = 5.0
"""Milliseconds of a reset, by a scan or a copy of the whole, from which on a rollback is worth trying."""
SUSPECTED = "it failed in it last time"
"""A guess against rollback, which a failure in another isolation refutes."""
AGAIN = 10
"""A test that was given a clone by choice is looked at again every so many runs: it may need none any more."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Choice:
    """An isolation, and why this one."""

    isolation: str
    reason: str


class Chooser:
    """Chooses for the tests of one resource, and learns from each. A choice never changes the order of tests.

    It can't let anything through to the next test: whatever it chooses, the check-in of that isolation makes
    sure of the baseline.
    """

    def __init__(self, history: History) -> None:
        self._history = history

    def choose(self, test: str, *, joinable: bool) -> Choice:
        """What the test gets.

        Args:
            test: its id.
            joinable: whether its sessions can join one transaction that holds it.
        """
        seen = self._history.of(test)
        if seen is None:
            return Choice(isolation="reset", reason="nothing is known of it yet")
        if seen.path == "clone" and seen.why and seen.clones >= AGAIN:
            return Choice(isolation="reset", reason=f"after {AGAIN} clones this run shows whether it still needs one")
        if seen.path == "clone" and seen.why:
            return Choice(isolation="clone", reason=f"last time {seen.why}")
        dear = seen.path in ("scan", "copy") and seen.milliseconds >= DEAR
        cost = f"last time a reset took {seen.milliseconds:.1f} ms ({seen.path})"
        if not dear and seen.isolation != "rollback":
            return Choice(isolation="reset", reason=cost)
        against = _against_rollback(seen, joinable=joinable)
        if against:
            return Choice(isolation="reset", reason=against)
        return Choice(isolation="rollback", reason=cost if dear else "last time one transaction held it")

    def learn(
        self, test: str, isolation: str, undone: Undone, milliseconds: float, *, failed: bool, past_rollback: str = ""
    ) -> None:
        """What the test did now. One that failed in rollback gets a reset next time: it may have failed of that."""
        before = self._history.of(test)
        if isolation == "rollback" and failed and not past_rollback:
            past_rollback = SUSPECTED
        if not past_rollback and before is not None and isolation != "rollback":
            refuted = failed and before.past_rollback == SUSPECTED
            past_rollback = "" if refuted else before.past_rollback
        again = isolation == "clone" and before is not None and before.path == "clone"
        self._history.note(
            test,
            Seen(
                isolation=isolation,
                path=undone.path,
                milliseconds=round(milliseconds, 3),
                why=before.why if again and before is not None else "; ".join(undone.notes[:1]),
                past_rollback=past_rollback,
                clones=before.clones + 1 if again and before is not None else 0,
            ),
        )

    def save(self) -> None:
        """Keep what was learnt for the next run."""
        self._history.save()


def _against_rollback(seen: Seen, *, joinable: bool) -> str:
    """Why one transaction can't hold the test; empty where it may."""
    if seen.past_rollback:
        return f"rollback can't hold it: {seen.past_rollback}"
    if not joinable:
        return "its sessions can't join one transaction that holds it"
    return ""
