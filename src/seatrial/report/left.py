"""What a test has left at work when it was over, in words."""

from __future__ import annotations

from collections.abc import Mapping

from seatrial import events
from seatrial.report.disturbed import describe, on_one_line

Left = events.ConnectionEnded | events.Disturbed | events.LateWrite

_WAIT: Mapping[bool, str] = {
    True: "commit or roll back, and close its session, before",
    False: "join the thread, or await the task, that runs it before",
}
"""How to wait for a connection, by whether it was idle in a transaction."""


def left(event: Left) -> str:
    """One sentence or a few, that begin with the name of the test, or of the fixture."""
    if isinstance(event, events.LateWrite) and not event.test:
        return (
            f"{', '.join(event.tables)} was written to before the first test, by no fixture; undone before the test. "
            "What each test shall find belongs in the seed, or in a fixture of wider scope"
        )
    if isinstance(event, events.LateWrite):
        late = f"{event.test}: wrote to {', '.join(event.tables)} after its end; undone before the next test"
        return f"{late}. To wait for it, {_WAIT[False]} the test ends"
    if isinstance(event, events.Disturbed):
        return f"{event.test}: {describe(event)}"
    who = f"(pid {event.pid}{', ' + event.application if event.application else ''})"
    ran = f" It ran: {on_one_line(event.query)}." if event.query else ""  # MySQL tells it of what runs now only
    return (
        f"{event.test}: left a connection {event.state} {who}; it was ended.{ran} "
        f"To wait for it, {_WAIT[event.state.startswith('idle')]} {event.until}"
    )
