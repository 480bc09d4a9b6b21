"""For each check-in: which path was taken back to the baseline, why, and what it cost."""

from __future__ import annotations

from seatrial import events


class Explain:
    """A reporter that writes one line a check-in."""

    def __init__(self) -> None:
        self.lines: list[str] = []
        self._reasons: dict[tuple[str, str], str] = {}

    def handle(self, event: events.Event) -> None:
        """Write down a check-in, with the reason that was given at its check-out."""
        if isinstance(event, events.CheckedOut):
            self._reasons[event.resource, event.test] = event.reason
        elif isinstance(event, events.CheckedIn):
            asked = self._reasons.pop((event.resource, event.test), "")
            what = f"{event.rows} rows in {', '.join(event.tables)}" if event.tables else "nothing"
            read = f"read: {event.read}, " if event.read else ""
            because = f" because {event.reason}" if event.reason else ""
            self.lines.append(
                f"{event.test}: {event.resource} {event.isolation} ({asked}), {read}undone: {what}, "
                f"path {event.path}{because}, {event.milliseconds:.2f} ms"
            )
