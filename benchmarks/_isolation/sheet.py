"""All figures of one run, and the table that they make."""

from __future__ import annotations

import statistics
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from .peer import ISOLATION, RECONNECTED, UNDO, WHOLE

ORDER = (UNDO, ISOLATION, RECONNECTED, WHOLE)
Row = tuple[str, str]
"""The peer, and what is counted."""


@dataclass(slots=True)
class Sheet:
    """Milliseconds by row and column; what was skipped; what each peer does."""

    figures: dict[tuple[Row, str], list[float]] = field(default_factory=dict)
    columns: list[str] = field(default_factory=list)
    names: list[str] = field(default_factory=list)
    does: dict[str, str] = field(default_factory=dict)
    skipped: dict[str, str] = field(default_factory=dict)
    paths: dict[str, dict[str, int]] = field(default_factory=dict)

    def expect(self, columns: Iterable[str]) -> None:
        """These columns come next."""
        self.columns += [column for column in columns if column not in self.columns]

    def know(self, name: str, does: str) -> None:
        """A peer, before its first figure."""
        if name not in self.does:
            self.names.append(name)
            self.does[name] = does

    def add(self, name: str, column: str, tests: Iterable[Mapping[str, float]]) -> None:
        """Milliseconds of tests, by what is counted."""
        for test in tests:
            for counted, value in test.items():
                self.figures.setdefault(((name, counted), column), []).append(value)

    def add_paths(self, name: str, paths: Mapping[str, int]) -> None:
        """How tests of a peer of ours were undone."""
        mine = self.paths.setdefault(name, {})
        for path, count in paths.items():
            mine[path] = mine.get(path, 0) + count

    def median(self, name: str, counted: str, column: str) -> float | None:
        """The median in milliseconds; None where it was not measured."""
        values = self.figures.get(((name, counted), column))
        return statistics.median(values) if values else None

    def p95(self, name: str, counted: str, column: str) -> float:
        """95 of 100 tests took less than this."""
        values = sorted(self.figures[(name, counted), column])
        return values[int(len(values) * 0.95)]

    def rows(self) -> list[Row]:
        """In the order of their peers."""
        known = dict.fromkeys(row for row, _ in self.figures)
        counted = list(dict.fromkeys([*ORDER, *(what for _, what in known)]))
        return [(name, what) for name in self.names for what in counted if (name, what) in known]

    def markdown(self) -> str:
        """The table, and beneath it what the peers do and what was skipped."""
        columns = [column for column in self.columns if any(column == found for _, found in self.figures)]
        lines = [
            f"| | what is counted | {' | '.join(columns)} |",
            f"|---|---|{'---:|' * len(columns)}",
        ]
        before = ""
        for name, counted in self.rows():
            cells = " | ".join(self._cell(name, counted, column) for column in columns)
            lines.append(f"| {'' if name == before else name} | {counted} | {cells} |")
            before = name
        lines += ["", "Milliseconds: median (95th percentile).", ""]
        lines += [f"- {name}: {self.does[name]}{self._undone(name)}" for name in self.names]
        lines += [f"- skipped: {what}: {reason}" for what, reason in self.skipped.items()]
        return "\n".join(lines)

    def table(self) -> dict[str, Any]:
        """The same for machines."""
        figures = [
            {
                "peer": name,
                "counted": counted,
                "column": column,
                "tests": len(values),
                "median": statistics.median(values),
                "p95": self.p95(name, counted, column),
                "fastest tenth": sorted(values)[len(values) // 10],
            }
            for ((name, counted), column), values in self.figures.items()
        ]
        return {"figures": figures, "does": self.does, "skipped": self.skipped, "paths": self.paths}

    def _cell(self, name: str, counted: str, column: str) -> str:
        median = self.median(name, counted, column)
        return "" if median is None else f"{short(median)} ({short(self.p95(name, counted, column))})"

    def _undone(self, name: str) -> str:
        paths = self.paths.get(name)
        return f" (undone by: {', '.join(f'{path} {count}' for path, count in sorted(paths.items()))})" if paths else ""


def short(value: float) -> str:
    """Three digits that count."""
    return f"{value:.{max(0, 2 - (value >= 10) - (value >= 100))}f}"
