"""Which tests were disturbed by a connection of an earlier one, told at the test itself."""

from __future__ import annotations

from seatrial import events


class Disturbances:
    """A reporter that remembers who was disturbed, until it is asked."""

    def __init__(self) -> None:
        self._of: dict[str, list[str]] = {}

    def handle(self, event: events.Event) -> None:
        """Remember."""
        if isinstance(event, events.Disturbed):
            self._of.setdefault(event.test, []).append(f"{event.resource}: {describe(event)}")

    def take(self, test: str) -> str:
        """What disturbed this test; empty where nothing did. Forgotten then."""
        return "; ".join(self._of.pop(test, ()))


def describe(event: events.Disturbed) -> str:
    """Who did it, and with what."""
    query = on_one_line(event.query)
    if event.by:
        way = "Join the thread, or await the task, to wait for it there"
        return f"disturbed by what {event.by} has started and not waited for. It ran: {query}. {way}"
    who = f"pid {event.pid}, {event.application}" if event.application else f"pid {event.pid}"
    held = "a connection that an earlier test took from its pool and still holds"
    return f"disturbed by {held} ({who}). It ran: {query}"


def on_one_line(query: str) -> str:
    """A statement, for a line among others."""
    return " ".join(query.split())
