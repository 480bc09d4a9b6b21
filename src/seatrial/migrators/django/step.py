"""A step that is Django's: the migrations of all installed apps, as its own test runner would apply them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from seatrial.core.importing import shortened
from seatrial.errors import ConfigError, SeatrialError, TemplateError
from seatrial.migrators import content
from seatrial.migrators.django.access import access
from seatrial.migrators.django.settings import set_up
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
        """A key of Django's version, and of the migrations and models of each installed app."""
        set_up(self._root)
        import django
        from django.apps import apps

        parts = [django.get_version()]
        for config in apps.get_app_configs():
            parts += [config.label, content.of_files(_files(Path(config.path)), Path(config.path))]
        return content.key(self.label, *parts)

    def migrate(self, target: Target) -> None:
        """Apply them. Raises `TemplateError` with Django's own error."""
        set_up(self._root)
        from django.core.management import call_command

        connection = self._connection(target.address)
        try:
            with access():
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
            if str(at["NAME"]) == address.database and str(at["PORT"] or "") == str(address.port or ""):
                return connection
        told = ", ".join(f"{alias} ({connections[alias].settings_dict['ENGINE']})" for alias in connections)
        raise ConfigError(
            'schema = "django", and none of Django\'s DATABASES is this resource',
            cause=f"there are: {told}; none has its address, nor can one of them only be meant for it",
            fix="let the settings read the exported variable (`env` says which), or call the resource as the alias is",
        )


def _files(folder: Path) -> list[Path]:
    """What shapes the tables of an app, and the rows that migrations and `post_migrate` make."""
    models = [path for path in (folder / "models.py", folder / "apps.py") if path.is_file()]
    folders = [content.below(folder / name) for name in ("models", "migrations") if (folder / name).is_dir()]
    return models + [path for files in folders for path in files]
