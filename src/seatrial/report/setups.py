"""Which fixtures take more than their share of a run, and what to do about each."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

SHARE = 0.15
"""Of the time that all tests took: less than that is nobody's concern."""
SECONDS = 1.0
"""A fixture that takes less in the whole run is never named."""


@dataclass(slots=True)
class Setup:
    """One fixture's set-ups, in one worker or (after `load`) in all."""

    scope: str
    times: int = 0
    seconds: float = 0.0
    makes_app: bool = False
    """Whether its value is an application."""
    installed: bool = False
    """Whether it is a plugin's, which its user can't change."""


class Setups:
    """Adds up what fixtures cost by themselves, without those that they ask for.

    Args:
        share, seconds: a fixture that takes both is named.
    """

    def __init__(self, *, share: float = SHARE, seconds: float = SECONDS) -> None:
        self._share = share
        self._seconds = seconds
        self._setups: dict[str, Setup] = {}
        self._total = 0.0

    def add(self, fixture: str, scope: str, seconds: float, *, makes_app: bool, installed: bool = False) -> None:
        """One set-up of a fixture, called "NAME (FILE)"; `installed`: it is no file of the project's."""
        setup = self._setups.setdefault(fixture, Setup(scope, installed=installed))
        setup.times += 1
        setup.seconds += seconds
        setup.makes_app = setup.makes_app or makes_app

    def ran(self, seconds: float) -> None:
        """The tests took this long, their fixtures included."""
        self._total += seconds

    def dump(self) -> dict[str, Any]:
        """Plain values, for the channel between a worker and the controller."""
        setups = {
            name: [each.scope, each.times, each.seconds, each.makes_app, each.installed]
            for name, each in self._setups.items()
        }
        return {"total": self._total, "setups": setups}

    def load(self, dumped: dict[str, Any]) -> None:
        """Take in what a worker dumped."""
        self._total += dumped["total"]
        for name, (scope, times, seconds, makes_app, installed) in dumped["setups"].items():
            setup = self._setups.setdefault(name, Setup(scope, installed=installed))
            setup.times += times
            setup.seconds += seconds
            setup.makes_app = setup.makes_app or makes_app

    def lines(self) -> list[str]:
        """A line for each fixture to look at, the slowest first."""
        slow = [
            (name, setup)
            for name, setup in self._setups.items()
            if _advice(setup) and setup.seconds >= self._seconds and setup.seconds >= self._share * self._total
        ]
        slow.sort(key=lambda each: -each[1].seconds)
        return [
            f"slow set-up: fixture {name}, {setup.times} times, {setup.seconds:.1f} s of {self._total:.1f} s: "
            f"{_advice(setup)}"
            for name, setup in slow
        ]


def _advice(setup: Setup) -> str:
    """What its user can do about it; empty for nothing."""
    if setup.installed:
        return "if it hashes passwords, there is `fast_password_hashing`" if setup.scope == "function" else ""
    if setup.makes_app:
        return (
            "it builds the app; the one that `app` in the configuration names is built once for each worker: "
            "use `client`, or return that one"
        )
    if setup.scope == "function":
        return (
            "it runs for each test; a wider scope runs once, and what it puts into a database may be part of `seed`; "
            "if it hashes passwords, there is `fast_password_hashing`"
        )
    return "what it puts into a database may be part of `schema` or `seed`, which last from one run to the next"
