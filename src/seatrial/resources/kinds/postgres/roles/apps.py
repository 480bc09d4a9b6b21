"""The role that the app connects as, where the schema belongs to another."""

from __future__ import annotations

from typing import TYPE_CHECKING

from seatrial.resources.kinds.postgres.connection import literal
from seatrial.resources.kinds.postgres.roles import logins, made

if TYPE_CHECKING:
    from seatrial.resources.kinds.postgres.connection import Link
    from seatrial.resources.protocol import Address


class AppRole:
    """There before a copy is handed out, whether the migrations create it or not.

    Args:
        admin: our connection to the maintenance database.
        name: the role; empty, or the owner's, where there is no other.
        owner: whom the schema belongs to: both have one password.
        owned: whether the server is ours: on any other a role that is there stays as it is.
    """

    def __init__(self, admin: Link, name: str, owner: Address, *, owned: bool) -> None:
        self._admin = admin
        self._name = name if name != owner.user else ""
        self._password = owner.password
        self._owned = owned

    def ensure(self) -> tuple[int, ...]:
        """Have it; its oid, if it was made now."""
        if not self._name:
            return ()
        known = f"select exists(select from pg_roles where rolname = {literal(self._name)})"
        if not self._owned and self._admin.rows(known)[0][0]:
            return ()
        fresh = logins.ensure(self._admin, self._name, self._password, "", owned=self._owned)
        return made.named(self._admin, self._name) if fresh else ()
