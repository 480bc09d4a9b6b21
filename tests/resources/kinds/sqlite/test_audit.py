"""The audit of SQLite reads everything by itself, and names whatever is not as it was."""

from __future__ import annotations

import ast
import contextlib
import inspect

import pytest

from seatrial.errors import IsolationError
from seatrial.resources.kinds.sqlite import audit as reading
from seatrial.resources.kinds.sqlite.audit import Audit

CHANGES = {
    "a row too many": ("INSERT INTO team (name) VALUES ('green')", ("rows", "team")),
    "a row gone": ("DELETE FROM player WHERE id = 5", ("rows", "player")),
    "a value": ("UPDATE player SET score = 2 WHERE id = 1", ("rows", "player")),
    "a value of another type": ("UPDATE player SET score = '1.0x' WHERE id = 1", ("rows", "player")),
    "another row number": ("UPDATE player SET id = 7 WHERE id = 5", ("rows", "player")),
    "a counter": ("UPDATE sqlite_sequence SET seq = 40", ("rows", "sqlite_sequence")),
    "a table without row numbers": ("UPDATE setting SET value = x'00'", ("rows", "setting")),
    "a text that is no text": ("UPDATE setting SET value = CAST(x'ff' AS TEXT)", ("rows", "setting")),
    "a new table": ("CREATE TABLE extra (a)", ("schema", "table extra")),
    "an index": ("CREATE INDEX fast ON player (score)", ("schema", "index fast")),
    "a column": ("ALTER TABLE player ADD COLUMN more", ("schema", "table player")),
    "a trigger": ("CREATE TRIGGER t AFTER DELETE ON team BEGIN SELECT 1; END", ("schema", "trigger t")),
    "a table gone": ("DROP TABLE player", ("schema", "table player")),
    "user_version": ("PRAGMA user_version = 8", ("pragma", "user_version")),
}


@pytest.fixture
def copy(store):
    with contextlib.closing(store.checkout("key", "db_1")) as copy:
        yield copy


def write(copy, script):
    with contextlib.closing(copy.connect()) as connection:
        connection.executescript(script)


@pytest.mark.parametrize("what", CHANGES)
def test_each_change_is_named_and_gone_after_the_undo(copy, what):
    script, expected = CHANGES[what]
    audit = Audit(copy.address.database)
    baseline = audit.baseline()
    assert audit.differences(baseline) == ()
    write(copy, script)
    assert expected in {(one.kind, one.name) for one in audit.differences(baseline)}
    copy.undo()
    assert audit.differences(baseline) == ()


def test_the_rows_are_shown(copy):
    audit = Audit(copy.address.database)
    baseline = audit.baseline()
    write(copy, "INSERT INTO team (name) VALUES ('green')")
    told = "\n".join(map(str, audit.differences(baseline)))
    assert "rows team: 3 rows, 2 in the baseline\n  (3, 3, b'green') is too many" in told


def test_who_keeps_the_audit_from_reading_is_told_and_nothing_is_vouched_for(copy, monkeypatch):
    monkeypatch.setattr(reading, "WAIT", 0.01)
    audit = Audit(copy.address.database)
    baseline = audit.baseline()
    with contextlib.closing(copy.connect()) as holder:
        wal = holder.execute("PRAGMA journal_mode").fetchone() == ("wal",)
        holder.execute("BEGIN EXCLUSIVE")
        if wal:  # there nobody keeps a reader out
            assert audit.differences(baseline) == ()
        else:
            with pytest.raises(IsolationError, match="could not read"):
                audit.differences(baseline)


def test_it_shares_nothing_with_the_undo():
    tree = ast.parse(inspect.getsource(reading))
    imported = {node.module or "" for node in ast.walk(tree) if isinstance(node, ast.ImportFrom)}
    assert {name for name in imported if name.startswith("seatrial")} == {
        "seatrial.errors",
        "seatrial.resources.auditing.comparison",
    }
