"""What a test is told, and what is learnt of it, where its isolation was chosen for it."""

from __future__ import annotations

import contextlib
from pathlib import Path
from typing import Any, cast

import pytest

from seatrial import events
from seatrial.config.load import load
from seatrial.control.leases.worker import RemoteTest
from seatrial.errors import IsolationError, PastRollback, SeatrialError, ServerLost
from seatrial.harness.borders.choosing import Choosing
from seatrial.harness.borders.telling import Emitter
from seatrial.harness.compose import compose
from seatrial.harness.run import Run
from seatrial.isolation.choose import Chooser
from seatrial.isolation.history import History
from seatrial.isolation.protocol import Lease
from seatrial.resources.protocol import Undone

PAST = PastRollback("it wrote past its transaction", fix="none")
STAYS = IsolationError("a role stays", fix="none")
GONE = ServerLost("the server is gone", fix="none")


@pytest.mark.parametrize(
    ("errors", "told", "learnt"),
    [
        ([PAST], [], PAST.what),
        ([PAST, STAYS], [STAYS], PAST.what),
        ([STAYS], [STAYS], None),
        ([PAST, GONE], [PAST, GONE], None),  # it may have left its transaction because of that
    ],
)
def test_only_what_rollback_can_not_hold_is_forgiven_and_a_lost_server_says_nothing_of_the_next_run(
    tmp_path: Path, errors: list[SeatrialError], told: list[SeatrialError], learnt: str | None
) -> None:
    history = History(tmp_path / "history.json")
    choosing = Choosing("db", lambda: Chooser(history), Emitter("db", lambda _: None))
    choosing.choose("test", "auto", "", joinable=True, joins=True, copy=None)
    lease = Lease(test="test", copy=cast(Any, None), isolation="rollback", reason="made up", joined=True)
    left = list(errors)
    choosing.learn(lease, Undone(path="rollback"), left, 1.0, failed=False, kept=False)
    choosing.close()
    seen = History(tmp_path / "history.json").of("test")
    assert (left, seen and seen.past_rollback) == (told, learnt)


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
