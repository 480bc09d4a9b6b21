"""A pool of the app's on a file of SQLite, over tests."""

from __future__ import annotations

APP = """
import os

from sqlalchemy import create_engine, text
from sqlalchemy.orm import sessionmaker

engine = create_engine(os.environ["DATABASE_URL"])
SessionLocal = sessionmaker(engine)
INSERT = text("INSERT INTO team (name) VALUES (:name)")
NAMES = text("SELECT name FROM team")


def get_db():
    with SessionLocal() as session:
        yield session
"""
TESTS = """
import shop

held = []


def test_a_session_is_left_in_a_transaction(db):
    with shop.SessionLocal.begin() as other:
        other.execute(shop.INSERT, {"name": "committed"})
    held.append(shop.SessionLocal())
    held[0].execute(shop.INSERT, {"name": "open"})


def test_it_is_given_back(db):
    assert db.execute(shop.NAMES).scalars().all() == ["seed"]
    held.pop().close()


def test_no_connection_of_before_is_lent(db):
    sessions = [shop.SessionLocal() for _ in range(3)]
    for session in sessions:
        assert session.execute(shop.NAMES).scalars().all() == ["seed"]
        session.close()
    with shop.SessionLocal.begin() as other:
        other.execute(shop.INSERT, {"name": "written"})
    assert db.execute(shop.NAMES).scalars().all() == ["seed", "written"]
"""


def test_a_connection_that_was_held_while_its_file_was_replaced_is_not_lent_again(project) -> None:
    project.write(
        {
            "seatrial.toml": """
            [resources.db]
            kind = "sqlite"
            schema = "schema.sql"
            durable = true
            override = "shop:get_db"
            """,
            "schema.sql": "CREATE TABLE team (name text); INSERT INTO team VALUES ('seed');",
            "shop.py": APP,
            "test_shop.py": TESTS,
        }
    )
    outcome = project.pytest("-p", "no:randomly")
    assert outcome.counts() == {"passed": 3}, outcome.text
