"""What a test left at work is told with its name, what it ran, and how to wait for it; what was read is explained."""

from __future__ import annotations

import pytest

from seatrial import events
from seatrial.report.explain import Explain
from seatrial.report.summary import Summary


def told(*happened: events.Event) -> str:
    summary = Summary()
    for event in happened:
        summary.handle(event)
    other = Summary()
    other.load(summary.dump())  # as a worker of pytest-xdist hands it to the controller
    return "\n".join(other.lines())


@pytest.mark.parametrize(
    ("state", "way"),
    [
        ("idle in transaction", "commit or roll back, and close its session, before the test ends"),
        ("active", "join the thread, or await the task, that runs it before the test ends"),
    ],
)
def test_a_connection_that_was_ended_is_named_with_the_way_to_wait_for_it(state, way):
    ended = events.ConnectionEnded(
        resource="db", test="test_a", pid=7, application="worker", query="insert into t", state=state
    )
    assert (
        f"test_a: left a connection {state} (pid 7, worker); it was ended. It ran: insert into t. To wait for it, {way}"
        in told(ended)
    )


def test_what_a_connection_ran_is_left_out_where_its_server_does_not_tell_it():
    ended = events.ConnectionEnded(
        resource="db", test="test_a", pid=7, application="", query="", state="idle in transaction"
    )
    assert "test_a: left a connection idle in transaction (pid 7); it was ended. To wait for it, commit" in told(ended)


def test_a_disturbed_test_is_named_with_who_disturbed_it():
    disturbed = events.Disturbed(resource="db", test="test_b", pid=7, application="", query="COMMIT")
    assert "test_b: disturbed by a connection that an earlier test took from its pool" in told(disturbed)


def test_what_was_written_before_the_first_test_is_charged_to_no_test():
    late = events.LateWrite(resource="kv", test="", tables=("0:lamp", "0:oil"))
    assert "kv: 0:lamp, 0:oil was written to before the first test, by no fixture; undone before the test. " in told(
        late
    )


def test_audits_are_counted_over_all_workers():
    audits = [events.Audited(resource="db", test=f"test_{n}", equal=n != 2, milliseconds=10 * n) for n in (1, 2, 3)]
    assert "db: audited after 3 tests, 1 left a difference; median 20 ms" in told(*audits)
    assert "db: audited after 1 tests, all of them equal to the baseline; median 10 ms" in told(audits[0])


def test_check_ins_are_counted_by_the_path_that_they_took():
    paths = ["log", "log", "log", "scan", "clone", "nothing"]
    line = told(
        *(
            events.CheckedIn(
                resource="db", test=str(n), isolation="reset", path=path, tables=(), rows=0, milliseconds=1.0
            )
            for n, path in enumerate(paths)
        )
    )
    assert "6 tests brought back to the baseline: 3 undone from the log, 1 undone by a scan, 1 by a fresh clone" in line


def test_explain_tells_what_was_read_what_was_undone_the_path_the_reason_and_the_time():
    explain = Explain()
    explain.handle(events.CheckedOut(resource="db", test="test_a", isolation="reset", reason="the configuration"))
    explain.handle(
        events.CheckedIn(
            resource="db",
            test="test_a",
            isolation="reset",
            path="log",
            tables=("t",),
            rows=2,
            milliseconds=0.5,
            reason="a note",
            read="312 bytes of the log: 2 blocks of 1 relations",
        )
    )
    (line,) = explain.lines
    assert line == (
        "test_a: db reset (the configuration), read: 312 bytes of the log: 2 blocks of 1 relations, "
        "undone: 2 rows in t, path log because a note, 0.50 ms"
    )


def test_a_request_that_goes_on_in_a_later_test_is_named_with_the_test_that_it_is_of():
    disturbed = events.Disturbed(resource="db", test="test_b", query="COMMIT", by="POST /orders of test_a")
    line = "test_b: disturbed by what POST /orders of test_a has started and not waited for. It ran: COMMIT. Join the thread"
    assert line in told(disturbed)


def test_a_statement_of_several_lines_is_told_on_one():
    query = "SELECT id\nFROM   t"
    ended = events.ConnectionEnded(
        resource="db", test="test_a", pid=7, application="", query=query, state="idle in transaction"
    )
    assert "It ran: SELECT id FROM t. To wait" in told(ended)
    assert "It ran: SELECT id FROM t" in told(events.Disturbed(resource="db", test="test_b", pid=7, query=query))


def test_a_server_whose_template_was_not_made_is_told_without_one():
    """As where the schema can't be made: there was nothing between the comma and the time."""
    ready = events.ServerReady(
        resource="db", kind="postgres", provider="embedded", version="18.6", attached=True, seconds=0.001
    )
    assert told(ready) == "db: postgres 18.6 (embedded) was up in 1 ms"
