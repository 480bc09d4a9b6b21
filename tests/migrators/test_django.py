"""What Django's migrations are made of is the key of their template."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

from .conftest import Bench

HASH = (
    "import sys; from pathlib import Path; from seatrial.migrators.django.step import DjangoMigrations; "
    "print(DjangoMigrations(root=Path(sys.argv[1])).hash())"
)
FILES = {
    "manage.py": 'import os\nos.environ.setdefault("DJANGO_SETTINGS_MODULE", "config.settings")\n',
    "config/__init__.py": "",
    "config/settings.py": """
        from config.apps import APPS

        SECRET_KEY = "made up"
        INSTALLED_APPS = ["django.contrib.contenttypes", *APPS]
        MIGRATION_MODULES = {"moved": "config.of_moved"}
        """,
    "config/apps.py": 'APPS = ["shop", "moved", "plain"]',
    "config/of_moved/__init__.py": "",
    "config/of_moved/0001_first.py": "",
    "shop/__init__.py": "",
    "shop/models.py": "",
    "shop/migrations/__init__.py": "",
    "shop/migrations/0001_first.py": "from shop.defaults import COLOURS",
    "shop/defaults.py": "from config.more import COLOURS",
    "shop/views.py": "",
    "shop/fixtures/colours.json": "[]",
    "config/more.py": "COLOURS = []",
    "moved/__init__.py": "",
    "plain/__init__.py": "",
    "plain/models.py": "from plain.parents import Parent",
    "plain/parents.py": "Parent = object",
}


def key(root: Path) -> str:
    done = subprocess.run([sys.executable, "-c", HASH, str(root)], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_whatever_the_migrations_and_the_tables_without_migrations_are_made_of_makes_another_template(
    sqlite: Bench,
) -> None:
    sqlite.write(FILES)
    first = key(sqlite.root)
    sqlite.write({"shop/views.py": "x = 1"})
    assert key(sqlite.root) == first
    for name in (
        "shop/migrations/0001_first.py",
        "shop/defaults.py",
        "config/more.py",
        "shop/fixtures/colours.json",
        "config/of_moved/0001_first.py",
        "plain/parents.py",
        "config/apps.py",
    ):
        path = sqlite.root / name
        before = path.read_text()
        path.write_text(f"{before}\n# changed\n")
        assert key(sqlite.root) != first, name
        path.write_text(before)


def test_a_package_of_migrations_that_is_nowhere_is_left_to_django_to_tell(sqlite: Bench) -> None:
    settings = FILES["config/settings.py"].replace("config.of_moved", "nowhere.migrations")
    sqlite.write({**FILES, "config/settings.py": settings})
    assert key(sqlite.root)
