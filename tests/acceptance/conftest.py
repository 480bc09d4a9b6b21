"""The service that the acceptance tests are about: it commits, and it relies on the database's own rules."""

from __future__ import annotations

import pytest

POSTGRES = """
[tool.pytest.ini_options]
pythonpath = ["."]

[tool.seatrial]
app = "app.main:app"

[tool.seatrial.resources.db]
kind = "postgres"
schema = "app.database:Base"
override = "app.database:get_db"
"""

DATABASE = """
import os
from collections.abc import Iterator

from sqlalchemy import create_engine
from sqlalchemy.orm import DeclarativeBase, Session, sessionmaker

engine = create_engine(os.environ.get("DATABASE_URL", "sqlite://").replace("postgresql://", "postgresql+psycopg://"))
SessionLocal = sessionmaker(engine)


class Base(DeclarativeBase):
    pass


def get_db() -> Iterator[Session]:
    with SessionLocal() as session:
        yield session
"""

MODELS = """
from sqlalchemy import ForeignKey
from sqlalchemy.orm import Mapped, mapped_column, relationship

from app.database import Base


class User(Base):
    __tablename__ = "users"

    id: Mapped[int] = mapped_column(primary_key=True)
    email: Mapped[str] = mapped_column(unique=True)
    name: Mapped[str]
    notes: Mapped[list["Note"]] = relationship(back_populates="user", passive_deletes=True)


class Note(Base):
    __tablename__ = "notes"

    id: Mapped[int] = mapped_column(primary_key=True)
    user_id: Mapped[int] = mapped_column(ForeignKey("users.id", ondelete="CASCADE"))
    text: Mapped[str]
    user: Mapped[User] = relationship(back_populates="notes")
"""

MAIN = """
from typing import Annotated

from fastapi import BackgroundTasks, Depends, FastAPI, HTTPException
from pydantic import BaseModel
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import Session

from app import database
from app.database import get_db
from app.models import Note, User

app = FastAPI()
Db = Annotated[Session, Depends(get_db)]


class UserIn(BaseModel):
    email: str
    name: str


class UserOut(UserIn):
    id: int


@app.post("/users", status_code=201, response_model=UserOut)
def create_user(body: UserIn, db: Db) -> User:
    user = User(email=body.email, name=body.name)
    db.add(user)
    try:
        db.commit()
    except IntegrityError:
        db.rollback()
        raise HTTPException(409, "email is taken") from None
    return user


@app.get("/users/{user_id}", response_model=UserOut)
def read_user(user_id: int, db: Db) -> User:
    user = db.get(User, user_id)
    if user is None:
        raise HTTPException(404)
    return user


@app.post("/users/{user_id}/notes", status_code=201)
def create_note(user_id: int, text: str, db: Db) -> dict[str, int]:
    note = Note(user_id=user_id, text=text)
    db.add(note)
    db.commit()
    return {"id": note.id}


@app.delete("/users/{user_id}", status_code=204)
def delete_user(user_id: int, db: Db) -> None:
    db.delete(db.get(User, user_id))
    db.commit()


def _welcome(user_id: int) -> None:
    with database.SessionLocal() as session:
        session.get(User, user_id).name += " (welcomed)"
        session.commit()


@app.post("/users/{user_id}/welcome", status_code=202)
def welcome(user_id: int, tasks: BackgroundTasks) -> None:
    tasks.add_task(_welcome, user_id)


@app.get("/broken")
def broken(db: Db) -> None:
    raise RuntimeError("the app is broken")
"""

OCCASIONS = """
import pytest
from app.models import Note, User


def make_user(client, email="a@example.org"):
    response = client.post("/users", json={"email": email, "name": "A"})
    assert response.status_code == 201
    return response.json()["id"]


@pytest.mark.parametrize("attempt", range(3))
def test_every_test_starts_from_the_same_state(client, db, attempt):
    assert make_user(client) == 1
    assert db.query(User).count() == 1


def test_a_refused_transaction_leaves_the_rest_alone(client, db):
    make_user(client)
    assert client.post("/users", json={"email": "a@example.org", "name": "B"}).status_code == 409
    assert [u.name for u in db.query(User)] == ["A"]


def test_cascade(client, db):
    user = make_user(client)
    for text in ("one", "two"):
        assert client.post(f"/users/{user}/notes", params={"text": text}).status_code == 201
    assert db.query(Note).count() == 2
    db.rollback()
    assert client.delete(f"/users/{user}").status_code == 204
    assert db.query(Note).count() == 0


@pytest.mark.seatrial(db="reset")
def test_background_work_commits_on_its_own_session(client, db):
    user = make_user(client)
    assert client.post(f"/users/{user}/welcome").status_code == 202
    assert db.get(User, user).name == "A (welcomed)"


def test_the_tests_own_rows_reach_the_app(client, db):
    db.add(User(email="given@example.org", name="Given"))
    db.commit()
    assert client.get("/users/1").json()["name"] == "Given"
"""


@pytest.fixture
def service(project):
    """A FastAPI service with a database, six lines of configuration, and tests without fixtures of their own."""
    return project.write(
        {
            "pyproject.toml": POSTGRES,
            "app/__init__.py": "",
            "app/database.py": DATABASE,
            "app/models.py": MODELS,
            "app/main.py": MAIN,
            "tests/test_occasions.py": OCCASIONS,
        }
    )
