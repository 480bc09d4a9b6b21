"""A store of SQLite in folders of the test's own, and a template with a bit of everything in it."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from seatrial.resources.kinds.sqlite import SQLite
from seatrial.resources.kinds.sqlite.store import SQLiteStore
from seatrial.resources.protocol import Requirements, Target

SCHEMA = """
PRAGMA user_version = 7;
PRAGMA application_id = 42;
CREATE TABLE team (id INTEGER PRIMARY KEY AUTOINCREMENT, name TEXT COLLATE NOCASE UNIQUE);
CREATE TABLE player (id INTEGER PRIMARY KEY, team_id INTEGER REFERENCES team, score REAL);
CREATE TABLE setting (key TEXT PRIMARY KEY, value) WITHOUT ROWID;
INSERT INTO team (name) VALUES ('red'), ('blue');
INSERT INTO player VALUES (1, 1, 1.0), (5, 2, 2.5);
INSERT INTO setting VALUES ('colour', 'green');
"""


def fill(target: Target) -> None:
    target.execute(SCHEMA)


def dump(connection: sqlite3.Connection) -> list[str]:
    """All that a test could see: rows, schema, counters of AUTOINCREMENT, user_version, application_id."""
    state = list(connection.iterdump())
    state += map(repr, connection.execute("SELECT * FROM sqlite_sequence"))
    return [
        *state,
        *(repr(connection.execute(f"PRAGMA {name}").fetchone()) for name in ("user_version", "application_id")),
    ]


@pytest.fixture
def make_store(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[[str], SQLiteStore]]:
    monkeypatch.setenv("SEATRIAL_CACHE", str(tmp_path / "cache"))
    kind = SQLite()
    opened = []

    def make(at: str = "") -> SQLiteStore:
        spec = kind.spec(Requirements.of(project=tmp_path, at=at))
        opened.append(kind.open(kind.endpoint(spec), spec))
        return opened[-1]

    yield make
    for store in opened:
        store.close()


@pytest.fixture(params=["file", "wal file", "memory", "chosen file"])
def store(request: pytest.FixtureRequest, make_store: Callable[[str], SQLiteStore]) -> SQLiteStore:
    """One store of each sort, with the template "key" in it."""
    at = {"memory": "sqlite://", "chosen file": "sqlite:///test.db"}.get(request.param, "")
    store = make_store(at)
    script = f"PRAGMA journal_mode = WAL;{SCHEMA}" if request.param == "wal file" else SCHEMA
    store.build("key", "db_1", lambda target: target.execute(script))
    return store
