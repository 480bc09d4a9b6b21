"""A template: a resource brought to its baseline once, keyed by all that made it."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence

from seatrial.resources.protocol import Migrator, Store, Target

FORMAT = "1"
"""Raised when the way templates are sealed changes: older ones are then not used."""


def key(migrators: Sequence[Migrator], store: Store, resource: str) -> str:
    """Equal keys make equal databases: the steps in order, and what the store's databases are like before them.

    And the resource: what a command or Django does with two databases is up to the project (its routers, say).
    """
    return _digest(store.locale, resource, *(migrator.hash() for migrator in migrators))


def named(name: str, store: Store) -> str:
    """The key of a template that somebody else fills, and gives a name to: one for each name and server version."""
    return _digest(store.locale, "named", name)


def ensure(store: Store, migrators: Sequence[Migrator], name: str, resource: str) -> tuple[str, bool]:
    """Find the template that these steps make, or make it; returns its key, and whether it was made now.

    `name` is the worker's own copy of the resource: steps run at its address. Raises what a failing step raises.
    """

    def fill(target: Target) -> None:
        for migrator in migrators:
            migrator.migrate(target)

    found = key(migrators, store, resource)
    if store.find(found):
        return found, False
    return found, store.build(found, name, fill)


def _digest(*parts: str) -> str:
    digest = hashlib.sha256()
    for part in (FORMAT, *parts):
        digest.update(part.encode())
        digest.update(b"\0")
    return digest.hexdigest()
