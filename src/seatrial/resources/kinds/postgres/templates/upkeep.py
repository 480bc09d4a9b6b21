"""Templates in the course of time: held while in use, removed when nobody needs them or they are in the way."""

from __future__ import annotations

import contextlib
from dataclasses import replace
from typing import TYPE_CHECKING

from seatrial.core import wait
from seatrial.errors import TemplateError
from seatrial.resources.kinds.postgres.connection import identifier
from seatrial.resources.kinds.postgres.naming import lock_number
from seatrial.resources.kinds.postgres.roles import made

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    from seatrial.resources.kinds.postgres.connection import Link
    from seatrial.resources.kinds.postgres.databases import Databases, Found
    from seatrial.resources.kinds.postgres.naming import Marker

MOST = 12
"""Templates that a server keeps; beyond them those go that were not used for longest."""
LAST_USE = 14 * 24 * 3600
"""Seconds after which a template that nobody used is removed."""
NOTED = 3600
"""Seconds that the last use may be off: it is not written down more often."""
BESIDE = ("template", "reference")
"""What is made of a template, and goes with it."""
KEPT = ("kept", "lasting")
"""What outlives its run."""
LEAVING = 2.0
"""Seconds for somebody who has just closed his connection: the server frees its locks when it has noticed."""


class Upkeep:
    """Which templates are in use, and the removal of others. A template that is in use is never touched.

    In use is what any store holds: a shared lock of its connection, gone with it; or has a copy.

    Args:
        admin: our connection to the maintenance database.
        databases: the databases of ours.
        sweep: removes what runs have left that are over.
    """

    def __init__(self, admin: Link, databases: Databases, sweep: Callable[[], None]) -> None:
        self._admin = admin
        self._databases = databases
        self._sweep = sweep
        self._held: set[str] = set()

    def hold(self, key: str) -> None:
        """The template `key`, made already or not, is in use as long as the connection is open."""
        if key not in self._held:
            lock = f"SELECT pg_advisory_lock_shared({_lock(key)})"
            self._admin.run(lock)
            self._admin.lasting.append(lock)
            self._held.add(key)

    def now(self) -> int:
        """The server's clock, in seconds: a test may have stopped ours."""
        return int(self._admin.rows("select extract(epoch from clock_timestamp())::bigint")[0][0])

    def note(self, name: str, marker: Marker) -> None:
        """The template `name` is used now."""
        import psycopg

        now = self.now()
        if now - marker.since > NOTED:
            with contextlib.suppress(psycopg.errors.InternalError_):  # another worker notes the same
                self._databases.mark(name, replace(marker, since=now))

    def clean(self) -> None:
        """Remove the templates that are too many, or were not used for long, and what was left of others."""
        ours = self._databases.ours()
        templates = sorted(_of(ours, "template"), key=lambda one: (one[1].since, one[0].oid), reverse=True)
        left = {marker.key for _, marker in _of(ours, "reference")} - {marker.key for _, marker in templates}
        if not templates and not left:
            return
        now = self.now()
        for rank, (_, marker) in enumerate(templates):
            if (rank >= MOST or now - marker.since > LAST_USE) and self._retire([marker.key], ours):
                self._pass_on(marker.roles)
        for key in left:
            self._retire([key], ours)

    def forget(self, key: str) -> bool:
        """Remove the template `key`, which is in use here no more; False if it is elsewhere, and stays so."""
        if key in self._held:
            self._admin.lasting.remove(f"SELECT pg_advisory_lock_shared({_lock(key)})")
            self._admin.run(f"SELECT pg_advisory_unlock_shared({_lock(key)})")
            self._held.discard(key)
        roles = [marker.roles for _, marker in _of(self._databases.ours(), "template") if marker.key == key]
        if not wait.until(lambda: self._retire([key], self._databases.ours()), timeout=LEAVING, every=0.02):
            return False
        for made_with in roles:
            self._pass_on(made_with)
        return True

    def make_way(self, error: Exception) -> bool:
        """Whether `error` was due to roles of older templates, and these templates and roles are gone now.

        Raises:
            TemplateError: they can't go, because somebody still uses them.
        """
        words = " ".join(_words(error))
        if "already exists" not in words:
            return False
        self._sweep()
        ours = self._databases.ours()
        makers = [marker for _, marker in _of(ours, "template") if marker.roles]
        known = made.names(self._admin, {oid for marker in makers for oid in marker.roles})
        wanted = {oid for oid, name in known.items() if f'role "{name}" already exists' in words}
        if not wanted:
            return False
        roles = {oid for marker in makers if wanted.intersection(marker.roles) for oid in marker.roles}
        keys = {marker.key for marker in makers if wanted.intersection(marker.roles)}
        holders = made.holders(self._admin, roles)
        keys |= {marker.key for one, marker in _of(ours, *BESIDE) if one.oid in holders}
        going = {one.oid for one, marker in _of(ours, *BESIDE) if marker.key in keys}
        staying = holders - going
        if staying or not self._retire(sorted(keys), ours):
            listed = ", ".join(f'"{known[oid]}"' for oid in wanted)
            passing = {one.oid for one, marker in _of(ours) if marker.run} - {one.oid for one, _ in _of(ours, *KEPT)}
            lasting = sorted(self._databases.names(staying - passing))
            users = f"the database {', '.join(lasting)}" if lasting else "another run"
            way = "; ".join(f"DROP DATABASE {identifier(one)}" for one in lasting) or "wait for that run to end"
            raise TemplateError(
                f"the role {listed} that the schema creates is there already",
                cause=f"it belongs to the whole server: an older template made it, and {users} still uses it",
                fix=f"{way}; or create the role only where it is missing",
            ) from error
        made.drop(self._admin, roles)
        return True

    def _pass_on(self, roles: Sequence[int]) -> None:
        """The roles of a template that is gone are the newest one's business; without any they have no use."""
        left = self._databases.of("template")
        if not left:
            made.drop(self._admin, roles)
        elif roles and left[0].marker:
            marker = left[0].marker
            self._databases.mark(left[0].name, replace(marker, roles=(*marker.roles, *roles)))

    def _retire(self, keys: Sequence[str], ours: Sequence[Found]) -> bool:
        """Remove all of these templates, and what was made of them; False, and nothing done, if one is in use."""
        if self._held.intersection(keys) or any(
            marker.key in keys and marker.what not in BESIDE for _, marker in _of(ours)
        ):
            return False
        locked = []
        try:
            for key in keys:
                if not self._admin.rows(f"SELECT pg_try_advisory_lock({_lock(key)})")[0][0]:
                    return False
                locked.append(key)
            for one, marker in _of(ours, *BESIDE):
                if marker.key in keys:
                    self._databases.drop(one.name)
        finally:
            for key in locked:
                self._admin.run(f"SELECT pg_advisory_unlock({_lock(key)})")
        return True


def _of(ours: Iterable[Found], *what: str) -> list[tuple[Found, Marker]]:
    return [(one, one.marker) for one in ours if one.marker and (not what or one.marker.what in what)]


def _lock(key: str) -> int:
    return lock_number("use " + key)


def _words(error: BaseException | None) -> Iterable[str]:
    while error is not None:
        yield str(error)
        error = error.__cause__ or error.__context__
