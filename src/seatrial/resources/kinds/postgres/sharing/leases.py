"""What a run has as long as its connection is open, as advisory locks; and what others left when theirs ended."""

from __future__ import annotations

from typing import TYPE_CHECKING

from seatrial.core import wait
from seatrial.resources.kinds.postgres.connection import APPLICATION, literal
from seatrial.resources.kinds.postgres.naming import lock_number

if TYPE_CHECKING:
    from collections.abc import Sequence

    from seatrial.resources.kinds.postgres.connection import Link
    from seatrial.resources.kinds.postgres.databases import Databases, Found

PASSING = ("copy", "building", "spare", "old", "layer")  # databases that end with their run
_MOMENT = 1.0
"""Seconds in which the server learns that a process of this machine was killed."""


class Leases:
    """The leases of one connection.

    Args:
        admin: our connection to the database that has the leases of all.
        databases: the databases of ours.
        owned: whether the server is our own, and of this machine.
    """

    def __init__(self, admin: Link, databases: Databases, *, owned: bool) -> None:
        self._admin = admin
        self._databases = databases
        self._owned = owned

    def take(self, what: str) -> bool:
        """Take one; whether nobody else has it. When the connection is lost it is taken again with the next."""
        lock = _lock(what)
        held = bool(self._admin.rows(lock)[0][0])
        if held:
            self._admin.lasting.append(lock)
        return held

    def give_back(self, what: str) -> None:
        """Give it back."""
        self._admin.lasting.remove(_lock(what))
        self._admin.run(f"SELECT pg_advisory_unlock({_number(what)})")

    def lives(self, run: str) -> bool:
        """Whether this run, another than ours, has its lease."""
        if not self.take(f"run {run}"):
            return True
        self.give_back(f"run {run}")
        return False

    def sweep(self, run: str) -> None:
        """Drop what crashed runs have left, for our own `run`: what bears the mark of one that has its lease no more.

        A run that has lost one connection takes its lease again with the next, and until then its others tell that
        it lives. On a server of our own the connections of a run end with it only.
        """
        alive = {run: True}
        orphans = []
        for one in self._databases.ours():
            if one.marker is None or one.marker.what not in PASSING:
                continue
            other = one.marker.run
            if other not in alive:
                alive[other] = self.lives(other)
            if not alive[other]:
                orphans.append(one)
        held = set() if self._owned or not orphans else self._held(orphans)
        for one in orphans:
            if one.marker and one.marker.run not in held and self.take(one.name):
                self._databases.drop(one.name)
                self.give_back(one.name)

    def _held(self, orphans: Sequence[Found]) -> set[str]:
        """The runs that still have a connection to one of these, after a moment."""
        runs = {one.oid: one.marker.run for one in orphans if one.marker}
        listed = ",".join(map(str, runs))
        asked = (
            f"select distinct datid::bigint from pg_stat_activity where datid = any('{{{listed}}}'::oid[]) "
            f"and application_name = {literal(APPLICATION)}"
        )
        wait.until(lambda: not self._admin.rows(asked), timeout=_MOMENT, every=0.05)
        return {runs[oid] for (oid,) in self._admin.rows(asked)}


def _lock(what: str) -> str:
    return f"SELECT pg_try_advisory_lock({_number(what)})"


def _number(what: str) -> int:
    return lock_number("copy " + what)
