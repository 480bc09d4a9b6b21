"""One value that was found, where it was found, and why it is believed."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class Candidate:
    """A possible value of a key. The higher score is taken."""

    value: str
    file: str
    line: int
    why: str
    score: int
    is_async: bool = False
    library: str = ""
    """Whose it is, where the key's other values depend on that: "Django"."""

    @property
    def place(self) -> str:
        """Where it was found: "app/main.py:12"."""
        return f"{self.file}:{self.line}" if self.line else self.file


@dataclass(frozen=True, slots=True, kw_only=True)
class Note:
    """Something that a user should know or do, with the place that it is about."""

    place: str
    text: str


def ranked(candidates: list[Candidate]) -> tuple[Candidate, ...]:
    """Best first; the first mention of equal values wins, and equal scores keep the order of the files."""
    best: dict[str, Candidate] = {}
    for candidate in candidates:
        if candidate.value not in best or candidate.score > best[candidate.value].score:
            best[candidate.value] = candidate
    return tuple(sorted(best.values(), key=lambda one: (-one.score, one.file.count("/"), one.file, one.line)))
