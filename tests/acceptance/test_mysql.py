"""An asynchronous app on MariaDB, audited after each test: its pool never lends a connection to a copy that is gone."""

from __future__ import annotations

import pytest

from seatrial.resources.kinds.mysql import mariadb
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
