"""Whatever was written to a copy, by whomever, is gone after the undo, and nothing else has changed."""

from __future__ import annotations

import contextlib
import sqlite3
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from seatrial.errors import IsolationError, NeedsClone
from seatrial.resources.kinds.sqlite import differences
from seatrial.resources.kinds.sqlite.copy import SQLiteCopy
from seatrial.resources.kinds.sqlite.store import SQLiteStore
from seatrial.resources.protocol import SupportsClone, SupportsReset, SupportsRollback

from .conftest import dump


@pytest.fixture
def copy(store: SQLiteStore) -> Iterator[SQLiteCopy]:
    copy = store.checkout("key", "db_1")
    yield copy
    copy.close()


@pytest.fixture
def app(copy: SQLiteCopy) -> Iterator[sqlite3.Connection]:
    """The app's connection: it stays open from test to test, as one in a pool does."""
    with contextlib.closing(copy.connect()) as connection:
        yield connection


@pytest.fixture
def baseline(app: sqlite3.Connection) -> list[str]:
    state = dump(app)
    app.rollback()
    return state


def test_a_copy_can_reset_clone_and_hold_a_rollback_test(copy: SQLiteCopy) -> None:
    assert isinstance(copy, SupportsReset)
    assert isinstance(copy, SupportsClone)
    assert isinstance(copy, SupportsRollback)


def test_a_test_that_only_reads_costs_no_undo(copy: SQLiteCopy, app: sqlite3.Connection) -> None:
    app.execute("SELECT * FROM team").fetchall()
    assert copy.undo().path == "nothing"


def test_what_was_rolled_back_counts_as_nothing(copy: SQLiteCopy, app: sqlite3.Connection) -> None:
    app.execute("INSERT INTO team (name) VALUES ('green')")
    app.rollback()
    assert copy.undo().path == "nothing"


def test_committed_rows_are_undone_and_ids_start_again(
    copy: SQLiteCopy, app: sqlite3.Connection, baseline: list[str]
) -> None:
    for _ in range(3):
        assert app.execute("INSERT INTO team (name) VALUES ('green')").lastrowid == 3
        app.execute("DELETE FROM player")
        app.execute("UPDATE team SET name = 'RED' WHERE id = 1")
        app.commit()
        assert copy.undo().path == "copy"
        assert dump(app) == baseline


def test_ddl_versions_and_vacuum_are_undone_too(copy: SQLiteCopy, app: sqlite3.Connection, baseline: list[str]) -> None:
    app.executescript(
        "CREATE TABLE extra (a); ALTER TABLE team ADD COLUMN motto; DROP TABLE player; CREATE INDEX i ON team (name);"
        "PRAGMA user_version = 8; PRAGMA application_id = 1; VACUUM;"
    )
    copy.undo()
    assert dump(app) == baseline


def test_prepared_statements_of_an_open_connection_see_the_baseline(copy: SQLiteCopy, app: sqlite3.Connection) -> None:
    count = "SELECT count(*) FROM team"
    app.execute("INSERT INTO team (name) VALUES ('green')")
    app.commit()
    assert app.execute(count).fetchone() == (3,)
    copy.undo()
    assert app.execute(count).fetchone() == (2,)


def test_threads_and_second_connections_are_undone(
    copy: SQLiteCopy, app: sqlite3.Connection, baseline: list[str]
) -> None:
    def write() -> None:
        with contextlib.closing(copy.connect()) as connection, connection:
            connection.execute("INSERT INTO team (name) VALUES (?)", (threading.current_thread().name,))

    threads = [threading.Thread(target=write) for _ in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert copy.undo().path == "copy"
    assert dump(app) == baseline


def test_another_process_is_undone(make_store) -> None:
    store = make_store("")
    store.build("key", "db_1", lambda target: target.execute("CREATE TABLE t (a)"))
    copy = store.checkout("key", "db_1")
    script = "import sqlite3, sys; c = sqlite3.connect(sys.argv[1]); c.execute('INSERT INTO t VALUES (1)'); c.commit()"
    subprocess.run([sys.executable, "-c", script, copy.address.database], check=True)
    assert copy.undo().path == "copy"
    with contextlib.closing(copy.connect()) as connection:
        assert connection.execute("SELECT * FROM t").fetchall() == []
    copy.close()


def test_a_write_that_comes_after_the_undo_is_late_and_its_table_is_named(
    copy: SQLiteCopy, app: sqlite3.Connection
) -> None:
    copy.undo()
    assert copy.late_writes() == ()
    app.execute("UPDATE team SET name = 'Red' WHERE id = 1")
    app.execute("UPDATE setting SET value = 'blue'")
    app.commit()
    assert copy.late_writes() == ("setting", "team")
    copy.undo()
    assert copy.late_writes() == ()


def test_a_late_write_behind_a_zero_in_a_text_is_one(copy: SQLiteCopy, app: sqlite3.Connection) -> None:
    app.execute("UPDATE setting SET value = value || char(0) || 'a'")
    app.commit()
    copy.push()
    app.execute("UPDATE setting SET value = replace(value, 'a', 'b')")
    app.commit()
    assert copy.late_writes() == ("setting",)
    copy.pop()


def test_late_housekeeping_of_the_file_is_told_as_the_schema(copy: SQLiteCopy, app: sqlite3.Connection) -> None:
    app.executescript("PRAGMA auto_vacuum = FULL; VACUUM")
    assert copy.late_writes() == ("sqlite_schema",)


def test_late_ddl_is_told_as_the_schema(copy: SQLiteCopy, app: sqlite3.Connection) -> None:
    app.execute("CREATE TABLE extra (a)")
    assert copy.late_writes() == ("sqlite_schema",)


def test_a_late_write_that_took_itself_back_is_none(copy: SQLiteCopy, app: sqlite3.Connection) -> None:
    app.execute("INSERT INTO player VALUES (9, 1, 0)")
    app.commit()
    app.execute("DELETE FROM player WHERE id = 9")
    app.commit()
    assert copy.late_writes() == ()


def test_a_rollback_test_that_commits_is_seen(copy: SQLiteCopy, app: sqlite3.Connection) -> None:
    copy.mark()
    app.execute("INSERT INTO team (name) VALUES ('green')")
    app.rollback()
    assert copy.uncommitted_only()
    app.execute("INSERT INTO team (name) VALUES ('green')")
    app.commit()
    assert not copy.uncommitted_only()


@pytest.mark.parametrize("at", ["", "sqlite://"])
def test_a_connection_that_sets_wal_mode_in_a_rollback_test_has_committed_nothing(make_store, at: str) -> None:
    store = make_store(at)
    store.build("key", "db_1", lambda target: target.execute("CREATE TABLE t (a)"))
    with contextlib.closing(store.checkout("key", "db_1")) as copy, contextlib.closing(copy.connect()) as app:
        copy.undo()
        copy.mark()
        app.execute("PRAGMA journal_mode = WAL")
        assert copy.uncommitted_only()
        assert copy.undo().path == "nothing"
        app.execute("INSERT INTO t VALUES (1)")
        app.commit()
        assert not copy.uncommitted_only()


def test_whether_a_test_has_committed_is_found_out_without_a_look_at_each_row(
    copy: SQLiteCopy, app: sqlite3.Connection, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It is asked after each test that is marked for a clone, which is made sooner than tables are compared."""
    monkeypatch.setattr(differences, "tables", lambda *_: pytest.fail("it compares each row"))
    copy.mark()
    app.execute("UPDATE setting SET value = 'committed'")
    app.commit()
    assert not copy.uncommitted_only()


def test_a_writer_that_never_ends_needs_a_clone_and_writes_nowhere(
    copy: SQLiteCopy, app: sqlite3.Connection, baseline: list[str]
) -> None:
    """Its transaction can't be ended from outside: the file changes, and its commit goes to the old one."""
    app.execute("INSERT INTO team (name) VALUES ('green')")
    with pytest.raises(NeedsClone, match="a connection of this process still held a transaction"):
        copy.undo()
    if "vfs=memdb" in copy.address.database:
        with pytest.raises(IsolationError, match="in-memory database can't be brought back"):
            copy.renew()
        app.commit()
        assert copy.late_writes() == ("sqlite_sequence", "team")
        assert copy.undo().path == "copy"
        assert dump(app) == baseline
        return
    copy.renew()
    with contextlib.suppress(sqlite3.OperationalError):
        app.commit()
    app.close()
    with contextlib.closing(copy.connect()) as fresh:
        assert dump(fresh) == baseline
        fresh.execute("INSERT INTO team (name) VALUES ('green')")
        fresh.commit()
        assert copy.undo().path == "copy"
        assert dump(fresh) == baseline


def test_a_reader_that_never_ends_does_not_keep_the_baseline_away(
    copy: SQLiteCopy, app: sqlite3.Connection, baseline: list[str]
) -> None:
    """In WAL mode it is passed by; with a rollback journal it needs a clone."""
    with contextlib.closing(copy.connect()) as writer:
        writer.execute("INSERT INTO team (name) VALUES ('green')")
        writer.commit()
    app.execute("BEGIN")
    app.execute("SELECT * FROM team").fetchall()
    try:
        copy.undo()
    except NeedsClone:
        if "vfs=memdb" in copy.address.database:
            app.rollback()
        copy.renew()
    app.close()
    with contextlib.closing(copy.connect()) as fresh:
        assert dump(fresh) == baseline


def test_a_holder_in_another_process_is_named(make_store) -> None:
    store = make_store("")
    store.build("key", "db_1", lambda target: target.execute("CREATE TABLE t (a)"))
    copy = store.checkout("key", "db_1")
    script = (
        "import sqlite3, sys; c = sqlite3.connect(sys.argv[1], isolation_level=None); c.execute('BEGIN IMMEDIATE');"
        "print('holding', flush=True); sys.stdin.read()"
    )
    argv = [sys.executable, "-c", script, copy.address.database]
    with subprocess.Popen(argv, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as holder:
        assert holder.stdout is not None
        holder.stdout.readline()
        with pytest.raises(NeedsClone, match=f"process {holder.pid} still held a transaction"):
            copy.undo()
        holder.communicate("")
    copy.renew()
    copy.close()


def test_an_app_that_sets_wal_mode_keeps_it_and_a_clone_has_the_templates_again(make_store) -> None:
    store = make_store("")
    store.build("key", "db_1", lambda target: target.execute("CREATE TABLE t (a)"))
    copy = store.checkout("key", "db_1")
    with contextlib.closing(copy.connect()) as app:
        assert app.execute("PRAGMA journal_mode = WAL").fetchone() == ("wal",)
        app.execute("INSERT INTO t VALUES (1)")
        app.commit()
        assert copy.undo().path == "copy"
        assert app.execute("PRAGMA journal_mode").fetchone() == ("wal",)
        assert app.execute("SELECT * FROM t").fetchall() == []
    copy.renew()
    with contextlib.closing(copy.connect()) as fresh:
        assert fresh.execute("PRAGMA journal_mode").fetchone() == ("delete",)
    copy.close()


def test_a_changed_page_size_needs_a_clone(make_store) -> None:
    store = make_store("")
    store.build("key", "db_1", lambda target: target.execute("CREATE TABLE t (a)"))
    copy = store.checkout("key", "db_1")
    with contextlib.closing(copy.connect()) as app:
        app.execute("PRAGMA page_size = 8192")
        app.execute("VACUUM")
    with pytest.raises(NeedsClone, match="page size"):
        copy.undo()
    copy.renew()
    with contextlib.closing(copy.connect()) as fresh:
        assert fresh.execute("PRAGMA page_size").fetchone() == (4096,)
    assert copy.undo().path == "nothing"
    copy.close()


def test_a_file_that_the_test_deleted_or_spoilt_comes_back(make_store) -> None:
    store = make_store("")
    store.build("key", "db_1", lambda target: target.execute("CREATE TABLE t (a)"))
    copy = store.checkout("key", "db_1")
    path = Path(copy.address.database)
    for spoil in (path.unlink, lambda: path.write_bytes(b"this is no database" * 500)):
        spoil()
        with pytest.raises(NeedsClone):
            copy.undo()
        copy.renew()
        with contextlib.closing(copy.connect()) as fresh:
            assert fresh.execute("SELECT * FROM t").fetchall() == []
    copy.close()


STATEMENTS = st.sampled_from(
    [
        "INSERT INTO team (name) VALUES (hex(randomblob(8)))",
        "INSERT INTO player (team_id, score) SELECT id, random() FROM team",
        "UPDATE player SET score = score + 1",
        "UPDATE setting SET value = randomblob(5000)",
        "DELETE FROM team WHERE id % 2",
        "DELETE FROM sqlite_sequence",
        "DROP TABLE IF EXISTS player",
        "CREATE TABLE IF NOT EXISTS player (id INTEGER PRIMARY KEY, team_id, score)",
        "CREATE TABLE IF NOT EXISTS extra AS SELECT * FROM team",
        "CREATE TRIGGER IF NOT EXISTS tr AFTER DELETE ON team BEGIN DELETE FROM setting; END",
        "REINDEX",
        "ANALYZE",
        "PRAGMA user_version = 99",
        "PRAGMA journal_mode = WAL",
        "PRAGMA journal_mode = DELETE",
        "PRAGMA foreign_keys = ON",
        "VACUUM",
        "BEGIN",
        "COMMIT",
        "ROLLBACK",
    ]
)


@settings(max_examples=60)
@given(st.lists(st.tuples(st.integers(0, 2), STATEMENTS), max_size=15))
def test_any_workload_on_three_connections_is_undone(store: SQLiteStore, work: list[tuple[int, str]]) -> None:
    with contextlib.closing(store.checkout("key", "db_1")) as copy:
        with contextlib.closing(copy.connect()) as first:
            baseline = dump(first)
        connections = [
            sqlite3.connect(copy.address.database, uri=True, timeout=0, isolation_level=None) for _ in range(3)
        ]
        for number, statement in work:
            with contextlib.suppress(sqlite3.Error):
                connections[number].execute(statement).fetchall()
        for connection in connections:
            connection.close()
        with contextlib.suppress(NeedsClone):
            copy.undo()
        if copy.late_writes():
            copy.renew()
        with contextlib.closing(copy.connect()) as fresh:
            assert dump(fresh) == baseline
            assert fresh.execute("PRAGMA integrity_check").fetchall() == [("ok",)]
