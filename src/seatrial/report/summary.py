"""What a run has to say at its end: servers, templates, and what it took to undo the tests."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from seatrial import events
from seatrial.report.left import left


@dataclass(slots=True)
class Tally:
    """What happened to one resource, in one worker or (after `add`) in all."""

    server: str = ""
    attached: bool = False
    server_seconds: float = 0.0
    template: str = ""
    template_seconds: float = 0.0
    paths: Counter[str] = field(default_factory=Counter)
    """Check-ins by the path that led back to the baseline."""
    milliseconds: list[float] = field(default_factory=list)
    """Of each check-in."""
    audits: list[float] = field(default_factory=list)
    """Milliseconds of each audit."""
    leaks: int = 0
    notes: list[str] = field(default_factory=list)
    kept: list[str] = field(default_factory=list)
    contradictions: dict[str, list[str]] = field(default_factory=dict)
    """What a response contradicted -> the tests in which it did."""
    beyond: dict[str, list[str]] = field(default_factory=dict)
    """Host and port beyond this machine -> the tests that opened a connection."""

    def add(self, other: Tally) -> None:
        """Take in what another worker saw."""
        self.server = self.server or other.server
        self.attached = self.attached or other.attached
        self.server_seconds = max(self.server_seconds, other.server_seconds)
        if "built" in other.template or not self.template:
            self.template, self.template_seconds = other.template, other.template_seconds
        self.paths.update(other.paths)
        self.milliseconds.extend(other.milliseconds)
        self.audits.extend(other.audits)
        self.leaks += other.leaks
        self.notes.extend(other.notes)
        self.kept.extend(other.kept)
        for mine, theirs in ((self.contradictions, other.contradictions), (self.beyond, other.beyond)):
            for text, tests in theirs.items():
                mine.setdefault(text, []).extend(tests)


class Summary:
    """A reporter that counts."""

    def __init__(self) -> None:
        self.tallies: dict[str, Tally] = {}

    def handle(self, event: events.Event) -> None:
        """Count one event."""
        tally = self.tallies.setdefault(event.resource, Tally())
        match event:
            case events.ServerReady():
                tally.server = f"{event.kind} {event.version} ({event.provider})"
                tally.attached = event.attached
                tally.server_seconds = event.seconds
            case events.TemplateReady():
                tally.template = f"template {event.key[:12]} {'built' if event.built else 'found'}"
                tally.template_seconds = event.seconds
            case events.CheckedIn():
                tally.paths[event.path] += 1
                tally.milliseconds.append(event.milliseconds)
                if event.reason and not any(kept.startswith(f"{event.test}: ") for kept in tally.kept):
                    tally.notes.append(f"{event.test}: {event.reason}")
            case events.Audited():
                tally.audits.append(event.milliseconds)
                tally.leaks += not event.equal
            case events.ConnectionEnded() | events.Disturbed() | events.LateWrite():
                tally.notes.append(left(event))
            case events.Note():
                tally.notes.append(event.text)
            case events.Kept():
                tally.kept.append(f"{event.test}: kept at {event.url}")
            case _:
                _count_asked(tally, event)

    def notable(self) -> bool:
        """Whether there is something that should be read even when the run is quiet."""
        return any(tally.notes or tally.kept or tally.beyond or tally.contradictions for tally in self.tallies.values())

    def dump(self) -> dict[str, dict[str, Any]]:
        """Plain values, for the channel between a worker and the controller."""
        return {
            name: {
                "server": tally.server,
                "attached": tally.attached,
                "server_seconds": tally.server_seconds,
                "template": tally.template,
                "template_seconds": tally.template_seconds,
                "paths": dict(tally.paths),
                "milliseconds": tally.milliseconds,
                "audits": tally.audits,
                "leaks": tally.leaks,
                "notes": tally.notes,
                "kept": tally.kept,
                "contradictions": tally.contradictions,
                "beyond": tally.beyond,
            }
            for name, tally in self.tallies.items()
        }

    def load(self, dumped: dict[str, dict[str, Any]]) -> None:
        """Take in what a worker dumped."""
        for name, values in dumped.items():
            self.tallies.setdefault(name, Tally()).add(Tally(**{**values, "paths": Counter(values["paths"])}))

    def lines(self, *, notes: int = 10) -> list[str]:
        """The summary in words; at most `notes` notes a resource."""
        from statistics import median

        lines: list[str] = []
        for name, tally in sorted(self.tallies.items()):
            if tally.server:
                how = "was up" if tally.attached else "started"
                made = f", {tally.template} in {_seconds(tally.template_seconds)}" if tally.template else ""
                lines.append(f"{name}: {tally.server} {how} in {_seconds(tally.server_seconds)}{made}")
            if tally.milliseconds:
                by_path = ", ".join(f"{count} {_PATHS.get(path, path)}" for path, count in tally.paths.most_common())
                lines.append(
                    f"{name}: {len(tally.milliseconds)} tests brought back to the baseline: {by_path}; "
                    f"median {median(tally.milliseconds):.2f} ms, all {sum(tally.milliseconds):.0f} ms"
                )
            if tally.audits:
                found = f"{tally.leaks} left a difference" if tally.leaks else "all of them equal to the baseline"
                lines.append(
                    f"{name}: audited after {len(tally.audits)} tests, {found}; median {median(tally.audits):.0f} ms"
                )
            noted = list(dict.fromkeys(tally.notes))  # what each worker has noted is one
            lines.extend(f"{name}: {note}" for note in noted[:notes])
            if len(noted) > notes:
                lines.append(f"{name}: and {len(noted) - notes} more notes like these")
            lines.extend(f"{name}: {kept}" for kept in tally.kept)
            said = [
                f"{text}, against its OpenAPI description, in {_tests(tests)}"
                for text, tests in tally.contradictions.items()
            ]
            said.extend(
                f"a connection to {where} was opened in {_tests(tests)}" for where, tests in tally.beyond.items()
            )
            lines.extend(f"{name}: {each}" for each in said[:notes])
            if len(said) > notes:
                lines.append(f"{name}: and {len(said) - notes} more like these")
        return lines


_PATHS: Mapping[str, str] = {
    "nothing": "had written nothing",
    "log": "undone from the log",
    "scan": "undone by a scan",
    "copy": "by copying the template over it",
    "clone": "by a fresh clone",
    "rollback": "rolled back",
}


def _count_asked(tally: Tally, event: events.Event) -> None:
    """What a test asked, and got, that somebody should look at."""
    if isinstance(event, events.Contradiction):
        tally.contradictions.setdefault(f"{event.operation} {event.text}", []).append(event.test)
    elif isinstance(event, events.Outbound):
        tally.beyond.setdefault(f"{event.host}:{event.port}", []).append(event.test)


def _tests(tests: Sequence[str]) -> str:
    first, *others = dict.fromkeys(tests)
    return f"{first} and {len(others)} more tests" if others else first


def _seconds(value: float) -> str:
    return f"{value * 1000:.0f} ms" if value < 1 else f"{value:.1f} s"
