"""Which of Django's databases are copies of resources."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from seatrial.core.ports import HERE
from seatrial.resources.protocol import Address


class Ours:
    """The addresses of a run, by resource, as Django's settings write them."""

    def __init__(self, addresses: Mapping[str, Address]) -> None:
        self.addresses = addresses

    def resource(self, database: Mapping[str, Any]) -> str:
        """The resource that one of `DATABASES` leads to; empty if it leads elsewhere."""
        return next((name for name, address in self.addresses.items() if leads_to(database, address)), "")


def leads_to(database: Mapping[str, Any], address: Address) -> bool:
    """Whether one of Django's `DATABASES` is the database at `address`."""
    if str(database.get("NAME", "")) != address.database:
        return False
    if not address.host:
        return not database.get("HOST")
    host, port = str(database.get("HOST") or ""), str(database.get("PORT") or "")
    here = host in HERE and address.host in HERE
    return (here or host == address.host) and port == str(address.port)


def place_of(database: Mapping[str, Any]) -> tuple[str, int, str]:
    """Host, port and database that one of Django's `DATABASES` names; no host and no port for a file."""
    return str(database.get("HOST") or ""), int(database.get("PORT") or 0), str(database.get("NAME") or "")


def settings_of(address: Address) -> dict[str, Any]:
    """What makes one of Django's `DATABASES` lead to `address`."""
    return {
        "NAME": address.database,
        "HOST": address.host,
        "PORT": str(address.port or ""),
        "USER": address.user,
        "PASSWORD": address.password,
    }
