"""Named locks in the server: what machines know of each other, as long as their connections are open."""

from __future__ import annotations

from collections.abc import Sequence

from seatrial.core.folders import digest
from seatrial.resources.kinds.mysql.connection import Link, literal

_AGAIN = 10
"""Seconds to wait for a lock that was ours, when a connection comes back: who sweeps takes each for a moment."""


class Locks:
    """The locks of one connection. One that is taken twice is given back twice."""

    def __init__(self, link: Link) -> None:
        self._link = link

    def take(self, what: str, patience: float = 0) -> bool:
        """Take one; whether we have it, after `patience` seconds at most."""
        taken = bool(self._link.rows(f"SELECT GET_LOCK({_name(what)}, {patience})")[0][0])
        if taken:
            self._link.lasting.append(_again(what))
        return taken

    def give_back(self, what: str) -> None:
        """Give it back."""
        self._link.lasting.remove(_again(what))
        self._link.rows(f"SELECT RELEASE_LOCK({_name(what)})")

    def free(self, whats: Sequence[str]) -> list[bool]:
        """Which of them nobody has."""
        if not whats:
            return []
        return list(
            map(bool, self._link.rows("SELECT " + ", ".join(f"IS_FREE_LOCK({_name(one)})" for one in whats))[0])
        )


def run_lock(run: str) -> str:
    """What a run has as long as its connection is open."""
    return f"run {run}"


def _again(what: str) -> str:
    return f"SELECT GET_LOCK({_name(what)}, {_AGAIN})"


def _name(what: str) -> str:
    return literal(f"seatrial {digest(what, 32)}")
