"""A seed function gets what it asks for, sync or async, and what it wrote is in the template."""

from __future__ import annotations

import asyncio
import uuid

import pytest

from seatrial.errors import ConfigError, TemplateError
from seatrial.migrators.command import Command
from seatrial.migrators.sql import SQLFiles

from .conftest import Bench

SCHEMA = {"schema.sql": "CREATE TABLE t (x int);"}
INSERT = "text('INSERT INTO t VALUES (1)')"


@pytest.fixture
def name() -> str:
    return f"seed_{uuid.uuid4().hex[:8]}"


def test_a_seed_where_pytest_s_pythonpath_has_it_is_read_for_the_hash(
    sqlite: Bench, name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.syspath_prepend(sqlite.root / "backend")
    keys = set()
    for number in range(2):
        sqlite.write({f"backend/{name}.py": f"def load():\n    return {number}\n"})
        keys.add(sqlite.step(f"{name}:load", key="seed").hash())
    assert len(keys) == 2


def seeded(bench: Bench, name: str, source: str) -> list[tuple[object, ...]]:
    bench.write(SCHEMA | {f"{name}.py": source})
    return bench.build(bench.step("schema.sql"), bench.step(f"{name}:load", key="seed"))("select x from t")


@pytest.mark.parametrize(
    ("head", "parameter"),
    [
        ("from sqlalchemy import text", "session"),
        ("from sqlalchemy import text", "db"),
        ("from sqlalchemy import text\nfrom sqlalchemy.orm import Session", "anything: Session"),
        ("from sqlalchemy import text\nfrom sqlmodel import Session", "anything: Session"),
        ("from sqlalchemy import text, Connection", "anything: Connection"),
        (
            "from __future__ import annotations\nfrom sqlalchemy import text\nfrom sqlalchemy.orm import Session",
            "s: 'Session'",
        ),
    ],
)
def test_a_session_or_connection_is_committed(bench: Bench, name: str, head: str, parameter: str) -> None:
    variable = parameter.partition(":")[0]
    assert seeded(bench, name, f"{head}\ndef load({parameter}): {variable}.execute({INSERT})") == [(1,)]


def test_a_connection_by_name_is_the_plain_drivers(bench: Bench, name: str) -> None:
    assert seeded(bench, name, "def load(connection): connection.execute('INSERT INTO t VALUES (1)')") == [(1,)]


def test_an_engine_and_a_url_work(bench: Bench, name: str) -> None:
    source = f"""
from sqlalchemy import text, Engine, create_engine
def load(engine: Engine):
    with engine.begin() as connection: connection.execute({INSERT})
"""
    assert seeded(bench, name, source) == [(1,)]
    by_url = "import os\ndef load(url): assert url == os.environ['DATABASE_URL']"
    assert seeded(bench, f"{name}_url", by_url) == []


@pytest.mark.parametrize("parameter", ["session", "db: AsyncSession", "c: AsyncConnection"])
def test_async_functions_are_run(bench: Bench, name: str, parameter: str) -> None:
    source = f"""
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncSession
async def load({parameter}): await {parameter.partition(":")[0]}.execute({INSERT})
"""
    assert seeded(bench, name, source) == [(1,)]


def test_an_async_function_runs_although_a_loop_is_running(sqlite: Bench, name: str) -> None:
    source = f"from sqlalchemy import text\nasync def load(session): await session.execute({INSERT})"

    async def main() -> list[tuple[object, ...]]:
        return seeded(sqlite, name, source)

    assert asyncio.run(main()) == [(1,)]


def test_nothing_is_given_to_a_function_that_asks_for_nothing(sqlite: Bench, name: str) -> None:
    source = """
import os, sqlite3
async def load(rows=1):
    with sqlite3.connect(os.environ["DATABASE_URL"].removeprefix("sqlite:///")) as connection:
        connection.execute("INSERT INTO t VALUES (?)", (rows,))
    connection.close()
"""
    assert seeded(sqlite, name, source) == [(1,)]


def test_a_seed_can_be_a_file_or_a_command(sqlite: Bench) -> None:
    sqlite.write({"seed.sql": "SELECT 1;"})
    assert isinstance(sqlite.step("seed.sql", key="seed"), SQLFiles)
    assert isinstance(sqlite.step("python seed.py", key="seed"), Command)


def test_its_own_error_is_shown_shortened(sqlite: Bench, name: str) -> None:
    with pytest.raises(TemplateError, match="failed") as error:
        seeded(sqlite, name, "def load(session):\n    raise LookupError('no such user')")
    assert "LookupError: no such user" in error.value.cause
    assert f"{name}.py" in error.value.cause
    assert "site-packages" not in error.value.cause


@pytest.mark.parametrize("source", ["def load(a, b): ...", "def load(whatever): ...", "def load(x: int): ..."])
def test_a_parameter_that_says_nothing_is_told(sqlite: Bench, name: str, source: str) -> None:
    with pytest.raises(ConfigError, match="has parameters that Seatrial can't fill in") as error:
        seeded(sqlite, name, source)
    assert "def load(session)" in error.value.fix


def test_what_can_not_be_called_is_told(sqlite: Bench, name: str) -> None:
    with pytest.raises(ConfigError, match="can't be called"):
        seeded(sqlite, name, "load = 7")


def test_the_hash_covers_what_it_imports_of_the_project(sqlite: Bench, name: str) -> None:
    sqlite.write(
        {
            f"{name}/__init__.py": "",
            f"{name}/seed.py": "from . import factories\nimport json, sqlalchemy\ndef load(): ...",
            f"{name}/factories.py": f"from {name}.data.users import (\n    first,  # (a)\n    b,\n)",
            f"{name}/data/users.py": "first = 1",
            f"{name}/unrelated.py": "",
            "users.json": "{}",
        }
    )
    first = sqlite.step(f"{name}.seed:load", key="seed").hash()
    sqlite.write({f"{name}/unrelated.py": "x = 1"})
    assert sqlite.step(f"{name}.seed:load", key="seed").hash() == first
    for path in ("__init__", "seed", "factories", "data/users"):
        file = sqlite.root / name / f"{path}.py"
        before = file.read_text()
        file.write_text(before + "\n")
        assert sqlite.step(f"{name}.seed:load", key="seed").hash() != first, path
        file.write_text(before)


def test_inputs_count_for_a_seed(sqlite: Bench) -> None:
    sqlite.write({"seed.py": "def load(db): ...", "users.json": "[]"})
    sqlite.inputs = ("users.json",)
    first = sqlite.hash(seed=("seed:load",))
    sqlite.write({"users.json": "[1]"})
    assert sqlite.hash(seed=("seed:load",)) != first


def test_a_module_that_is_not_there_is_told_before_anything_is_built(sqlite: Bench) -> None:
    with pytest.raises(ConfigError, match="there is no module nowhere_at_all"):
        sqlite.step("nowhere_at_all:load", key="seed").hash()
