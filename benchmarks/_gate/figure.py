"""One point of the gate: what was timed in turn, and the ratio that is its figure."""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class Figure:
    """A ratio of two medians of one run."""

    point: str
    """What must hold."""
    over: str
    under: str
    """What was timed: the figure is the one over the other."""
    times: Mapping[str, list[float]]
    """Milliseconds by what was timed; there may be others besides these two, for comparison."""
    counted: str
    """What was checked while it was timed, with its count."""

    @property
    def ratio(self) -> float:
        """The figure."""
        return self.median(self.over) / self.median(self.under)

    def median(self, name: str) -> float:
        """Milliseconds."""
        return statistics.median(self.times[name])

    def line(self) -> str:
        """A row of the table."""
        medians = "; ".join(f"{name}: {self.median(name):.2f} ms" for name in self.times)
        return f"| {self.point} | {self.ratio:.2f} | {self.over} / {self.under} | {medians} | {self.counted} |"


HEAD = "| what must hold | figure | is the ratio of | medians | seen in the same run |\n|---|---:|---|---|---|"


class Broken(Exception):
    """What must hold did not: there is no figure to tell."""


def timed(act: Callable[[], object]) -> float:
    """Milliseconds that it took."""
    start = time.perf_counter()
    act()
    return (time.perf_counter() - start) * 1e3


def in_turn(rounds: int, rivals: Mapping[str, Callable[[], float]]) -> dict[str, list[float]]:
    """Each rival once a round, so that a slow moment of the machine meets all of them; the first does not count."""
    found: dict[str, list[float]] = {name: [] for name in rivals}
    for number in range(rounds + 1):
        for name, one in rivals.items():
            milliseconds = one()
            if number:
                found[name].append(milliseconds)
    return found
