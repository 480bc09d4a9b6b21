"""The roles that migrators and the app connect as: there before they are needed, with the right password."""

from __future__ import annotations

from typing import TYPE_CHECKING

from seatrial.resources.kinds.postgres.connection import identifier, literal
from seatrial.resources.kinds.postgres.roles.passwords import is_password

if TYPE_CHECKING:
    from seatrial.resources.kinds.postgres.connection import Link


def ensure(admin: Link, name: str, password: str, rights: str, *, owned: bool) -> bool:
    """Have the role `name`, able to log in with `password`; returns whether it was made now.

    What is right is left alone: others may use it at this moment.

    Args:
        admin: our connection to the maintenance database.
        name: the role.
        password: its password; empty for none.
        rights: what else it may: "SUPERUSER", or nothing.
        owned: whether the server is ours, and tells us how it keeps passwords.
    """
    import psycopg

    secret = f"{rights} LOGIN PASSWORD {literal(password)}" if password else f"{rights} LOGIN"
    kept = "rolpassword from pg_authid" if owned else "null from pg_roles"
    known = admin.rows(f"select rolcanlogin, {kept} where rolname = {literal(name)}")
    try:
        if not known:
            admin.run(f"CREATE ROLE {identifier(name)} {secret}")
            return True
        if not known[0][0] or not is_password(known[0][1] or "", password):
            admin.run(f"ALTER ROLE {identifier(name)} {secret}")
    except (psycopg.errors.DuplicateObject, psycopg.errors.UniqueViolation, psycopg.errors.InternalError_):
        pass  # another worker was faster, with the same role
    return False
