"""Whom a test should blame that failed of a connection which was ended after an earlier one."""

from __future__ import annotations

import pytest

from seatrial import events
from seatrial.report.broken import Broken


@pytest.fixture
def broken():
    made = Broken()
    made.handle(
        events.ConnectionEnded(
            resource="db", test="test_a", pid=7, application="", query="insert into t", state="idle in transaction"
        )
    )
    return made


@pytest.mark.parametrize(
    "said",
    [
        "terminating connection due to administrator command",
        "the connection is closed",
        "connection was closed in the middle of operation",
        "(2013, 'Lost connection to MySQL server during query')",
        "(2006, 'Server has gone away')",
    ],
)
def test_who_had_left_the_connection_is_named_with_what_it_ran(broken, said):
    error = RuntimeError("the shop is closed")
    error.__cause__ = OSError(said)
    told = broken.of(error, "test_b")
    assert "db: test_a: left a connection idle in transaction (pid 7); it was ended. It ran: insert into t" in told


def test_nothing_is_added_to_other_failures_nor_to_what_the_test_itself_has_left(broken):
    assert broken.of(AssertionError("1 == 2"), "test_b") == ""
    assert broken.of(OSError("the connection is closed"), "test_a") == ""
    assert Broken().of(OSError("the connection is closed"), "test_b") == ""
