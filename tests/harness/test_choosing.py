"""What `auto` learns is kept for the next run, and no run fails of that."""

from __future__ import annotations

import contextlib
from pathlib import Path

import pytest

from seatrial import events
from seatrial.config.load import load
from seatrial.control.leases.worker import RemoteTest
from seatrial.harness.compose import compose
from seatrial.harness.run import Run

CONFIGURATION = """
[resources.db]
kind = "sqlite"
schema = "schema.sql"
isolation = "auto"
"""


def test_what_can_not_be_kept_is_told_and_the_copy_is_dropped_all_the_same(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    cache = tmp_path / "cache"
    monkeypatch.setenv("SEATRIAL_CACHE", str(cache))
    (tmp_path / "schema.sql").write_text("CREATE TABLE t (a);")
    (tmp_path / "seatrial.toml").write_text(CONFIGURATION)
    told: list[events.Event] = []
    harness = compose(load(tmp_path / "seatrial.toml", environ={}), Run.new(tmp_path), served=True, emit=told.append)
    with contextlib.closing(harness):
        harness.begin(RemoteTest("test_a"), {}, ["db"])
        copy = Path(harness.resources["db"].plan.address.database)
        assert copy.exists()
        assert harness.end(last=True) == []
        (cache / "history").write_text("a file where the folder should be")
    assert not copy.exists()
    assert [event.text for event in told if isinstance(event, events.Note) and "could not be kept" in event.text]
