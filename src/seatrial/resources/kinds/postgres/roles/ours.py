"""What of ours must be on a server before anything else: the owner of copies, a database of our own."""

from __future__ import annotations

import contextlib

from seatrial.errors import Refused
from seatrial.resources.kinds.postgres.connection import Link, identifier
from seatrial.resources.kinds.postgres.databases import Databases
from seatrial.resources.kinds.postgres.naming import Marker
from seatrial.resources.kinds.postgres.roles import logins
from seatrial.resources.protocol import Address, Endpoint

DATABASE = "seatrial"
"""The database of ours on a server that we did not start: only there may an extension be created for us."""


def database(endpoint: Endpoint) -> str:
    """Where our own connections are, and with them all locks: those of PostgreSQL belong to one database."""
    return endpoint.admin.database if endpoint.owned else DATABASE


def prepare(admin: Link, endpoint: Endpoint, owner: Address) -> None:
    """Have them, before `admin` is used: it may be in the database that is made here.

    Raises:
        Refused: our role may not create databases, or a database of that name is somebody's.
    """
    if endpoint.owned:
        logins.ensure(admin, owner.user, owner.password, "SUPERUSER", owned=True)
        return
    door = Link(endpoint, endpoint.admin.database)
    try:
        _beside(door, endpoint)
    finally:
        door.close()


def _beside(admin: Link, endpoint: Endpoint) -> None:
    """Have our own database on somebody else's server."""
    import psycopg

    if not admin.rows("select rolcreatedb or rolsuper from pg_roles where rolname = current_user")[0][0]:
        us = endpoint.admin
        raise Refused(
            f'the role "{us.user}" may not create databases at {us.host}:{us.port}',
            cause="copies are created beside the database of `url`, which itself is never written to",
            fix=f"ALTER ROLE {identifier(us.user)} CREATEDB;",
        )
    databases = Databases(admin, endpoint, "")
    found = databases.find(DATABASE)
    if found is not None:
        databases.refuse_strangers(found)
        return
    with contextlib.suppress(psycopg.errors.DuplicateDatabase):  # another worker was faster
        databases.create(DATABASE, Marker(what="admin"))
