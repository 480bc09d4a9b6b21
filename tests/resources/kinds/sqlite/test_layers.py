"""A layer on a SQLite copy: what is committed in it is the baseline until the layer ends."""

from __future__ import annotations

import contextlib

import pytest

from seatrial.errors import IsolationError, ProviderError
from seatrial.resources.kinds.sqlite import copy as module
from seatrial.resources.protocol import SupportsLayers


def content(copy):
    with contextlib.closing(copy.connect()) as connection:
        names = [name for (name,) in connection.execute("SELECT name FROM sqlite_master WHERE type = 'table'")]
        return {name: connection.execute(f"SELECT * FROM {name} ORDER BY 1, 2").fetchall() for name in sorted(names)}


def write(copy, script):
    with contextlib.closing(copy.connect()) as connection:
        connection.executescript(script)


@pytest.fixture
def copy(store):
    store.build("a red team", "db", fill)
    with contextlib.closing(store.checkout("a red team", "db")) as copy:
        yield copy


def fill(target):
    target.execute(
        "CREATE TABLE team (id INTEGER PRIMARY KEY AUTOINCREMENT, name TEXT); INSERT INTO team (name) VALUES ('red')"
    )


def test_undo_leads_to_the_layer_and_pop_to_what_was_below(copy):
    assert isinstance(copy, SupportsLayers)
    bottom = content(copy)
    write(copy, "INSERT INTO team (name) VALUES ('of the layer'); CREATE TABLE extra (a, b)")
    copy.push()
    middle = content(copy)
    assert copy.late_writes() == ()
    write(copy, "INSERT INTO extra VALUES (1, 2); UPDATE team SET name = 'blue'")
    copy.push()
    for _ in range(2):
        write(copy, "DELETE FROM team; INSERT INTO extra VALUES (3, 4)")
        assert copy.undo().path == "copy"
        assert content(copy)["extra"] == [(1, 2)]
        copy.renew()
        assert content(copy)["team"] == [(1, "blue"), (2, "blue")]
    copy.pop()
    assert content(copy) == middle
    write(copy, "DROP TABLE extra")
    copy.undo()
    assert content(copy) == middle
    copy.pop()
    assert content(copy) == bottom
    assert copy.undo().path == "nothing"


def test_a_connection_that_is_open_stays_and_sees_each_baseline(copy):
    with contextlib.closing(copy.connect()) as connection:
        connection.execute("INSERT INTO team (name) VALUES ('layer')")
        connection.commit()
        copy.push()
        connection.execute("DELETE FROM team")
        connection.commit()
        copy.undo()
        assert connection.execute("SELECT count(*) FROM team").fetchone() == (2,)
        copy.pop()
        assert connection.execute("SELECT count(*) FROM team").fetchone() == (1,)


def test_a_transaction_that_is_open_refuses_the_layer(copy):
    with contextlib.closing(copy.connect()) as connection:
        connection.execute("INSERT INTO team (name) VALUES ('uncommitted')")
        with pytest.raises(IsolationError, match="can't become the baseline"):
            copy.push()
    copy.undo()
    assert content(copy)["team"] == [(1, "red")]


def test_a_layer_that_finds_no_room_says_so_and_the_baseline_stays(copy, monkeypatch):
    overwrite = module.overwrite

    def crowded(source, destination):
        destination.execute("PRAGMA max_page_count = 1")  # SQLite then says what it says of a full disk
        overwrite(source, destination)

    write(copy, "INSERT INTO team (name) VALUES ('blue')")
    monkeypatch.setattr(module, "overwrite", crowded)
    with pytest.raises(ProviderError, match="no room left"):
        copy.push()
    monkeypatch.undo()
    copy.undo()
    assert content(copy)["team"] == [(1, "red")]
