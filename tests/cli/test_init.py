"""What `seatrial init` writes, refuses, and tells."""

from __future__ import annotations

import os
import subprocess
import sys
import tomllib

import pytest

from seatrial.config.find import find
from seatrial.config.keys import KindFacts, Known
from seatrial.config.load import load

MAIN = {"main.py": "from fastapi import FastAPI\napp = FastAPI()\n"}
KNOWN = Known(
    kinds={"postgres": KindFacts(env="DATABASE_URL"), "sqlite": KindFacts(env="DATABASE_URL", serverless=True)},
    providers=("embedded",),
)


@pytest.mark.parametrize(
    "before", ["[project]\nname = 'x'\n", "# only this", "", "[project]\r\nname = 'x'\r\n", "\ufeff[project]\n"]
)
def test_the_tables_are_added_and_nothing_else_is_touched(shape, before):
    shape.files(MAIN)
    file = shape.folder / "pyproject.toml"
    file.write_bytes(before.encode())
    shape.init()
    after = file.read_bytes()
    assert after.startswith(before.encode())
    assert tomllib.loads(after.decode("utf-8-sig"))["tool"]["seatrial"]["app"] == "main:app"
    assert (b"\r\n" in after) == ("\r\n" in before)
    assert after.count(b"\r\n") in (0, after.count(b"\n"))


def test_what_is_written_is_a_valid_configuration(shape):
    shape.files(MAIN).init()
    source = find(shape.folder)
    assert source == shape.folder / "seatrial.toml"
    config = load(source, environ={}, known=KNOWN)
    assert (config.app, config.resources[0].kind) == ("main:app", "postgres")


def test_a_dry_run_writes_nothing_and_shows_what_it_would(shape):
    shape.files(MAIN)
    status, out, _ = shape.run("init", str(shape.folder), "--dry-run")
    assert status == 0
    assert 'app = "main:app"' in out
    assert not (shape.folder / "seatrial.toml").exists()


@pytest.mark.parametrize(
    ("file", "text"),
    [("pyproject.toml", "[tool.seatrial]\n"), ("seatrial.toml", ""), ("package.json", '{"seatrial": {"idle": 5}}')],
)
def test_a_configured_project_is_refused(shape, file, text):
    shape.files({**MAIN, file: text})
    status, out, err = shape.run("init", str(shape.folder))
    assert status == 2
    assert out == ""
    assert f"error: {shape.folder / file} already configures Seatrial" in err
    assert "fix: edit it" in err
    assert (shape.folder / file).read_text() == text


def test_a_file_that_can_not_take_a_table_stays_as_it_is(shape):
    text = 'tool = { other = { key = "value" } }\n'
    shape.files({**MAIN, "pyproject.toml": text})
    status, _, err = shape.run("init", str(shape.folder))
    assert status == 2
    assert "can't take another table at its end" in err
    assert 'app = "main:app"' in err
    assert "in a seatrial.toml they stand without `tool.seatrial`" in err
    assert (shape.folder / "pyproject.toml").read_text() == text


def test_a_folder_that_is_none_is_told(shape):
    status, _, err = shape.run("init", str(shape.folder / "nowhere"))
    assert status == 2
    assert "nowhere is no folder" in err


def test_each_value_is_shown_with_its_place_and_reason(shape):
    models = {"models.py": "from sqlalchemy.orm import DeclarativeBase\nclass Base(DeclarativeBase): ...\n"}
    _, out, _ = shape.files(MAIN | models).run("init", str(shape.folder))
    assert "app       main.py:2: app = FastAPI(...)" in out
    assert "override  nothing was found: fill it in" in out
    assert "\x1b[" not in out


GOLDEN = """\
Would be written to {folder}/seatrial.toml:

    app = "main:app"

    [resources.db]
    kind = "postgres"
    schema = "schema.sql"
    # override = "app.database:get_db"  # what yields a session, if any
    env = "SHOP_DB_URL"

Why:
  app       main.py:3: app = FastAPI(...); started as main:app in Procfile:1
              not taken: admin:app (admin.py:2: app = FastAPI(...))
  kind      requirements.txt:1: the project depends on psycopg2-binary
  schema    schema.sql:1: SQL that creates tables
  env       main.py:4: read by os.environ
  override  nothing was found: fill it in, or leave it out where the project has none

Fixtures that do by hand what Seatrial does:
  tests/conftest.py:6 `client`: an HTTP client of the app.
    delete it if it does nothing else: `client` is always there (a fixture of yours by that name wins)

Next: `seatrial doctor` checks whether a test database works; then run pytest.
"""


def test_the_whole_of_what_people_read(shape):
    shape.files(
        {
            "admin.py": "from fastapi import FastAPI\napp = FastAPI()\n",
            "main.py": "import os\nfrom fastapi import FastAPI\napp = FastAPI()\nurl = os.environ['SHOP_DB_URL']\n",
            "Procfile": "web: uvicorn main:app\n",
            "requirements.txt": "psycopg2-binary\n",
            "schema.sql": "create table users (id int);\n",
            "store.py": "from sqlalchemy import text\n",
            "tests/conftest.py": """
                import pytest
                from fastapi.testclient import TestClient
                from main import app

                @pytest.fixture
                def client():
                    return TestClient(app)
            """,
        }
    )
    status, out, err = shape.run("init", str(shape.folder), "--dry-run")
    assert (status, err) == (0, "")
    assert out == GOLDEN.format(folder=shape.folder)


CONFTEST = """
import pytest
from fastapi.testclient import TestClient
from sqlalchemy import create_engine, event
from sqlalchemy.orm import Session
from testcontainers.postgres import PostgresContainer
from app import Base, app, get_db

@pytest.fixture(scope="session")
def server():
    with PostgresContainer("postgres:16") as container:
        yield container

@pytest.fixture
def memory():
    engine = create_engine("sqlite:///:memory:")
    Base.metadata.create_all(engine)
    yield engine
    Base.metadata.drop_all(engine)

@pytest.fixture
def plain(engine):
    session = Session(engine)
    yield session
    session.rollback()

@pytest.fixture
def nested(engine):
    session = Session(engine)
    session.begin_nested()
    yield session
    session.rollback()

@pytest.fixture
def outer(engine):
    connection = engine.connect()
    transaction = connection.begin()
    session = Session(bind=connection)
    yield session
    session.close()
    transaction.rollback()

@pytest.fixture
def listener(engine):
    connection = engine.connect()
    transaction = connection.begin()
    session = Session(bind=connection)
    session.begin_nested()

    @event.listens_for(session, "after_transaction_end")
    def restart(session, transaction):
        session.begin_nested()

    yield session
    transaction.rollback()

@pytest.fixture
def savepoint(engine):
    connection = engine.connect()
    transaction = connection.begin()
    session = Session(bind=connection, join_transaction_mode="create_savepoint")
    yield session
    transaction.rollback()

@pytest.fixture
def client(plain):
    app.dependency_overrides[get_db] = lambda: plain
    yield TestClient(app)
    app.dependency_overrides.clear()

@pytest.fixture
def emptied(engine):
    yield
    with engine.begin() as connection:
        for table in reversed(Base.metadata.sorted_tables):
            connection.execute(table.delete())

@pytest.fixture
def unrelated():
    return 3
"""


def test_fixtures_that_can_be_deleted_are_named_with_what_they_leave_open(shape):
    said = shape.files({**MAIN, "tests/conftest.py": CONFTEST}).init()
    found = {(one["fixture"], one["pattern"]) for one in said["replaced"]}
    assert found == {
        ("server", "testcontainers"),
        ("memory", "SQLite in memory in the place of the real database"),
        ("memory", "create_all and drop_all in a fixture"),
        ("plain", "Session(engine), rolled back at the end"),
        ("nested", "session.begin_nested(), rolled back at the end"),
        ("outer", "an outer transaction with SQLAlchemy's default join mode"),
        ("listener", "the recipe of SQLAlchemy 1.x, with a listener that reopens savepoints"),
        ("savepoint", 'an outer transaction, join_transaction_mode="create_savepoint"'),
        ("client", "app.dependency_overrides set by hand, with the test's own session"),
        ("client", "an HTTP client of the app"),
        ("emptied", "tables emptied after each test"),
    }
    (outer,) = [one for one in said["replaced"] if one["fixture"] == "outer"]
    assert "leaks" in outer["today"]
    assert outer["from"].startswith("tests/conftest.py:")


def test_nothing_of_the_project_is_imported(shape):
    shape.files({"main.py": "from fastapi import FastAPI\napp = FastAPI()\nopen('imported', 'w')\n"})
    done = subprocess.run(
        [sys.executable, "-m", "seatrial", "init"], cwd=shape.folder, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    assert not (shape.folder / "imported").exists()


@pytest.mark.parametrize(
    ("file", "text", "table"),
    [
        ("seatrial.toml", 'app = "main:app"\n', "[resources.db]"),
        ("pyproject.toml", '[tool.seatrial]\napp = "main:app"\n', "[tool.seatrial.resources.db]"),
    ],
)
def test_a_configuration_without_resources_is_told_which_table_to_add_to_it(shape, file, text, table):
    shape.files({file: text})
    status, _, err = shape.run("doctor", "-C", str(shape.folder), "--no-start")
    assert status == 2
    assert f'add a table {table} with kind = "postgres"' in err


@pytest.mark.parametrize(
    ("arguments", "told"),
    [(("--dry-run",), 0), (("--json", "nowhere"), 2)],
    ids=["a result", "an error, which is told as text"],
)
def test_who_stops_reading_what_is_printed_gets_no_traceback(shape, arguments, told):
    """As `seatrial doctor | head -1` does."""
    shape.files(MAIN)
    argv = [sys.executable, "-m", "seatrial", "init", *arguments]
    with subprocess.Popen(argv, stdout=subprocess.PIPE, stderr=subprocess.PIPE, cwd=shape.folder) as process:
        process.stdout.close()
        lines = process.stderr.read().splitlines()
    assert len(lines) == told, lines
    assert process.returncode == 141


def test_a_missing_command_and_the_version(shape, capsys):
    with pytest.raises(SystemExit) as ended:
        shape.run()
    assert ended.value.code == 2
    with pytest.raises(SystemExit) as ended:
        shape.run("--version")
    assert ended.value.code == 0
    assert capsys.readouterr().out.startswith("seatrial ")


def test_colour_is_for_terminals_only_and_can_be_refused(shape):
    pty = pytest.importorskip("pty")
    shape.files(MAIN)

    def on_a_terminal(**environ: str) -> bytes:
        ours, theirs = pty.openpty()
        environment = {name: value for name, value in os.environ.items() if name != "NO_COLOR"}
        process = subprocess.Popen(
            [sys.executable, "-m", "seatrial", "init", "--dry-run"],
            cwd=shape.folder, stdout=theirs, env={**environment, "TERM": "xterm", **environ},
        )  # fmt: skip
        os.close(theirs)
        seen = b""
        while True:
            try:
                chunk = os.read(ours, 65536)
            except OSError:
                break
            if not chunk:
                break
            seen += chunk
        os.close(ours)
        assert process.wait() == 0
        return seen

    assert b"\x1b[" in on_a_terminal()
    assert b"\x1b[" not in on_a_terminal(NO_COLOR="1")
