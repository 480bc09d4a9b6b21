"""The end of a test's own sessions, whatever the driver or the app's own session class raises then."""

from __future__ import annotations

from seatrial.errors import SeatrialError
from seatrial.harness.borders.ending import Ending
from seatrial.sessions.remote import RemoteSessions


class Silent(RemoteSessions):
    """Sessions on a loop that does not come back: asyncio's own time-out has no words."""

    def __init__(self) -> None:
        self.stale = False

    def end(self, *, gather: bool = True) -> tuple[str, ...]:
        raise TimeoutError

    def invalidate(self) -> None:
        self.stale = True


def test_a_connection_that_breaks_without_a_word_is_told_to_its_test_and_no_later_one_has_it() -> None:
    told: list[SeatrialError] = []
    sessions = Silent()
    assert Ending("db").end(sessions, told, joined=False) == ()
    assert [error.what for error in told] == ["a connection of the test's broke: TimeoutError"]
    assert sessions.stale


def test_who_broke_a_test_off_in_the_middle_of_a_statement_is_not_sent_to_the_servers_log_alone() -> None:
    told: list[SeatrialError] = []
    Ending("db").end(Silent(), told, joined=False)
    assert [("time-out" in error.cause, "failure of the test" in error.fix) for error in told] == [(True, True)]
