"""Apps on MariaDB with each of its drivers, and runs of many machines on one that somebody else has started."""

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
from seatrial.resources.protocol import Requirements
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


SCHEMA = """
CREATE TABLE orders (id INT AUTO_INCREMENT PRIMARY KEY, lamp VARCHAR(9));
INSERT INTO orders (lamp) VALUES ('seeded');
"""


@pytest.mark.parametrize("driver", ["asyncmy", "aiomysql"])
def test_an_asynchronous_app_is_reset_and_audited(project, driver):
    """Its pool never lends a connection to a copy that is gone."""
    lacking = Binary().probe(mariadb().spec(Requirements.of(project=project.folder)))
    if lacking:
        pytest.skip(lacking)
    project.write(
        {
            "pyproject.toml": CONFIG.replace("asyncmy", driver),
            "app.py": APP,
            "test_orders.py": TESTS,
            "schema.sql": SCHEMA,
        }
    )
    outcome = project.pytest("-q", "-p", "pytest_asyncio.plugin", audit=True)
    assert outcome.counts() == {"passed": 4}, outcome.text


SESSIONS = """
[tool.pytest.ini_options]
pythonpath = ["."]

[tool.seatrial.resources.db]
kind = "mariadb"
schema = "schema.sql"
override = "shop:get_db"
env = { DATABASE_URL = "mysql+DRIVER://{user}:{password}@{host}:{port}/{database}" }
"""
SHOP = """
import os

from sqlalchemy import create_engine, text
from sqlalchemy.orm import Session

engine = create_engine(os.environ["DATABASE_URL"], pool_size=1, max_overflow=0)


def get_db():
    with Session(engine) as session:
        yield session


def order(lamp, keep=True):
    with engine.connect() as connection:
        connection.execute(text("INSERT INTO orders (lamp) VALUES (:lamp)"), {"lamp": lamp})
        number = connection.execute(text("SELECT LAST_INSERT_ID()")).scalar()
        connection.commit() if keep else connection.rollback()
        return number
"""
SHOPPING = """
import pytest
import shop
from sqlalchemy import text

LAMPS = text("SELECT lamp FROM orders ORDER BY id")


@pytest.mark.parametrize("attempt", [1, 2])
def test_each_test_finds_the_seed(db, attempt):
    assert shop.order("never", keep=False) == 2
    assert shop.order("red") == 3
    assert db.execute(LAMPS).scalars().all() == ["seeded", "red"]
    db.execute(text("DELETE FROM orders"))
    db.commit()
    assert shop.order("blue") == 4


def test_a_changed_schema(db):
    shop.order("blue")
    db.execute(text("ALTER TABLE orders ADD COLUMN size INT"))


def test_after_it(db):
    assert shop.order("green") == 2
    assert list(db.execute(text("SELECT * FROM orders")).keys()) == ["id", "lamp"]
"""
DRIVERS = {
    "pymysql": "pymysql",
    "mysqlconnector": "mysql.connector",
    "mysqldb": "MySQLdb",
    "mariadbconnector": "mariadb",
}
"""Those of SQLAlchemy, each with its module."""


@pytest.fixture
def shop(project):
    """A project, where there is a MariaDB."""
    lacking = Binary().probe(mariadb().spec(Requirements(project=project.folder)))
    if lacking:
        pytest.skip(lacking)
    return project.write({"schema.sql": SCHEMA})


@pytest.mark.parametrize("driver", DRIVERS)
def test_sessions_and_the_pool_of_an_app_are_reset_with_each_driver_of_sqlalchemy_s(shop, driver):
    pytest.importorskip(DRIVERS[driver], reason=f"{driver} is not installed")
    shop.write({"pyproject.toml": SESSIONS.replace("DRIVER", driver), "shop.py": SHOP, "test_shop.py": SHOPPING})
    outcome = shop.pytest("-q")
    assert (outcome.status, outcome.counts()["passed"]) == (0, 4), outcome.text  # a driver may warn of itself


PLAIN = """
import asyncio
import contextlib
import os

import pytest


@pytest.fixture
def where(db_url):
    names = {"host": "DB_HOST", "port": "DB_PORT", "user": "DB_USER", "password": "DB_PASSWORD"}
    return {name: os.environ[variable] for name, variable in names.items()} | {"port": int(os.environ["DB_PORT"])}


@pytest.fixture(params=["pymysql", "mysql.connector", "MySQLdb", "mariadb"])
def connected(request, where):
    library = pytest.importorskip(request.param)
    with contextlib.closing(library.connect(**where, database=os.environ["DB_NAME"])) as connection:
        yield connection


@pytest.mark.parametrize("attempt", [1, 2])
def test_what_a_plain_driver_commits_is_undone(connected, attempt):
    cursor = connected.cursor()
    cursor.execute("SELECT lamp FROM orders")
    assert list(cursor.fetchall()) == [("seeded",)]
    cursor.execute("INSERT INTO orders (lamp) VALUES ('mine')")
    assert cursor.lastrowid == 2
    connected.commit()
    cursor.execute("DELETE FROM orders")  # and this transaction it leaves to be rolled back


@pytest.mark.parametrize("attempt", [1, 2])
@pytest.mark.parametrize("library", ["asyncmy", "aiomysql"])
def test_what_an_asynchronous_one_commits_is_undone(where, library, attempt):
    async def order():
        connection = await pytest.importorskip(library).connect(**where, db=os.environ["DB_NAME"])
        async with connection.cursor() as cursor:
            await cursor.execute("SELECT lamp FROM orders")
            assert list(await cursor.fetchall()) == [("seeded",)]
            await cursor.execute("INSERT INTO orders (lamp) VALUES ('mine')")
            assert cursor.lastrowid == 2
        await connection.commit()
        connection.close()

    asyncio.run(order())
"""


def test_what_is_written_with_a_plain_driver_is_undone_whichever_it_is(shop):
    parts = {"HOST": "host", "PORT": "port", "USER": "user", "PASSWORD": "password", "NAME": "database"}
    env = ", ".join(f'DB_{name} = "{{{part}}}"' for name, part in parts.items())
    config = f'[tool.seatrial.resources.db]\nkind = "mariadb"\nschema = "schema.sql"\nenv = {{ {env} }}\n'
    outcome = shop.write({"pyproject.toml": config, "test_plain.py": PLAIN}).pytest("-q")
    assert outcome.status == 0, outcome.text
    assert outcome.counts()["passed"] >= 8, outcome.text


@pytest.fixture
def foreign(project, tmp_path, monkeypatch):
    """A MariaDB that the project did not start, with somebody's data in it: its URL, and how to ask it."""
    monkeypatch.setenv("SEATRIAL_CACHE", str(tmp_path / "theirs"))
    spec = mariadb().spec(Requirements(project=tmp_path))
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
