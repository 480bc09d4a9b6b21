"""The keys that a configuration may have: the shape of each, and an example of it."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from enum import Enum


class Shape(Enum):
    """What a key's value looks like; the value of each member is how it is told to people."""

    TEXT = "a string"
    OPTION = "a string or a number"
    TEXTS = "a string, or a list of strings"
    FLAG = "true or false"
    SECONDS = "a number of seconds"
    VARIABLES = "a variable's name, a list of names, or a table of templates"
    TEMPLATES = "a table of variables"
    TABLES = "tables"


@dataclass(frozen=True, slots=True, kw_only=True)
class Key:
    """One key: the shape of its value, and an example as it is written in TOML."""

    shape: Shape
    example: str
    required: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class KindFacts:
    """What checking a configuration takes to know about a kind."""

    env: str
    """The variable that it exports where nothing else is said."""
    sql: bool = True
    """Whether SQLAlchemy knows it: it can have a schema."""
    serverless: bool = False
    """No server process: nothing to provide, and nobody to log in."""
    options: Mapping[str, str] = field(default_factory=dict)
    """Keys of its own, each with an example of its value."""
    impossible: Mapping[str, str] = field(default_factory=dict)
    """Isolations that it can't have, each with the reason."""
    spec: Callable[..., object] | None = None
    """`Kind.spec`, which has the last word on what its kind can do; None where only the keys are checked."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Known:
    """The names that are valid here: those built in and those of installed packages."""

    kinds: Mapping[str, KindFacts]
    providers: Sequence[str]


TOP: Mapping[str, Key] = {
    "app": Key(shape=Shape.TEXT, example='app = "app.main:app"'),
    "adapt": Key(shape=Shape.TEXTS, example='adapt = ["testcontainers"]'),
    "strict": Key(shape=Shape.TEXTS, example='strict = ["openapi", "outbound"]'),
    "allow_hosts": Key(shape=Shape.TEXTS, example='allow_hosts = ["api.example.org"]'),
    "fast_password_hashing": Key(shape=Shape.FLAG, example="fast_password_hashing = true"),
    "idle": Key(shape=Shape.SECONDS, example="idle = 5"),
    "resources": Key(shape=Shape.TABLES, example='a table [resources.db] with kind = "postgres"'),
    "services": Key(shape=Shape.TABLES, example='a table [services.orders] with app = "orders.main:app"'),
}

SERVICE: Mapping[str, Key] = {
    "app": Key(shape=Shape.TEXT, example='app = "orders.main:app"'),
    "cmd": Key(shape=Shape.TEXT, example='cmd = "node orders.js"'),
    "run": Key(shape=Shape.TEXT, example='run = "thread"'),
    "ready": Key(shape=Shape.TEXT, example='ready = "/health"'),
    "patience": Key(shape=Shape.SECONDS, example="patience = 30"),
    "env": Key(shape=Shape.TEMPLATES, example='env = { STOCK_URL = "{services.stock}" }'),
    "resources": Key(shape=Shape.TEXTS, example='resources = ["db"]'),
}

RESOURCE: Mapping[str, Key] = {
    "kind": Key(shape=Shape.TEXT, example='kind = "postgres"', required=True),
    "version": Key(shape=Shape.TEXT, example='version = ">=16"'),
    "provider": Key(shape=Shape.TEXT, example='provider = "embedded"'),
    "url": Key(shape=Shape.TEXT, example='url = "postgresql://user:password@host:5432/database"'),
    "at": Key(shape=Shape.TEXT, example='at = "postgresql://test:test@localhost:5432/testdb"'),
    "env": Key(shape=Shape.VARIABLES, example='env = "DATABASE_URL"'),
    "role": Key(shape=Shape.TEXT, example='role = "app_user"'),
    "schema": Key(shape=Shape.TEXTS, example='schema = "alembic.ini"'),
    "seed": Key(shape=Shape.TEXTS, example='seed = "tests.seed:load"'),
    "override": Key(shape=Shape.TEXT, example='override = "app.database:get_db"'),
    "isolation": Key(shape=Shape.TEXT, example='isolation = "reset"'),
    "extensions": Key(shape=Shape.TEXTS, example='extensions = ["vector"]'),
    "durable": Key(shape=Shape.FLAG, example="durable = true"),
    "inputs": Key(shape=Shape.TEXTS, example='inputs = ["migrations/**"]'),
    "start": Key(shape=Shape.TEXT, example='start = "early"'),
    "recycle": Key(shape=Shape.FLAG, example="recycle = true"),
}

RUNS = ("inline", "thread", "process")
STARTS = ("lazy", "early")
ADAPT = ("testcontainers", "pytest-postgresql", "pytest-databases")
STRICT = ("openapi", "outbound")

SERVER_KEYS = ("provider", "url", "role", "extensions", "recycle")
"""Keys that say something about a server: a kind without one takes none of them."""

SQL_KEYS = ("schema", "role", "extensions", "recycle")
"""Keys that are about a database of SQL."""

_OURS = ("client", "async_client", "exchanges", "live_app")

TAKEN_FIXTURES = frozenset(
    {
        "request",
        "pytestconfig",
        "cache",
        "monkeypatch",
        "recwarn",
        "caplog",
        "capsys",
        "capsysbinary",
        "capfd",
        "capfdbinary",
        "capteesys",
        "subtests",
        "tmp_path",
        "tmp_path_factory",
        "tmpdir",
        "tmpdir_factory",
        "doctest_namespace",
        "record_property",
        "record_xml_attribute",
        "record_testsuite_property",
        "testdir",
        "pytester",
        "linecomp",
        "worker_id",
        "testrun_uid",
        "benchmark",
        "anyio_backend",
        "event_loop",
        *_OURS,
        *(f"seatrial_{name}" for name in (*_OURS, "test")),
    }
)
"""Fixtures of pytest, of its most common plugins, and our own: those of a resource or a service have other names."""

APP_IN_EXCHANGES = "app"
"""What the project's own app is called where it asks or answers: a service has another name."""
