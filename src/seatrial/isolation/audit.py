"""The audit: after each check-in the whole copy is compared with its baseline, and a difference fails the test."""

from __future__ import annotations

from collections.abc import Sequence

from seatrial.core.redact import redact
from seatrial.errors import IsolationError
from seatrial.resources.protocol import Auditor, Difference, Ended, Reading

SHOWN = 5
"""How many differences, and how many connections, a message names one by one."""


class Audit:
    """What one copy must equal, now and when the layers on it are gone.

    Args:
        resource: its name in the configuration, for the marker in the message.
        auditor: reads the copy.
    """

    def __init__(self, resource: str, auditor: Auditor) -> None:
        self._resource = resource
        self._auditor = auditor
        self._baselines: list[Reading] = []

    @property
    def unseen(self) -> Sequence[str]:
        """What may not be read, and is not compared."""
        return self._baselines[-1].unseen

    def start(self) -> None:
        """The copy is fresh, and has no layer on it: what is in it now is the baseline."""
        self._baselines = [self._auditor.baseline()]

    def push(self) -> None:
        """A layer was laid: what is in the copy now is the baseline."""
        self._baselines.append(self._auditor.baseline())

    def pop(self) -> None:
        """The layer is gone: the baseline is what it was before."""
        self._baselines.pop()

    def accept(self) -> None:
        """A test was told of a difference, and the copy was replaced: what is still there is none of the next one's."""
        self._baselines[-1] = self._auditor.baseline()

    def check(self, test: str, at_work: Sequence[Ended]) -> IsolationError | None:
        """What the test is to be told where the copy is not at its baseline.

        `at_work` are the connections that were used during the test.
        """
        try:
            found = self._auditor.differences(self._baselines[-1])
        except IsolationError as error:
            return error
        return leak(test, self._resource, found, at_work) if found else None


def leak(test: str, resource: str, found: Sequence[Difference], at_work: Sequence[Ended] = ()) -> IsolationError:
    """The error that fails the test which left something behind: table, row and writer, as far as they are known."""
    names = listed([f"{one.kind} {one.name}" for one in found])
    lines = [f"After {test} the database {resource} does not equal its baseline: {names}"]
    lines += map(str, found[:SHOWN])
    if at_work:
        lines.append("connections that were used during the test: " + "; ".join(map(_who, at_work[:SHOWN])))
    return IsolationError(
        "\n".join(lines),
        cause="the test, or something that it started, wrote this, and its isolation did not undo it",
        fix="wait in the test for the threads and tasks that it started; where it left none at work, "
        f'mark it with @pytest.mark.seatrial({resource}="clone"), and report this: an undo must leave nothing',
    )


def listed(names: Sequence[str]) -> str:
    """As many as are shown, and how many more there are."""
    more = f" and {len(names) - SHOWN} more" if len(names) > SHOWN else ""
    return ", ".join(names[:SHOWN]) + more


def _who(one: Ended) -> str:
    name = f" ({one.application})" if one.application else ""
    return f"pid {one.pid}{name}, which last ran: {redact(one.query)[:200]}"
