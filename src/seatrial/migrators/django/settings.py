"""Which settings a Django project means for its tests; Django is set up with them, where nobody has done it yet."""

from __future__ import annotations

import os
import re
from importlib.util import find_spec
from pathlib import Path

from seatrial.core.importing import add_root, shortened
from seatrial.errors import ConfigError

SETTINGS = "DJANGO_SETTINGS_MODULE"
_PYTEST_FILES = ("pytest.toml", "pytest.ini", "pyproject.toml", "tox.ini", "setup.cfg")
_IN_PYTEST = re.compile(rf"^\s*{SETTINGS}\s*=\s*[\"']?([\w.]+)", re.MULTILINE)
_IN_MANAGE = re.compile(rf"{SETTINGS}[\"']\s*,\s*[\"']([\w.]+)")


def set_up(root: Path) -> None:
    """Have Django ready. pytest-django has done it before any test; the command line has not.

    Raises:
        ConfigError: Django is missing, the settings can't be told, or they fail.
    """
    if find_spec("django") is None:
        raise ConfigError('schema = "django", and Django is not installed here', fix="pip install django")
    from django.apps import apps
    from django.conf import settings

    if apps.ready:
        return
    add_root(root)
    if not settings.configured and not os.environ.get(SETTINGS):
        folder, module = _settings_module(root)
        add_root(folder)
        os.environ[SETTINGS] = module
    try:
        import django

        django.setup()
    except (Exception, SystemExit) as error:
        raise ConfigError(
            f"Django could not be set up with {os.environ.get(SETTINGS, 'its settings')}",
            cause=shortened(error, root),
            fix=f"mend the settings, or name others by {SETTINGS} in pytest's configuration",
        ) from error


def _settings_module(root: Path) -> tuple[Path, str]:
    """Where the settings are importable from, and their name: as pytest-django has it, else as manage.py does."""
    managers = [*root.glob("manage.py"), *root.glob("*/manage.py")]
    folder = managers[0].parent if managers else root
    for name in _PYTEST_FILES:
        path = root / name
        found = _IN_PYTEST.search(path.read_text(encoding="utf-8")) if path.is_file() else None
        if found:
            return folder, found[1]
    for path in managers:
        found = _IN_MANAGE.search(path.read_text(encoding="utf-8"))
        if found:
            return path.parent, found[1]
    raise ConfigError(
        'schema = "django", and nothing tells which settings are meant',
        cause=f"{SETTINGS} is neither in the environment, nor in pytest's configuration, nor in a manage.py",
        fix=f'add {SETTINGS} = "config.settings" to [tool.pytest.ini_options]',
    )
