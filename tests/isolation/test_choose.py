"""With `isolation = "auto"` a test gets what fits what it did last time, and the reason is told."""

from __future__ import annotations

from pathlib import Path

import pytest

from seatrial.isolation.choose import AGAIN, Chooser
from seatrial.isolation.history import History
from seatrial.resources.protocol import Undone

TEST = "tests/test_a.py::test_a"


@pytest.fixture
def chooser(tmp_path: Path) -> Chooser:
    return Chooser(History(tmp_path / "history" / "db.json"))


def run(chooser: Chooser, *, path: str = "log", cost: float = 0.5, joinable: bool = True, **told) -> str:
    """One run of the test, in a process of its own; returns the isolation that it got."""
    fresh = Chooser(History(chooser._history._path))
    choice = fresh.choose(TEST, joinable=joinable)
    taken = choice.isolation if choice.isolation != "reset" else path
    notes = tuple(filter(None, [told.pop("note", "")]))
    fresh.learn(TEST, choice.isolation, Undone(path=taken, notes=notes), cost, failed=told.pop("failed", False), **told)
    fresh.save()
    return choice.isolation


def reason(chooser: Chooser, *, joinable: bool = True) -> str:
    return Chooser(History(chooser._history._path)).choose(TEST, joinable=joinable).reason


def test_a_test_that_nothing_is_known_of_gets_a_reset(chooser: Chooser) -> None:
    assert reason(chooser) == "nothing is known of it yet"
    assert run(chooser) == "reset"


def test_a_cheap_reset_stays_a_reset_and_its_cost_is_the_reason(chooser: Chooser) -> None:
    assert [run(chooser), run(chooser)] == ["reset", "reset"]
    assert reason(chooser) == "last time a reset took 0.5 ms (log)"


def test_a_cheap_scan_is_no_reason_to_try_a_rollback(chooser: Chooser) -> None:
    assert [run(chooser, path="scan"), run(chooser, path="copy")] == ["reset", "reset"]
    assert reason(chooser) == "last time a reset took 0.5 ms (copy)"


def test_a_test_that_changed_the_schema_gets_a_clone_and_is_looked_at_again_later(chooser: Chooser) -> None:
    note = "the schema was changed: relation extra created"
    assert run(chooser, path="clone", note=note) == "reset"
    assert [run(chooser) for _ in range(AGAIN)] == ["clone"] * AGAIN
    assert reason(chooser) == f"after {AGAIN} clones this run shows whether it still needs one"
    assert run(chooser) == "reset"
    assert run(chooser) == "reset"


def test_the_reason_for_a_clone_is_what_the_test_did(chooser: Chooser) -> None:
    run(chooser, path="clone", note="the schema was changed: relation extra created")
    run(chooser)
    assert reason(chooser) == "last time the schema was changed: relation extra created"


def test_a_dear_scan_or_copy_makes_a_rollback_worth_trying(chooser: Chooser) -> None:
    assert run(chooser, path="scan", cost=40) == "reset"
    assert reason(chooser) == "last time a reset took 40.0 ms (scan)"
    assert [run(chooser), run(chooser)] == ["rollback", "rollback"]
    assert reason(chooser) == "last time one transaction held it"


def test_sessions_that_can_not_join_never_get_a_rollback(chooser: Chooser) -> None:
    run(chooser, path="scan", cost=40)
    assert run(chooser, joinable=False) == "reset"


def test_what_rollback_could_not_hold_never_gets_one_again(chooser: Chooser) -> None:
    run(chooser, path="scan", cost=40)
    assert run(chooser, past_rollback="this test wrote past its transaction in rollback mode") == "rollback"
    assert [run(chooser, path="scan", cost=40) for _ in range(3)] == ["reset"] * 3
    assert "rollback can't hold it: this test wrote" in reason(chooser)


def test_a_test_that_failed_in_a_rollback_gets_a_reset_next_time(chooser: Chooser) -> None:
    run(chooser, path="scan", cost=40)
    assert run(chooser, failed=True) == "rollback"
    assert reason(chooser) == "rollback can't hold it: it failed in it last time"
    assert run(chooser, path="scan", cost=40) == "reset"


def test_what_rollback_could_not_hold_gets_none_after_it_has_failed_in_a_reset_either(chooser: Chooser) -> None:
    run(chooser, path="scan", cost=40)
    run(chooser, past_rollback="this test wrote past its transaction in rollback mode")
    assert run(chooser, path="scan", cost=40, failed=True) == "reset"
    assert run(chooser, path="scan", cost=40) == "reset"
    assert "rollback can't hold it: this test wrote" in reason(chooser)


def test_a_test_that_fails_in_a_reset_as_well_may_get_a_rollback_again(chooser: Chooser) -> None:
    run(chooser, path="scan", cost=40)
    assert run(chooser, failed=True) == "rollback"
    assert run(chooser, path="scan", cost=40, failed=True) == "reset"
    assert run(chooser, path="scan", cost=40) == "rollback"


def test_what_two_workers_saw_is_kept_of_both(tmp_path: Path) -> None:
    path = tmp_path / "db.json"
    one, other = Chooser(History(path)), Chooser(History(path))
    for chooser, test in ((one, "test_a"), (other, "test_b")):
        chooser.choose(test, joinable=True)
        chooser.learn(test, "reset", Undone(path="log"), 1.0, failed=False)
    one.save()
    other.save()
    assert all(History(path).of(test) is not None for test in ("test_a", "test_b"))


@pytest.mark.parametrize(
    "content", ["", "{", "[]", '{"tests/test_a.py::test_a": {"path": 1}}', '{"tests/test_a.py::test_a": 3}']
)
def test_a_history_that_can_not_be_read_is_no_history(tmp_path: Path, content: str) -> None:
    path = tmp_path / "db.json"
    path.write_text(content)
    assert History(path).of(TEST) is None
