"""Django's `DATABASES` lead to the resources' copies, and no `test_` database is created beside them."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial
from types import ModuleType
from typing import Any

from seatrial.patches.django.ours import Ours, settings_of
from seatrial.patches.protocol import Patch
from seatrial.patches.replacing import Changes, Replacing


def databases(ours: Ours) -> Patch:
    """A database of the settings that can only be meant for a resource leads to this worker's copy of it.

    One whose settings read the exported variables does already. Of the others, one that bears the name of a
    resource, or "default" where one resource alone is of its vendor and bears no such name, is changed.
    """

    def change(module: ModuleType, changes: Changes) -> None:
        original = module.ConnectionHandler.configure_settings

        def configure_settings(handler: Any, given: Any) -> Any:
            found = original(handler, given)
            for alias, resource in _wanted(found, ours):
                values = settings_of(ours.addresses[resource])
                before = {key: found[alias].get(key) for key in values}
                found[alias].update(values)
                changes.also(partial(found[alias].update, before))
            return found

        changes.replace(module.ConnectionHandler, "configure_settings", configure_settings)

    return Replacing("Django DATABASES: lead to the resources", "django.db.utils", change)


def creation(ours: Ours) -> Patch:
    """Where Django's test runner, or pytest-django, would create a database, the copy is there already.

    Its template was made by `schema`, once: nothing is created, migrated, serialized or destroyed.
    """

    def change(module: ModuleType, changes: Changes) -> None:
        kind = module.BaseDatabaseCreation
        create, destroy = kind.create_test_db, kind.destroy_test_db

        def create_test_db(creation: Any, *args: Any, **options: Any) -> Any:
            settings = creation.connection.settings_dict
            return settings["NAME"] if ours.resource(settings) else create(creation, *args, **options)

        def destroy_test_db(creation: Any, *args: Any, **options: Any) -> None:
            if ours.resource(creation.connection.settings_dict):
                creation.connection.close()
            else:
                destroy(creation, *args, **options)

        changes.replace(kind, "create_test_db", create_test_db)
        changes.replace(kind, "destroy_test_db", destroy_test_db)

    return Replacing(
        "Django test databases: the copies, and none is created", "django.db.backends.base.creation", change
    )


def _wanted(found: dict[str, Any], ours: Ours) -> Iterator[tuple[str, str]]:
    """The databases to be changed, with their resources."""
    taken = {ours.resource(database) for database in found.values()}
    free = {name: address.scheme for name, address in ours.addresses.items() if name not in taken}
    for alias, database in found.items():
        if ours.resource(database) or database["TEST"].get("MIRROR"):
            continue
        vendor = _vendor(database["ENGINE"])
        if free.get(alias) == vendor:
            yield alias, alias
            continue
        left = [name for name, scheme in free.items() if scheme == vendor and name not in found]
        if alias == "default" and len(left) == 1:
            yield alias, left[0]


def _vendor(engine: str) -> str:
    """What a backend connects to, as it says itself: "postgresql", also for PostGIS and for wrappers of either."""
    from django.core.exceptions import ImproperlyConfigured
    from django.db.utils import load_backend

    try:
        return str(load_backend(engine).DatabaseWrapper.vendor)
    except ImproperlyConfigured:
        return ""  # its driver is missing: Django says so when it connects
