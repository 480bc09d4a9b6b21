"""Whom a test missed that a resource refused, which nobody saw that it needs."""

from __future__ import annotations

import pytest

from seatrial.errors import ProviderError
from seatrial.report.unseen import unseen


def raised(error, cause=None):
    with pytest.raises(type(error)) as caught:
        raise error from cause
    return caught.value


def test_a_failure_that_names_the_port_of_what_was_not_started_says_what_to_write():
    refused = raised(OSError("connection to 127.0.0.1:23456 refused"))
    assert "db was not started: no test was seen to need it" in unseen(refused, {"db": 23456, "cache": 23457})
    assert unseen(refused, {"cache": 23457}) == ""


def test_where_we_say_ourselves_that_it_can_not_be_had_nothing_is_added():
    ours = raised(
        ProviderError("the mysql server does not accept a connection: mysql://u@127.0.0.1:23456/d", fix="start it")
    )
    assert unseen(ours, {"db": 23456}) == ""
    assert unseen(raised(RuntimeError("set up of 23456 failed"), ours), {"db": 23456}) == ""
