"""A step that is Django's: the migrations of all installed apps, as its own test runner would apply them."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from importlib.util import find_spec
from pathlib import Path
from pkgutil import iter_modules
from typing import Any

from seatrial.core.importing import shortened
from seatrial.errors import ConfigError, SeatrialError, TemplateError
from seatrial.migrators import content
from seatrial.migrators.django.access import access
from seatrial.migrators.django.settings import set_up
from seatrial.migrators.source.modules import Modules
from seatrial.resources.protocol import Address, Target


class DjangoMigrations:
    """Runs `migrate` and `createcachetable` in this process, on the database of `DATABASES` that is the resource's.

    So it goes where the tests go, whether the settings read the exported variables or are led there by our patch;
    a command would migrate what the settings say.

    Args:
        root: the project's root.
    """

    label = "django"

    def __init__(self, *, root: Path) -> None:
        self._root = root

    def hash(self) -> str:
        """A key of Django's version, of what shapes each installed app's tables, and of the code of ours in it."""
        set_up(self._root)
        import django
        from django.apps import apps

        parts = [django.get_version()]
        for config in apps.get_app_configs():
            parts += [config.label, content.of_files(_files(Path(config.path)), Path(config.path))]
        own = Modules(self._root).closure(_modules()).values()
        return content.key(self.label, *parts, content.of_files(own, self._root))

    def migrate(self, target: Target) -> None:
        """Apply them. Raises `TemplateError` with Django's own error."""
        set_up(self._root)
        from django.core.management import call_command

        connection = self._connection(target.address)
        try:
            with access(), _as_owner(connection, target.address):
                call_command("migrate", verbosity=0, interactive=False, database=connection.alias, run_syncdb=True)
                call_command("createcachetable", verbosity=0, database=connection.alias)
        except SeatrialError:
            raise
        except Exception as error:
            raise TemplateError(
                f"Django's migrations failed on the database {connection.alias!r}",
                cause=shortened(error, self._root),
                fix="mend the migration",
            ) from error

    def _connection(self, address: Address) -> Any:
        from django.db import connections

        for alias in connections:
            connection = connections[alias]
            at = connection.settings_dict
            here = str(at["NAME"]) == address.database and str(at["PORT"] or "") == str(address.port or "")
            if here and connection.vendor == address.scheme:
                return connection
        told = ", ".join(f"{alias} ({connections[alias].settings_dict['ENGINE']})" for alias in connections)
        raise ConfigError(
            'schema = "django", and none of Django\'s DATABASES is this resource',
            cause=f"there are: {told}; none is {address.scheme} at its address, nor can only be meant for it",
            fix="let `kind` be what ENGINE says, and the settings read the exported variable (`env` says which), or "
            "call the resource as the alias is",
        )


@contextlib.contextmanager
def _as_owner(connection: Any, address: Address) -> Iterator[None]:
    """The connection of `DATABASES` is that of the schema's owner, whatever `role` the app has."""
    settings = connection.settings_dict
    before = {key: settings[key] for key in ("USER", "PASSWORD")}
    owner = {"USER": address.user, "PASSWORD": address.password}
    if not address.user or owner == before:
        yield
        return
    try:
        _closed(connection).update(owner)
        yield
    finally:
        _closed(connection).update(before)


def _closed(connection: Any) -> Any:
    """Its settings, which hold for what it opens next."""
    connection.close()
    if hasattr(connection, "close_pool"):  # from Django 5.1
        connection.close_pool()
    return connection.settings_dict


def _files(folder: Path) -> list[Path]:
    """What shapes the tables of an app, and the rows that migrations and `post_migrate` make."""
    models = [path for path in (folder / "models.py", folder / "apps.py") if path.is_file()]
    below = [folder / name for name in ("models", "migrations", "fixtures") if (folder / name).is_dir()]
    return models + [path for each in below for path in content.below(each)]


def _modules() -> Iterator[str]:
    """The settings, all migrations, and the models of apps without migrations: what they import, they do."""
    from django.apps import apps
    from django.conf import settings
    from django.db.migrations.loader import MigrationLoader

    yield getattr(settings, "SETTINGS_MODULE", "")
    for config in apps.get_app_configs():
        package, _ = MigrationLoader.migrations_module(config.label)
        found = None
        with contextlib.suppress(ModuleNotFoundError):  # of a package around it: to migrate tells that
            found = find_spec(package) if package else None
        if found is None:
            yield getattr(config.models_module, "__name__", "")
        else:
            yield from (f"{found.name}.{module.name}" for module in iter_modules(found.submodule_search_locations))
