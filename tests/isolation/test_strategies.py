"""A strategy gives every test the baseline, says what it took, and names what a copy can't do."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Sequence
from pathlib import Path

import pytest

from seatrial.errors import IsolationError, NeedsClone, ServerLost
from seatrial.isolation import restore
from seatrial.isolation.clone import CloneStrategy
from seatrial.isolation.protocol import Strategy
from seatrial.isolation.reset import ResetStrategy
from seatrial.isolation.rollback import RollbackStrategy
from seatrial.resources.kinds.sqlite import SQLite
from seatrial.resources.protocol import Address, Copy, Ended, Requirements


@pytest.fixture
def copy(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Copy]:
    monkeypatch.setenv("SEATRIAL_CACHE", str(tmp_path / "cache"))
    kind = SQLite()
    spec = kind.spec(Requirements.of(project=tmp_path))
    with contextlib.closing(kind.open(kind.endpoint(spec), spec)) as store:
        store.build("key", "db", lambda target: target.execute("CREATE TABLE t (a); INSERT INTO t VALUES (1)"))
        with contextlib.closing(store.checkout("key", "db")) as copy:
            yield copy


@pytest.fixture(params=[ResetStrategy, CloneStrategy, RollbackStrategy])
def strategy(request: pytest.FixtureRequest, copy: Copy) -> Strategy:
    return request.param(copy)


def write(copy: Copy, sql: str = "INSERT INTO t VALUES (2)") -> None:
    with contextlib.closing(copy.connect()) as connection:
        connection.execute(sql)
        connection.commit()


def rows(copy: Copy) -> list[int]:
    with contextlib.closing(copy.connect()) as connection:
        return [a for (a,) in connection.execute("SELECT a FROM t")]


def test_a_lease_says_which_isolation_and_why(strategy: Strategy) -> None:
    lease = strategy.checkout("test_a", "the configuration")
    assert (lease.test, lease.isolation, lease.reason) == ("test_a", strategy.name, "the configuration")
    assert lease.joined == (strategy.name == "rollback")
    assert lease.late is None


def test_a_test_that_commits_nothing_is_cheap(strategy: Strategy, copy: Copy) -> None:
    lease = strategy.checkout("test_a", "")
    assert rows(copy) == [1]
    assert strategy.checkin(lease).path == ("rollback" if strategy.name == "rollback" else "nothing")


def test_what_was_written_after_a_checkin_is_undone_before_the_next_test_and_told(
    strategy: Strategy, copy: Copy
) -> None:
    strategy.checkin(strategy.checkout("test_a", ""))
    write(copy)
    lease = strategy.checkout("test_b", "")
    assert rows(copy) == [1]
    assert lease.late is not None
    assert lease.late.tables == ("t",)
    assert strategy.checkin(lease).path in ("nothing", "rollback")


def test_reset_undoes_what_was_committed(copy: Copy) -> None:
    strategy = ResetStrategy(copy)
    lease = strategy.checkout("test_a", "")
    write(copy)
    assert strategy.checkin(lease).path == "copy"
    assert rows(copy) == [1]


def test_reset_takes_a_clone_where_it_must_and_says_why(copy: Copy) -> None:
    strategy = ResetStrategy(copy)
    lease = strategy.checkout("test_a", "")
    holder = copy.connect()
    holder.execute("INSERT INTO t VALUES (3)")
    undone = strategy.checkin(lease)
    assert undone.path == "clone"
    assert "still held a transaction" in undone.notes[0]
    assert rows(copy) == [1]
    holder.close()


def test_clone_replaces_the_copy_after_a_write(copy: Copy) -> None:
    strategy = CloneStrategy(copy)
    lease = strategy.checkout("test_a", "")
    write(copy, "ALTER TABLE t ADD COLUMN b")
    assert strategy.checkin(lease).path == "clone"
    assert rows(copy) == [1]


def test_a_commit_in_rollback_mode_is_undone_and_the_test_is_told_what_to_mark(copy: Copy) -> None:
    strategy = RollbackStrategy(copy, resource="orders")
    lease = strategy.checkout("test_a", "")
    write(copy)
    with pytest.raises(IsolationError, match="wrote past its transaction in rollback mode") as told:
        strategy.checkin(lease)
    assert "second connection" in told.value.cause
    assert '@pytest.mark.seatrial(orders="reset")' in told.value.fix
    assert rows(copy) == [1]
    assert strategy.checkin(strategy.checkout("test_b", "")).path == "rollback"


class Plain:
    """A copy that can do nothing, and says who was connected."""

    address = Address(scheme="plain")

    def connect(self) -> None:
        return None

    def used_since_checkout(self, own: Sequence[int]) -> tuple[Ended, ...]:
        assert list(own) == [7]
        return (Ended(pid=8, application="worker", query="COMMIT", state="idle"),)

    def mark(self) -> None:
        return None

    def close(self) -> None:
        return None


class OnlyClones(Plain):
    def __init__(self) -> None:
        self.renewed = 0

    def renew(self) -> None:
        self.renewed += 1

    def uncommitted_only(self) -> bool:
        return False


@pytest.mark.parametrize("strategy", [ResetStrategy, CloneStrategy, RollbackStrategy])
def test_a_copy_that_can_do_nothing_is_refused(strategy) -> None:
    with pytest.raises(IsolationError, match="is not possible with this resource") as told:
        strategy(Plain()).checkout("test_a", "")
    assert told.value.fix


def test_the_refusal_names_what_the_copy_can_do() -> None:
    with pytest.raises(IsolationError) as told:
        ResetStrategy(OnlyClones()).checkout("test_a", "")
    assert told.value.cause == "its copies can clone and rollback"
    assert told.value.fix == 'write isolation = "clone"'


def test_rollback_names_the_process_that_committed_beside_the_tests_own() -> None:
    copy = OnlyClones()
    strategy = RollbackStrategy(copy, own=lambda: [7])
    with pytest.raises(IsolationError) as told:
        strategy.checkin(strategy.checkout("test_a", ""))
    assert 'process 8 of the server ("worker"), last with: COMMIT' in told.value.cause
    assert copy.renewed == 1


def test_a_rollback_test_whose_copy_had_to_be_cloned_says_so_since_all_connections_are_stale_then() -> None:
    class Gone(OnlyClones):
        def uncommitted_only(self) -> bool:
            return True

        def undo(self) -> None:
            raise NeedsClone("the server has restarted")

        def late_writes(self) -> tuple[str, ...]:
            return ()

    copy = Gone()
    strategy = RollbackStrategy(copy, own=lambda: [7])
    undone = strategy.checkin(strategy.checkout("test_a", ""))
    assert (undone.path, undone.notes, copy.renewed) == ("clone", ("the server has restarted",), 1)


def test_of_a_copy_that_is_lost_nobody_is_said_to_be_at_work_and_it_may_have_been_used() -> None:
    class Lost(OnlyClones):
        def used_since_checkout(self, own: Sequence[int]) -> tuple[Ended, ...]:
            raise ServerLost("the server has ended", cause="", fix="")

    assert restore.at_work(Lost()) == ()
    assert not restore.untouched(Lost())


def test_an_error_that_no_clone_can_mend_is_not_hidden() -> None:
    class Broken(OnlyClones):
        def undo(self) -> None:
            raise NeedsClone("the log can't be read")

        def late_writes(self) -> tuple[str, ...]:
            return ()

        def renew(self) -> None:
            raise IsolationError("the template is gone")

    strategy = ResetStrategy(Broken())
    with pytest.raises(IsolationError, match="the template is gone"):
        strategy.checkin(strategy.checkout("test_a", ""))
