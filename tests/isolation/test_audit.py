"""What the audit has found is told with who may have written it, and what it can't read is told, too."""

from __future__ import annotations

from pathlib import Path

from seatrial.errors import IsolationError
from seatrial.isolation.audit import SHOWN, Audit, leak, listed
from seatrial.resources.kinds.sqlite.audit import Audit as Reading
from seatrial.resources.protocol.copies import Ended

from .test_strategies import copy, write

__all__ = ["copy"]

FEW = [f"rows t{number}" for number in range(SHOWN)]


def test_a_leak_is_told_with_the_connections_that_were_used(copy, tmp_path: Path) -> None:
    reading = Reading(copy.address.database)
    baseline = reading.baseline()
    write(copy)
    found = reading.differences(baseline)
    writers = [
        Ended(pid=7, application="worker", query="insert into t values (2)", state="idle"),
        Ended(pid=8, application="", query="select 1", state="idle"),
    ]
    told = str(leak("test_a", "db", found, writers))
    assert "After test_a the database db does not equal its baseline: rows t" in told
    assert "pid 7 (worker), which last ran: insert into t values (2); pid 8, which last ran: select 1" in told
    assert "connections" not in str(leak("test_a", "db", found))


def test_of_many_differences_some_are_named_and_the_rest_is_counted() -> None:
    assert listed(FEW) == ", ".join(FEW)
    assert listed([*FEW, "rows more", "rows most"]) == f"{', '.join(FEW)} and 2 more"


def test_a_copy_that_can_not_be_read_fails_the_test() -> None:
    class Unreadable:
        unseen = ()

        def baseline(self) -> Unreadable:
            return self

        def differences(self, _: object) -> None:
            raise IsolationError("the copy can't be read", cause="", fix="")

    audit = Audit("db", Unreadable())
    audit.start()
    assert "can't be read" in str(audit.check("test_a", ()))
