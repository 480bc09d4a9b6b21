"""A schema from Alembic: `upgrade heads`, in a process of its own, as a deployment would run it."""

from __future__ import annotations

import configparser
import importlib.util
import os
import re
import subprocess
import sys
from collections.abc import Callable, Mapping
from pathlib import Path

from seatrial.core.importing import export_it
from seatrial.errors import ConfigError, TemplateError
from seatrial.migrators import content
from seatrial.migrators.command import led_by, printed
from seatrial.migrators.source.modules import Modules, imported
from seatrial.resources.protocol import Address, Target

URL = "SEATRIAL_ALEMBIC_URL"
"""How the child is told the address: a password on a command line can be read by everybody."""

_SEPARATORS: Mapping[str, str] = {"space": " ", "newline": "\n", "os": os.pathsep, ":": ":", ";": ";"}
"""What Alembic calls the character between two version locations; older settings had spaces and commas."""


class Alembic:
    """`alembic upgrade heads`.

    Args:
        path: the alembic.ini, or a pyproject.toml with a table `tool.alembic`.
        root: the project's root.
        driver: SQLAlchemy's driver for a URL in which the ini names none.
        variables: of the resource, which an env.py may read: so that they lead to an address, as its owner.
    """

    def __init__(
        self, path: Path, *, root: Path, driver: str, variables: Callable[[Address], Mapping[str, str]]
    ) -> None:
        self.label = path.relative_to(root).as_posix() if path.is_relative_to(root) else str(path)
        self._path = path
        self._root = root
        self._driver = driver
        self._variables = variables

    def hash(self) -> str:
        """A key of the ini, of the files below its script and version locations, and of what these import.

        A migration that imports the project's code does what that code does. Of the imports of an env.py only those
        count that know Alembic, as operations of the project's own do: it imports the models, too.
        """
        files = {self._path}
        for folder in self._locations():
            files.update(content.below(folder))
        modules = Modules(self._home())
        names: set[str] = set()
        for path in [path for path in files if path.suffix == ".py"]:
            own = imported(path.read_text(encoding="utf-8", errors="replace"), "")
            if path.name == "env.py":
                found = modules.closure(own).items()
                own = {name for name, file in found if any(map(_is_alembic, modules.imports(name, file)))}
            names |= own
        files.update(modules.closure(names).values())
        return content.of_files(files, self._root)

    def migrate(self, target: Target) -> None:
        """Run it where its locations are found, with `sqlalchemy.url` set to the target's address."""
        driver = self._named_driver(target.address.scheme) or self._driver
        # -P: a folder `alembic` of the project's must not stand in the place of the library.
        argv = [sys.executable, "-P", "-m", "seatrial.migrators.alembic_child", str(self._path)]
        variables = self._variables(target.address)
        environment = os.environ | variables
        environment |= {URL: target.address.url(driver), "PYTHONUNBUFFERED": "1"}
        done = subprocess.run(
            argv,
            cwd=self._home(),
            env=environment,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            errors="replace",
            check=False,
        )
        if done.returncode:
            told = printed(done.stdout, target)
            raise TemplateError(
                f"the migrations of {self.label} failed",
                cause=told or f"alembic ended with status {done.returncode} and printed nothing",
                fix=export_it(told) or f"mend the migration, or its env.py{led_by(variables)}",
            )

    def _locations(self) -> list[Path]:
        settings = self._settings()
        separator = settings.get("path_separator") or settings.get("version_path_separator") or ""
        versions = re.split(_SEPARATORS.get(separator, r"[,\s]+"), settings.get("version_locations", ""))
        locations = [each.strip() for each in (settings.get("script_location", ""), *versions) if each.strip()]
        if not locations:
            raise ConfigError(
                f"{self.label} names no script_location",
                cause="the folder of the migrations is not known without it",
                fix=f"write script_location in the section [alembic] of {self.label}",
            )
        return [self._folder(location) for location in locations]

    def _home(self) -> Path:
        """The project's root, or the folder of the ini where only from there the scripts are where it says."""
        scripts, beside = self._settings().get("script_location", ""), self._path.parent
        return beside if (beside / scripts).is_dir() and not (self._root / scripts).is_dir() else self._root

    def _folder(self, location: str) -> Path:
        package, colon, inside = location.partition(":")
        folder = self._home() / location
        if colon and not folder.is_dir():
            found = Modules(self._root).find(package)
            spec = None if found else importlib.util.find_spec(package.partition(".")[0])
            origin = found or (Path(spec.origin) if spec and spec.origin else None)
            folder = origin.parent / inside if origin else folder
        if not folder.is_dir():
            raise ConfigError(
                f"{self.label}: there is no folder {location}",
                cause=f"it was looked for in {self._home()}",
                fix="correct script_location, or version_locations",
            )
        return folder

    def _settings(self) -> dict[str, str]:
        raw: dict[str, str] = {}
        if self._path.suffix == ".toml":
            import tomllib

            table = tomllib.loads(self._path.read_text(encoding="utf-8")).get("tool", {}).get("alembic", {})
            raw = {key: "\n".join(value) if isinstance(value, list) else str(value) for key, value in table.items()}
        else:
            parser = configparser.RawConfigParser()
            parser.read(self._path, encoding="utf-8")
            raw = dict(parser["alembic"]) if parser.has_section("alembic") else {}
        if not raw:
            raise ConfigError(
                f"{self.label} is no configuration of Alembic",
                cause="it has no section for it: [alembic], or [tool.alembic] in a pyproject.toml",
                fix='write schema = "alembic.ini"',
            )
        return {key: value.replace("%(here)s", str(self._path.parent)) for key, value in raw.items()}

    def _named_driver(self, scheme: str) -> str:
        """The driver of the ini's own URL, asynchronous ones included: its env.py may need just that one."""
        url = str(self._settings().get("sqlalchemy.url", ""))
        dialect, _, driver = url.partition("://")[0].partition("+")
        return driver if dialect == scheme else ""


def _is_alembic(name: str) -> bool:
    return name.partition(".")[0] == "alembic"
