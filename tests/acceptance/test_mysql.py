"""An asynchronous app on MariaDB, and runs of many machines on one that somebody else has started."""

from __future__ import annotations

import contextlib
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

import pymysql
import pytest
from tests.conftest import end_servers

from seatrial.core import wait
from seatrial.resources.kinds.mysql import mariadb
from seatrial.resources.kinds.mysql.connection import arguments
from seatrial.resources.protocol import Wish
from seatrial.resources.providers.binary import Binary

CONFIG = """
[tool.pytest.ini_options]
pythonpath = ["."]
asyncio_mode = "auto"
asyncio_default_fixture_loop_scope = "session"
asyncio_default_test_loop_scope = "session"

[tool.seatrial.resources.db]
kind = "mariadb"
schema = "schema.sql"
override = "app:get_db"
env = { DATABASE_URL = "mysql+asyncmy://{user}:{password}@{host}:{port}/{database}" }
"""
APP = """
import os

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncSession, create_async_engine

engine = create_async_engine(os.environ["DATABASE_URL"], pool_size=1, max_overflow=0)


async def get_db():
    async with AsyncSession(engine) as session:
        yield session


async def order(lamp):
    async with engine.begin() as connection:
        await connection.execute(text("SET SESSION sql_mode = 'ANSI_QUOTES'"))
        done = await connection.execute(text("INSERT INTO orders (lamp) VALUES (:lamp)"), {"lamp": lamp})
        return done.lastrowid


async def ask(statement):
    async with engine.connect() as connection:
        return (await connection.execute(text(statement))).scalar()
"""
TESTS = """
import app
import pytest
from sqlalchemy import text


@pytest.mark.parametrize("attempt", [1, 2])
async def test_each_test_finds_the_seed(db, attempt):
    assert "ANSI" not in await app.ask("SELECT @@SESSION.sql_mode")
    assert await app.order("red") == 2
    assert (await db.execute(text("SELECT lamp FROM orders ORDER BY id"))).scalars().all() == ["seeded", "red"]
    await db.execute(text("DELETE FROM orders"))
    await db.commit()


async def test_a_changed_schema(db):
    await app.order("blue")
    await db.execute(text("ALTER TABLE orders ADD COLUMN size INT"))


async def test_after_it(db):
    assert await app.order("green") == 2
"""


def test_an_asynchronous_app_is_reset_and_audited(project):
    lacking = Binary().probe(mariadb().spec(Wish.of(project=project.folder)))
    if lacking:
        pytest.skip(lacking)
    project.write(
        {
            "pyproject.toml": CONFIG,
            "app.py": APP,
            "test_orders.py": TESTS,
            "schema.sql": "CREATE TABLE orders (id INT AUTO_INCREMENT PRIMARY KEY, lamp VARCHAR(9));\n"
            "INSERT INTO orders (lamp) VALUES ('seeded');",
        }
    )
    outcome = project.pytest("-q", "-p", "pytest_asyncio.plugin")  # audited, as every made-up project is
    assert outcome.counts() == {"passed": 4}, outcome.text


@pytest.fixture
def foreign(project, tmp_path, monkeypatch):
    """A MariaDB that the project did not start, with somebody's data in it: its URL, and how to ask it."""
    monkeypatch.setenv("SEATRIAL_CACHE", str(tmp_path / "theirs"))
    spec = mariadb().spec(Wish(project=tmp_path))
    lacking = Binary().probe(spec)
    if lacking:
        pytest.skip(lacking)
    server = Binary().reserve(spec)
    server.start()
    address = replace(server.endpoint.admin, database="precious")

    def ask(*statements):
        plain = pymysql.connect(**{**arguments(address), "database": None})
        with contextlib.closing(plain), plain.cursor() as cursor:
            for statement in statements:
                cursor.execute(statement)
            return [one for (one,) in cursor.fetchall()]

    ask("CREATE DATABASE precious", "CREATE TABLE precious.orders (id INT) SELECT 7 AS id")
    yield address.url(), ask
    server.release()
    end_servers(tmp_path / "theirs")


SYNCHRONOUS = """
[tool.seatrial.resources.db]
kind = "mariadb"
schema = "schema.sql"
connections = 10
"""
SCHEMA = """
CREATE TABLE orders (id INT AUTO_INCREMENT PRIMARY KEY, lamp VARCHAR(9));
INSERT INTO orders (lamp) VALUES ('seeded');
"""
ORDERS = """
import pytest


@pytest.mark.parametrize("attempt", range(5))
def test_each_test_finds_the_seed(db, attempt):
    with db.cursor() as cursor:
        cursor.execute("SELECT lamp FROM orders")
        assert cursor.fetchall() == (("seeded",),)
        cursor.execute("INSERT INTO orders (lamp) VALUES ('mine')")
        assert cursor.lastrowid == 2
    db.commit()
"""
HANGS = """
import pathlib
import time


def test_that_hangs(db):
    pathlib.Path("there").touch()
    time.sleep(600)
"""


def test_runs_of_many_machines_take_turns_within_the_budget_and_collect_what_a_killed_one_left(
    project, foreign, tmp_path
):
    """Each has a cache of its own. What is not ours stays as it is, and when all have ended only the template is left."""
    url, ask = foreign
    project.write({"pyproject.toml": SYNCHRONOUS, "schema.sql": SCHEMA, "test_orders.py": ORDERS, "hangs.py": HANGS})

    def machine(name):
        return {"SEATRIAL_DB_URL": url, "SEATRIAL_CACHE": str(tmp_path / name)}

    killed = subprocess.Popen(
        [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "hangs.py"],
        cwd=project.folder,
        env=project.environ | machine("killed"),
        stdout=subprocess.DEVNULL,
    )
    try:
        assert wait.until((project.folder / "there").exists, timeout=120, every=0.1)
        (left,) = [one for one in ask("SHOW DATABASES") if one.startswith("db_")]
    finally:
        killed.kill()
        killed.wait()
    at_work = "SELECT id FROM information_schema.processlist WHERE db IS NOT NULL"
    assert wait.until(lambda: not ask(at_work), timeout=60, every=0.1)  # the server has learnt of it
    with ThreadPoolExecutor() as pool:
        outcomes = list(pool.map(lambda name: project.pytest("-q", "test_orders.py", **machine(name)), ["one", "two"]))
    for outcome in outcomes:
        assert outcome.counts() == {"passed": 5}, outcome.text
    databases = ask("SHOW DATABASES")
    assert left not in databases
    assert sorted({*databases} - {"information_schema", "mysql", "performance_schema", "sys"})[:2] == [
        "precious",
        "seatrial",
    ]
    assert len([one for one in databases if one.startswith(("db_", "seatrial_"))]) == 1
    assert ask("SELECT id FROM precious.orders") == [7]
