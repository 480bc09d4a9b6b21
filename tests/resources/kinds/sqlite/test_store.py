"""Templates are built once and only used whole; copies never stand in the place of somebody's file."""

from __future__ import annotations

import contextlib
import signal
import sqlite3
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from seatrial.errors import ConfigError, ProviderError, Refused, TemplateError
from seatrial.resources.kinds.sqlite import SQLite
from seatrial.resources.kinds.sqlite.store import SQLiteStore
from seatrial.resources.protocol import Kind, Requirements, Serverless, SupportsKeep, Target

from .conftest import SCHEMA, fill


def rows(copy, table: str = "team") -> list[tuple]:
    with contextlib.closing(copy.connect()) as connection:
        return connection.execute(f"SELECT * FROM {table}").fetchall()


def test_the_kind_needs_no_server() -> None:
    kind: Kind = SQLite()
    assert isinstance(kind, Serverless)
    assert kind.spec(Requirements.of(project=Path.cwd())).program is None


def test_the_address_is_known_before_anything_is_made(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SEATRIAL_CACHE", str(tmp_path))
    kind = SQLite()
    spec = kind.spec(Requirements.of(project=tmp_path))
    endpoint = kind.endpoint(spec)
    address = kind.copy_address(endpoint, spec, "db_1")
    assert endpoint.version == sqlite3.sqlite_version
    assert not Path(address.database).parent.exists()
    with contextlib.closing(kind.open(endpoint, spec)) as store:
        store.build("key", "db_1", fill)
        with contextlib.closing(store.checkout("key", "db_1")) as copy:
            assert copy.address == address
            assert rows(copy) == [(1, "red"), (2, "blue")]
        store.drop("db_1")
        assert not Path(address.database).exists()
    assert not Path(address.database).parent.exists()


def test_a_template_lasts_and_another_process_uses_it(make_store) -> None:
    first, second = make_store(""), make_store("")
    assert not first.find("key")
    assert first.build("key", "db_1", fill)
    assert second.find("key")
    assert not second.build("key", "db_1", fill)
    with contextlib.closing(second.checkout("key", "db_1")) as copy:
        assert rows(copy) == [(1, "red"), (2, "blue")]


def test_a_failing_step_leaves_no_template_and_no_file(make_store, tmp_path: Path) -> None:
    store = make_store("sqlite:///test.db")

    def fail(target: Target) -> None:
        target.execute("CREATE TABLE half (a)")
        target.execute("CREATE TABLE half (a)")

    with pytest.raises(sqlite3.OperationalError, match="already exists"):
        store.build("key", "db_1", fail)
    assert not store.find("key")
    assert list(tmp_path.glob("test.db*")) == []
    assert list((tmp_path / "cache" / "sqlite" / "templates").glob("*.db")) == []
    assert store.build("key", "db_1", fill)


DYING = """
import os, sqlite3, sys
from pathlib import Path
from seatrial.resources.kinds.sqlite import SQLite, store
from seatrial.resources.protocol import Requirements
overwrite = store.overwrite
def dying(source, destination):
    overwrite(source, destination)
    if ".partial" in destination.execute("pragma database_list").fetchone()[2]:
        destination.isolation_level = None
        destination.executescript("pragma cache_size = 1; begin; create table half as select zeroblob(100000) a")
        os.kill(os.getpid(), 9)
store.overwrite = dying
kind = SQLite()
spec = kind.spec(Requirements.of(project=Path(sys.argv[1])))
opened = kind.open(kind.endpoint(spec), spec)
opened.build("key", "db_1", lambda target: target.execute("create table t (a)"))
"""


@pytest.mark.parametrize("next_key", ["key", "another"])
def test_what_a_builder_that_is_killed_leaves_goes_with_the_next_template_that_is_made(make_store, tmp_path, next_key):
    store, templates = make_store(""), tmp_path / "cache" / "sqlite" / "templates"
    killed = subprocess.run([sys.executable, "-c", DYING, tmp_path], capture_output=True, text=True, check=False)
    assert killed.returncode == -signal.SIGKILL, killed.stderr
    assert any(path.name.endswith("-journal") for path in templates.iterdir())
    assert store.build(next_key, "db_1", fill)
    with contextlib.closing(store.checkout(next_key, "db_1")) as copy:
        assert rows(copy) == [(1, "red"), (2, "blue")]
    assert {path.suffix for path in templates.iterdir()} == {".db", ".lock"}


def test_two_builders_at_once_build_one_template(make_store) -> None:
    stores = [make_store("") for _ in range(4)]
    built: list[bool] = []
    fills: list[str] = []

    def build(store: SQLiteStore) -> None:
        def once(target: Target) -> None:
            fills.append(target.address.database)
            fill(target)

        built.append(store.build("key", "db_1", once))

    threads = [threading.Thread(target=build, args=(store,)) for store in stores]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(built) == [False, False, False, True]
    assert len(fills) == 1


def test_steps_run_at_the_address_of_the_copy_and_their_open_connections_stay_good(store: SQLiteStore) -> None:
    """A seed that goes through the app's own pool leaves a connection open: it must not be on another file."""
    pooled: list[sqlite3.Connection] = []

    def seed(target: Target) -> None:
        target.execute(SCHEMA)
        pool = sqlite3.connect(target.address.database, uri=target.address.database.startswith("file:"))
        pool.execute("INSERT INTO team (name) VALUES ('green')")
        pool.commit()
        pooled.append(pool)

    store.build("seeded", "db_1", seed)
    with contextlib.closing(pooled[0]) as pool, contextlib.closing(store.checkout("seeded", "db_1")) as copy:
        pool.execute("INSERT INTO team (name) VALUES ('late')")
        pool.commit()
        assert len(rows(copy)) == 4
        copy.undo()
        assert len(rows(copy)) == 3


def test_a_step_that_leaves_a_transaction_open_contributes_what_it_committed(make_store) -> None:
    store = make_store("")
    left: list[sqlite3.Connection] = []

    def seed(target: Target) -> None:
        target.execute(SCHEMA)
        left.append(sqlite3.connect(target.address.database))
        left[0].execute("INSERT INTO team (name) VALUES ('green')")

    store.build("key", "db_1", seed)
    with contextlib.closing(left[0]), contextlib.closing(store.checkout("key", "db_1")) as copy:
        assert rows(copy) == [(1, "red"), (2, "blue")]


def test_somebodys_file_is_never_overwritten(make_store, tmp_path: Path) -> None:
    path = tmp_path / "test.db"
    with contextlib.closing(sqlite3.connect(path)) as theirs, theirs:
        theirs.execute("CREATE TABLE precious (a)")
    content = path.read_bytes()
    store = make_store("sqlite:///test.db")
    for touch in (lambda: store.build("key", "db_1", fill), lambda: store.drop("db_1")):
        with pytest.raises(Refused, match="not ours to overwrite") as refusal:
            touch()
        assert refusal.value.fix
    assert path.read_bytes() == content


def test_a_file_put_in_the_place_of_ours_is_somebodys(make_store, tmp_path: Path) -> None:
    store = make_store("sqlite:///test.db")
    store.build("key", "db_1", fill)
    path = tmp_path / "test.db"
    with contextlib.closing(store.checkout("key", "db_1")) as copy:
        path.unlink()
        path.write_bytes(b"somebody's notes")
        with pytest.raises(Refused):
            copy.renew()
        assert path.read_bytes() == b"somebody's notes"


def test_a_link_is_not_followed(make_store, tmp_path: Path) -> None:
    theirs = tmp_path / "theirs.db"
    theirs.write_bytes(b"")
    (tmp_path / "test.db").symlink_to(theirs)
    with pytest.raises(Refused):
        make_store("sqlite:///test.db").build("key", "db_1", fill)


def test_a_file_left_by_a_crash_is_known_as_ours(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, make_store) -> None:
    monkeypatch.setenv("SEATRIAL_CACHE", str(tmp_path / "cache"))
    script = """
import os, sys
from pathlib import Path
from seatrial.resources.kinds.sqlite import SQLite
from seatrial.resources.protocol import Requirements
kind = SQLite()
for at in ("sqlite:///test.db", ""):
    spec = kind.spec(Requirements.of(project=Path(sys.argv[1]), at=at))
    endpoint = kind.endpoint(spec)
    store = kind.open(endpoint, spec)
    store.build("key", "db_1", lambda target: target.execute("PRAGMA journal_mode = WAL; CREATE TABLE t (a)"))
    copy = store.checkout("key", "db_1")
    connection = copy.connect()
    connection.execute("INSERT INTO t VALUES (1)")
    connection.commit()
print(endpoint.admin.database, flush=True)
os._exit(1)
"""
    crashed = subprocess.run([sys.executable, "-c", script, tmp_path], capture_output=True, text=True, check=False)
    folder = Path(crashed.stdout.strip())
    assert folder.is_dir(), crashed.stderr
    assert (tmp_path / "test.db-wal").exists()
    store = make_store("sqlite:///test.db")
    assert not folder.exists(), "the folder of a dead process goes with the next start"
    with contextlib.closing(store.checkout("key", "db_1")) as copy:
        assert rows(copy, "t") == []
    store.drop("db_1")
    assert list(tmp_path.glob("test.db*")) == []


def test_one_file_serves_one_run_at_a_time(make_store) -> None:
    make_store("sqlite:///test.db")
    with pytest.raises(Refused, match="is in use"):
        make_store("sqlite:///./test.db")


def test_a_folder_that_is_not_there_is_told(make_store) -> None:
    with pytest.raises(ProviderError, match="no database can be served"):
        make_store("sqlite:///missing/test.db").build("key", "db_1", fill)


def test_a_kept_copy_outlives_the_run_and_ten_are_kept(store: SQLiteStore) -> None:
    assert isinstance(store, SupportsKeep)
    kept = []
    for number in range(12):
        with contextlib.closing(store.checkout("key", "db_1")) as copy:
            with contextlib.closing(copy.connect()) as connection, connection:
                connection.execute("INSERT INTO team (name) VALUES (?)", (f"team {number}",))
            kept.append(Path(store.keep("db_1", f"kept_{number}").database))
    store.close()
    assert [path.exists() for path in kept] == [False, False, *[True] * 10]
    with contextlib.closing(sqlite3.connect(kept[-1])) as connection:
        assert connection.execute("SELECT name FROM team WHERE id = 3").fetchall() == [("team 11",)]


def test_a_copy_that_is_kept_for_ever_is_not_counted_among_the_ten(store: SQLiteStore) -> None:
    kept = []
    for number in range(12):
        store.checkout("key", "db_1").close()
        kept.append(Path(store.keep("db_1", f"kept_{number}", forever=not number).database))
    assert [path.exists() for path in kept] == [True, False, *[True] * 10]


@pytest.mark.parametrize(
    ("wanted", "told"),
    [
        ({"url": "sqlite:///real.db"}, "can't use a `url`"),
        ({"extensions": ("vector",)}, "no `extensions`"),
        ({"at": "postgresql://localhost/x"}, "no address of a SQLite database"),
        ({"at": "sqlite://host/x"}, "no address of a SQLite database"),
    ],
)
def test_what_only_a_server_has_is_refused(wanted: dict[str, object], told: str, tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=told) as error:
        SQLite().spec(Requirements.of(project=tmp_path, **wanted))
    assert error.value.fix


def test_a_version_that_this_python_lacks_is_told(tmp_path: Path) -> None:
    kind = SQLite()
    with pytest.raises(ProviderError, match=">=99"):
        kind.endpoint(kind.spec(Requirements.of(project=tmp_path, version=">=99")))


def test_a_role_is_refused(make_store, tmp_path: Path) -> None:
    kind = SQLite()
    spec = kind.spec(Requirements.of(project=tmp_path))
    with pytest.raises(ConfigError, match="no `role`"):
        kind.open(kind.endpoint(spec), spec, role="reader")


def test_sqlalchemy_reaches_every_copy_by_its_url(store: SQLiteStore) -> None:
    import sqlalchemy as sa

    with contextlib.closing(store.checkout("key", "db_1")) as copy:
        engine = sa.create_engine(copy.address.url("pysqlite"))
        with engine.begin() as connection:
            connection.execute(sa.text("INSERT INTO team (name) VALUES ('green')"))
        assert len(rows(copy)) == 3
        copy.undo()
        with engine.connect() as connection:
            assert connection.scalar(sa.text("SELECT count(*) FROM team")) == 2
        engine.dispose()


def test_a_template_that_nobody_can_seal_is_an_error(make_store) -> None:
    store = make_store("sqlite://")
    left: list[sqlite3.Connection] = []

    def seed(target: Target) -> None:
        target.execute("CREATE TABLE t (a)")
        left.append(sqlite3.connect(target.address.database, uri=True))
        left[0].execute("BEGIN EXCLUSIVE")
        left[0].execute("INSERT INTO t VALUES (1)")

    with pytest.raises(TemplateError, match="can't be sealed"):
        store.build("key", "db_1", seed)
    left[0].close()
    assert not store.find("key")


def test_durable_means_on_the_disk_and_not_in_memory(tmp_path, monkeypatch):
    monkeypatch.setenv("SEATRIAL_CACHE", str(tmp_path))
    kind = SQLite()
    places = [
        Path(kind.endpoint(kind.spec(Requirements(project=tmp_path, durable=durable))).admin.database)
        for durable in (True, False)
    ]
    assert places[0].is_relative_to(tmp_path)
    if Path("/dev/shm").is_dir():
        assert places[1].is_relative_to("/dev/shm")
