"""Seed data from a function of the project's: "tests.seed:load"."""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

from seatrial.core.importing import import_object, shortened
from seatrial.errors import ConfigError, SeatrialError, TemplateError
from seatrial.migrators import content
from seatrial.migrators.django.access import access
from seatrial.migrators.source.modules import Modules
from seatrial.migrators.supply import call
from seatrial.resources.protocol import Target


class Seed:
    """Calls the function with what its parameter asks for: a session, a connection, the URL, or nothing.

    Args:
        reference: "tests.seed:load".
        root: the project's root.
        drivers: SQLAlchemy's driver by style: {"sync": "psycopg", "async": "asyncpg"}.
    """

    def __init__(self, reference: str, *, root: Path, drivers: dict[str, str]) -> None:
        self.label = reference
        self._root = root
        self._drivers = drivers

    def hash(self) -> str:
        """A key of the module's source, of all that it imports of the project."""
        module = self.label.partition(":")[0]
        files = Modules(self._root).closure([module])
        if not files:
            import_object(self.label, self._root)  # says what is wrong with the name
            origin = getattr(sys.modules[module], "__file__", None)
            files = {module: Path(origin)} if origin else {}  # somebody else's, and installed
        return content.key(self.label, content.of_files(files.values(), self._root))

    def migrate(self, target: Target) -> None:
        """Call it, and commit what it left open. Raises `TemplateError` with its own traceback, shortened."""
        function: Callable[..., Any] = import_object(self.label, self._root)
        if not callable(function):
            raise ConfigError(
                f'"{self.label}" can\'t be called: it is a {type(function).__name__}',
                fix='name a function, as in seed = "tests.seed:load"',
            )
        try:
            with access():
                call(function, target, self._drivers)
        except SeatrialError:
            raise
        except Exception as error:
            raise TemplateError(
                f'the seed "{self.label}" failed',
                cause=shortened(error, self._root),
                fix="mend the function; it runs on the schema alone, in the order of the configuration",
            ) from error
