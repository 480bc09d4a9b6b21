"""Whole pytest runs, each in a process of its own: small tests that each commit, above the same tests without a database."""

from __future__ import annotations

import importlib.util
import json
import os
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from .places import Place
from .scene import Scene, scene
from .sheet import Sheet

START = "a whole run, its start included"
"""For each test, in a run of as many tests as all others have: of which some variants run only a few."""
STEADY = "each test after the first"
"""From the second test to the end of the last, with the test's own INSERT and COMMIT."""

CLOCK = '''"""Writes down when the second test began, and when the last ended."""
import os, time
class Clock:
    begun = []
    def pytest_runtest_logstart(self):
        self.begun.append(time.time())
    def pytest_runtest_logfinish(self):
        self.ended = time.time()
    def pytest_sessionfinish(self):
        with open(os.environ["CLOCK"], "w") as file:
            file.write(f"[{self.begun[1]}, {self.ended}]")
def pytest_configure(config):
    config.pluginmanager.register(Clock())
'''
TESTS = """import pytest
{imports}
INSERT = {statement}
@pytest.mark.parametrize("number", range({tests}))
def test_small(db, number):
    db.execute(INSERT)
    db.commit()
"""
DJANGO_TESTS = """import pytest
from shop.models import T0
@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize("number", range({tests}))
def test_small(number):
    T0.objects.create(v="x")
"""
NOTHING = """import pytest
class Nothing:
    def execute(self, statement): ...
    def commit(self): ...
@pytest.fixture
def db():
    return Nothing()
"""
LEFT = """import pytest
from sqlalchemy import create_engine
from sqlalchemy.orm import Session
engine = create_engine({url!r})
@pytest.fixture
def db():
    with Session(engine) as session:
        yield session
"""
RECIPE = """import pytest
from sqlalchemy import create_engine
from sqlalchemy.orm import Session
engine = create_engine({url!r})
@pytest.fixture
def db():
    with engine.connect() as connection:
        outer = connection.begin()
        with Session(bind=connection, join_transaction_mode="create_savepoint") as session:
            yield session
        outer.rollback()
"""
PLAIN_LEFT = """import pytest, psycopg
connection = psycopg.connect({url!r})
@pytest.fixture
def db():
    yield connection
    connection.rollback()
"""
PEER = """from pathlib import Path
from pytest_postgresql import factories
proc = factories.postgresql_noproc(
    host={host!r}, port={port}, user={user!r}, password={password!r}, load=[Path("schema.sql").absolute()]
)
db = factories.postgresql("proc")
"""
SETTINGS = """SECRET_KEY = "x"
USE_TZ = True
INSTALLED_APPS = ["shop"]
DEFAULT_AUTO_FIELD = "django.db.models.AutoField"
DATABASES = {{"default": {{"ENGINE": "django.db.backends.postgresql", "NAME": "django", "HOST": {host!r}, "PORT": {port},
    "USER": {user!r}, "PASSWORD": {password!r}}}}}
"""
MODELS = """from django.db import models
for number in range({tables}):
    fields = {{"v": models.TextField(), "n": models.IntegerField(default=0), "__module__": __name__}}
    globals()[f"T{{number}}"] = type(f"T{{number}}", (models.Model,), fields)
"""
OURS = "seatrial.pytest_plugin"
NO_DATABASE, NO_DATABASE_PLAIN = "no database", "no database, and no SQLAlchemy"
SQLALCHEMY = {"imports": "from sqlalchemy import text", "statement": "text(\"insert into t0 (v) values ('x')\")"}
PLAIN = {"imports": "", "statement": "\"insert into t0 (v) values ('x')\""}


@dataclass(frozen=True, slots=True, kw_only=True)
class Variant:
    """One way to run the tests."""

    name: str
    does: str
    files: Mapping[str, str]
    plugins: Sequence[str] = ()
    tests: int
    above: str = NO_DATABASE
    """The same tests without a database, which import the same."""
    needs: str = ""
    """A module, without which it is skipped."""
    environ: Mapping[str, str] = field(default_factory=dict)


def measure(place: Place, tables: Sequence[int], tests: int, rounds: int, sheet: Sheet) -> None:
    """The variants in turn, round after round, at each number of tables."""
    for count in tables:
        with scene(place, count, 0, project="runs") as made:
            sheet.expect([made.column])
            variants = [one for one in _variants(made, tests) if _there(one, sheet)]
            folders = {variant.name: _write(made.place.root, count, variant) for variant in variants}
            try:
                for number in range(rounds + 1):
                    found = {one.name: _run(folders[one.name], one, made.place, tests) for one in variants}
                    if number:  # the first one makes templates and starts servers
                        _add(variants, found, made.column, sheet)
            finally:
                for variant in variants:
                    if OURS in variant.plugins:
                        _end(folders[variant.name], made.place)


def _add(variants: Sequence[Variant], found: Mapping[str, dict[str, float]], column: str, sheet: Sheet) -> None:
    """What each took beyond the same tests without a database."""
    for variant in variants:
        if variant.name in (NO_DATABASE, NO_DATABASE_PLAIN):
            continue
        name, run, without = f"pytest: {variant.name}", found[variant.name], found[variant.above]
        sheet.know(name, variant.does)
        sheet.add(name, column, [{what: run[what] - without[what] for what in (START, STEADY)}])


def _variants(made: Scene, tests: int) -> list[Variant]:
    """Two are there for the others to be compared to."""
    small, plain = TESTS.format(tests=tests, **SQLALCHEMY), TESTS.format(tests=tests, **PLAIN)
    few = max(5, tests // (20 * max(1, made.tables // 40)))
    admin = made.server.admin
    login = {"host": admin.host, "port": admin.port, "user": admin.user, "password": admin.password}
    module = next(made.folder.glob("tables_*.py"))
    toml = '[resources.db]\nkind = "postgres"\nschema = "{}"\nisolation = "{}"\n'
    ours = {"test_small.py": small, module.name: module.read_text()}
    schema = "".join(f"create table t{n} (id serial primary key, v text, n int default 0);" for n in range(made.tables))
    left, recipe = (made.address(made.own(name)).url("psycopg") for name in ("left", "recipe"))
    driver = made.address(made.own("driver")).url()
    return [
        Variant(name=NO_DATABASE, does="", files={"test_small.py": small, "conftest.py": NOTHING}, tests=tests),
        Variant(name=NO_DATABASE_PLAIN, does="", files={"test_small.py": plain, "conftest.py": NOTHING}, tests=tests),
        Variant(
            name="no isolation",
            does=f"{tests:,} tests with a session each, whose rows stay: what a database costs without any isolation",
            files={"test_small.py": small, "conftest.py": LEFT.format(url=left)},
            tests=tests,
        ),
        Variant(
            name="no isolation, psycopg",
            does=f"{tests:,} tests with the driver's own connection, whose rows stay",
            files={"test_small.py": plain, "conftest.py": PLAIN_LEFT.format(url=driver)},
            tests=tests,
            above=NO_DATABASE_PLAIN,
        ),
        Variant(
            name="Seatrial reset, psycopg",
            does=f"{tests:,} tests with the driver's own connection",
            files={"test_small.py": plain, "schema.sql": schema, "seatrial.toml": toml.format("schema.sql", "reset")},
            plugins=[OURS],
            tests=tests,
            above=NO_DATABASE_PLAIN,
        ),
        *(
            Variant(
                name=f"Seatrial {mode}",
                does=f"{tests:,} tests; the server and the template are there from the run before",
                files={**ours, "seatrial.toml": toml.format(f"{module.stem}:metadata", mode)},
                plugins=[OURS],
                tests=tests,
            )
            for mode in ("reset", "rollback")
        ),
        Variant(
            name="SQLAlchemy recipe",
            does=f"{tests:,} tests; the schema is there already",
            files={"test_small.py": small, "conftest.py": RECIPE.format(url=recipe)},
            tests=tests,
        ),
        Variant(
            name="pytest-postgresql",
            does=f"{few:,} tests with its `postgresql` fixture, on a server that runs already",
            files={
                "test_small.py": TESTS.format(tests=few, **PLAIN),
                "conftest.py": PEER.format(**login),
                "schema.sql": schema,
            },
            plugins=["pytest_postgresql.plugin"],
            tests=few,
            above=NO_DATABASE_PLAIN,
            needs="pytest_postgresql",
        ),
        Variant(
            name="pytest-django",
            does=f"{few:,} tests as TransactionTestCase has them (flush), on a server that runs already",
            files={
                "test_small.py": DJANGO_TESTS.format(tests=few),
                "settings.py": SETTINGS.format(**login),
                "shop/__init__.py": "",
                "shop/models.py": MODELS.format(tables=made.tables),
            },
            plugins=["pytest_django.plugin"],
            tests=few,
            above=NO_DATABASE_PLAIN,
            needs="django",
            environ={"DJANGO_SETTINGS_MODULE": "settings"},
        ),
    ]


def _there(variant: Variant, sheet: Sheet) -> bool:
    if not variant.needs or importlib.util.find_spec(variant.needs):
        return True
    sheet.skipped[f"pytest: {variant.name}"] = f"{variant.needs} is not installed"
    return False


def _write(root: Path, count: int, variant: Variant) -> Path:
    folder = root / f"run_{count}_{variant.name.replace(' ', '_')}"
    for name, text in {**variant.files, "_clock.py": CLOCK}.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    (folder / "pytest.ini").write_text("[pytest]\n")
    return folder


def _run(folder: Path, variant: Variant, place: Place, tests: int) -> dict[str, float]:
    """Milliseconds for each test: of a whole run of `tests`, and of those after the first.

    Raises:
        SystemExit: a test failed, or none ran.
    """
    plugins = [word for plugin in ("_clock", *variant.plugins) for word in ("-p", plugin)]
    argv = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", *plugins, "test_small.py"]
    environ = _environ(place) | {"CLOCK": str(folder / "clock"), **variant.environ}
    before = time.time()
    done = subprocess.run(argv, cwd=folder, env=environ, capture_output=True, text=True, check=False)
    after = time.time()
    if done.returncode:
        raise SystemExit(f"{variant.name}: pytest failed\n{done.stdout}{done.stderr}")
    second, last = json.loads((folder / "clock").read_text())
    steady = (last - second) / (variant.tests - 1)
    start = (after - before) - (last - second)  # with the first test, and the end
    return {START: (start + steady * (tests - 1)) * 1e3 / tests, STEADY: steady * 1e3}


def _end(folder: Path, place: Place) -> None:
    """Its server need not wait for a next run."""
    argv = [sys.executable, "-m", "seatrial", "down"]
    subprocess.run(argv, cwd=folder, env=_environ(place), capture_output=True, check=False)


def _environ(place: Place) -> dict[str, str]:
    hidden = ("SEATRIAL_", "PYTEST_", "DATABASE_URL", "DJANGO_", "PYTHONDONTWRITEBYTECODE")
    environ = {name: value for name, value in os.environ.items() if not name.startswith(hidden)}
    # A server stays for the next round, however long the others take.
    return environ | place.environ() | {"SEATRIAL_IDLE": "600", "PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1"}
