"""What a run holds of its resources between tests, where a server is away for a while or one of several fails."""

from __future__ import annotations

import contextlib
import sqlite3
from collections.abc import Iterator
from pathlib import Path

import pytest

from seatrial.config.load import load
from seatrial.control.leases.worker import RemoteTest
from seatrial.errors import IsolationError, ServerLost
from seatrial.harness.compose import compose
from seatrial.harness.harness import Harness
from seatrial.harness.run import Run

CONFIGURATION = """
[resources.db]
kind = "sqlite"
schema = "schema.sql"

[resources.notes]
kind = "sqlite"
schema = "schema.sql"
env = "NOTES_URL"
"""


@pytest.fixture
def harness(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Harness]:
    monkeypatch.setenv("SEATRIAL_CACHE", str(tmp_path / "cache"))
    (tmp_path / "schema.sql").write_text("CREATE TABLE t (a);")
    (tmp_path / "seatrial.toml").write_text(CONFIGURATION)
    harness = compose(load(tmp_path / "seatrial.toml", environ={}), Run.new(tmp_path), served=True)
    harness.start(harness.resources)
    with contextlib.closing(harness):
        yield harness


def write(harness: Harness) -> None:
    for name in harness.resources:
        with contextlib.closing(connect(harness, name)) as connection:
            connection.execute("INSERT INTO t VALUES (1)")
            connection.commit()


def connect(harness: Harness, name: str) -> sqlite3.Connection:
    return sqlite3.connect(harness.resources[name].plan.address.database)


def rows(harness: Harness) -> dict[str, int]:
    found = {}
    for name in harness.resources:
        with contextlib.closing(connect(harness, name)) as connection:
            [found[name]] = connection.execute("SELECT count(*) FROM t").fetchone()
    return found


def test_a_fixture_that_is_torn_down_while_the_server_is_away_keeps_no_later_test_from_it(harness: Harness) -> None:
    write(harness)
    assert harness.wider.lay("stock", "stock") == ("db", "notes")
    for managed in harness.resources.values():
        managed.supply.let_go()  # as where the server died, and could not be started again
    assert harness.wider.lift("stock", "stock") == ()
    harness.begin(RemoteTest("test_after"), {}, harness.resources)
    assert (rows(harness), harness.end()) == ({"db": 0, "notes": 0}, [])


@pytest.mark.parametrize("noticed", ["before the test", "as it begins"])
def test_a_test_inside_a_fixture_whose_rows_went_with_the_server_is_told_so_and_a_test_after_it_is_not(
    harness: Harness, monkeypatch: pytest.MonkeyPatch, noticed: str
) -> None:
    write(harness)
    harness.wider.lay("stock", "stock")
    managed = harness.resources["db"]
    if noticed == "before the test":
        managed._recover()
    else:
        monkeypatch.setattr(managed._copy, "mark", lost)
    with pytest.raises(IsolationError, match="with it went what stock wrote"):
        harness.begin(RemoteTest("test_inside"), {}, harness.resources)
    assert harness.end() == []
    harness.wider.lift("stock", "stock")
    harness.begin(RemoteTest("test_after"), {}, harness.resources)
    assert (rows(harness), harness.end()) == ({"db": 0, "notes": 0}, [])


def test_a_test_after_one_whose_database_was_kept_still_has_what_the_wider_fixture_around_both_wrote(
    harness: Harness,
) -> None:
    write(harness)
    harness.wider.lay("stock", "stock")
    harness.begin(RemoteTest("test_that_is_kept"), {}, harness.resources)
    write(harness)
    assert harness.end(keep=True) == []
    assert rows(harness) == {"db": 1, "notes": 1}
    harness.wider.lift("stock", "stock")
    assert rows(harness) == {"db": 0, "notes": 0}


def lost() -> None:
    raise ServerLost("the server is gone", fix="none")


def test_a_fixture_that_was_torn_down_too_early_is_not_missed_when_the_server_dies(harness: Harness) -> None:
    for name in ("below", "above"):
        write(harness)
        harness.wider.lay(name, name)
    with pytest.raises(IsolationError, match="below was torn down before above"):
        harness.wider.lift("below", "below")
    for managed in harness.resources.values():
        managed._recover()
    harness.wider.lift("above", "above")
    harness.begin(RemoteTest("test_after"), {}, harness.resources)
    assert (rows(harness), harness.end()) == ({"db": 0, "notes": 0}, [])


def test_what_a_broken_set_up_wrote_is_gone_from_each_resource_though_one_can_not_put_all_back(
    harness: Harness, monkeypatch: pytest.MonkeyPatch
) -> None:
    managed = harness.resources["db"]
    abandon = managed.abandon

    def reports(owner: object, name: str) -> None:
        abandon(owner, name)
        raise IsolationError("a role stays", cause="", fix="")

    monkeypatch.setattr(managed, "abandon", reports)
    write(harness)
    with pytest.raises(IsolationError, match="a role stays"):
        harness.wider.abandon("stock", "stock")
    assert rows(harness) == {"db": 0, "notes": 0}


def test_a_copy_whose_sessions_can_not_be_made_is_dropped_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Its name may be that of a database which stays, and which comes back with the first drop: see `at`."""
    monkeypatch.setenv("SEATRIAL_CACHE", str(tmp_path / "cache"))
    (tmp_path / "schema.sql").write_text("CREATE TABLE t (a);")
    (tmp_path / "settings.py").write_text("get_db = None\n")
    more = 'override = "settings:get_db"\nstart = "early"\n[resources.notes]'
    (tmp_path / "seatrial.toml").write_text(CONFIGURATION.replace("[resources.notes]", more))
    harness = compose(load(tmp_path / "seatrial.toml", environ={}), Run.new(tmp_path), served=False)
    with contextlib.closing(harness):
        harness.open()
        managed = harness.resources["db"]
        assert managed.supply.store is not None
        dropped: list[str] = []
        monkeypatch.setattr(managed.supply.store, "drop", dropped.append)
        harness.start(["db"])
        assert managed.failure is not None
        assert "get_db" in managed.failure.what
    assert dropped == [managed.plan.copy_name]
