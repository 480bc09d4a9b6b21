"""The complete templates on one PostgreSQL server: which there are, and how one is made."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from seatrial.resources.kinds.postgres.connection import connect
from seatrial.resources.kinds.postgres.extensions import create
from seatrial.resources.kinds.postgres.locale import chosen
from seatrial.resources.kinds.postgres.naming import Marker, reference_name, template_name
from seatrial.resources.kinds.postgres.reset.client import plain
from seatrial.resources.kinds.postgres.roles import made
from seatrial.resources.kinds.postgres.templates import sealing
from seatrial.resources.protocol import Target

if TYPE_CHECKING:
    from collections.abc import Callable

    from seatrial.resources.kinds.postgres.connection import Link
    from seatrial.resources.kinds.postgres.databases import Databases
    from seatrial.resources.kinds.postgres.roles.apps import AppRole
    from seatrial.resources.kinds.postgres.templates.upkeep import Upkeep
    from seatrial.resources.protocol import Address, Endpoint, ServerSpec


class Templates:
    """Those of one sort of resource: with these extensions, this owner, this role.

    Args:
        endpoint: the server.
        spec: what was asked for: extensions that each database gets.
        admin: our connection to the maintenance database.
        databases: the databases of ours.
        upkeep: makes way where roles of older templates are in it.
        owner: the role that migrators run as.
        role: the role that the app connects as.
        rollcall: notes which roles there are.
        run: names this run in the markers of what is half made.
    """

    def __init__(
        self,
        endpoint: Endpoint,
        spec: ServerSpec,
        *,
        admin: Link,
        databases: Databases,
        upkeep: Upkeep,
        owner: Address,
        role: AppRole,
        rollcall: Callable[[], made.Rollcall],
        run: str,
    ) -> None:
        self._endpoint = endpoint
        self._spec = spec
        self._locale = chosen.read(spec.data)
        self._admin = admin
        self._databases = databases
        self._upkeep = upkeep
        self._owner = owner
        self._role = role
        self._rollcall = rollcall
        self._run = run

    def find(self, key: str) -> Marker | None:
        """The marker of the complete template with this key."""
        found = self._databases.find(template_name(key))
        marker = found.marker if found is not None and not found.broken else None
        if marker is None or (marker.what, marker.key) != ("template", key):
            return None
        if marker.fragile and not sealing.intact(self._admin, self._endpoint, template_name(key)):
            return None
        now = int(self._admin.rows("select pg_snapshot_xmax(pg_current_snapshot())::text")[0][0])
        # Transaction ids are compared as 32 bit numbers: a template of an older round is made anew.
        return marker if marker.horizon <= now and marker.horizon >> 32 == now >> 32 else None

    def make(self, key: str, name: str, fill: Callable[[Target], None]) -> bool:
        """Make the template; False if roles of older ones were in the way, and are so no more."""
        for one in (template_name(key), reference_name(key), name):
            self._databases.drop(one)
        oid = self._databases.create(name, Marker(what="building", key=key, run=self._run), locale=self._locale)
        rollcall = self._rollcall()
        roles: tuple[int, ...] = ()
        try:
            try:
                create.create(self._endpoint, name, self._spec.extensions)
                fill(self._target(name))
            finally:
                roles = rollcall.made_in(oid)
            roles += self._role.ensure()
            horizon, fragile = sealing.seal(self._admin, self._endpoint, name)
            self._databases.rename(name, template_name(key))
            marker = Marker(what="template", key=key, horizon=horizon, since=self._upkeep.now(), roles=roles)
            self._databases.mark(template_name(key), replace(marker, fragile=fragile))
        except BaseException as error:
            self._databases.drop(name)
            self._databases.drop(template_name(key))
            made.drop(self._admin, roles)
            if not isinstance(error, Exception) or not self._upkeep.make_way(error):
                raise
            return False
        return True

    def _target(self, name: str) -> Target:
        address = replace(self._owner, database=name)

        def execute(script: str) -> None:
            with connect(self._endpoint, address, application="seatrial: schema") as connection:
                connection.execute(script.encode())

        return Target(address=address, execute=execute, connect=lambda: plain(address))
