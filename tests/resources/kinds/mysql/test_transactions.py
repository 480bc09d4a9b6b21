"""A transaction on a copy that its test has left open, in whatever way, reaches no other test and no later run."""

from __future__ import annotations

import contextlib
from dataclasses import replace

import pymysql
import pytest

from seatrial.errors import IsolationError, NeedsClone
from seatrial.resources.kinds.mysql import blueprint
from seatrial.resources.kinds.mysql.connection import arguments


def prepare(lab, number):
    lab.do(
        f"XA START '{number}'",
        "INSERT INTO blank (v) VALUES ('prepared')",
        f"XA END '{number}'",
        f"XA PREPARE '{number}'",
    )


@pytest.fixture
def number(lab):
    """Of a two-phase transaction: whatever becomes of the test, it does not stay on the server of all."""
    found = lab.copy.address.database
    yield found
    with contextlib.suppress(pymysql.err.MySQLError):
        lab.do(f"XA ROLLBACK '{found}'")


def prepared(lab):
    return [row[3] for row in lab.do("XA RECOVER")]


def test_a_two_phase_transaction_that_was_prepared_and_left_is_rolled_back(lab, number):
    prepare(lab, number)
    undone = lab.undone()
    assert undone.path == "log"
    assert prepared(lab) == []


def test_a_two_phase_transaction_of_another_database_is_left_alone(lab, number, store, template):
    other = store.checkout(template, f"other_{number}")
    try:
        prepare(lab, number)
        other.undo()
        assert len(prepared(lab)) == 1
    finally:
        lab.undone()
        store.drop(other.address.database)


def test_a_clone_rolls_back_what_was_prepared_as_well(lab, number):
    prepare(lab, number)
    lab.copy.renew()
    assert lab.differences() == []
    assert prepared(lab) == []


@pytest.mark.parametrize("end", ["COMMIT", "ROLLBACK"])
def test_a_two_phase_transaction_that_was_ended_is_undone_like_any_other(lab, number, end):
    prepare(lab, number)
    lab.do(f"XA {end} '{number}'")
    assert lab.undone().path == "log"


def test_a_transaction_from_another_database_that_is_in_the_way_is_told(lab):
    address = arguments(lab.copy.address)
    with contextlib.closing(pymysql.connect(**{**address, "database": "mysql"})) as app, app.cursor() as cursor:
        cursor.execute(f"INSERT INTO {lab.copy.address.database}.blank (v) VALUES ('open')")
        with pytest.raises(NeedsClone):
            lab.copy.undo()
        with pytest.raises(IsolationError, match="somebody holds a lock on it"):
            lab.copy.renew()
    lab.copy.renew()
    assert lab.differences() == []


def test_a_lock_that_a_fixture_leaves_is_told_and_the_baseline_stays(lab):
    with lab.connect() as app, app.cursor() as cursor:
        cursor.execute("LOCK TABLES blank WRITE")
        cursor.execute("INSERT INTO blank (v) VALUES ('of a fixture')")
        with pytest.raises(IsolationError, match=r"can't become the baseline(?s:.*)LOCK TABLES"):
            lab.copy.push()
    assert [name for (name,) in lab.do("SHOW DATABASES") if name.startswith(blueprint.LAYER)] == []
    lab.undone()


def test_another_reason_why_a_fixture_s_data_is_no_baseline_is_not_told_as_a_lock(lab, monkeypatch):
    def full():
        raise pymysql.err.OperationalError(1021, "Disk full")

    monkeypatch.setattr(lab.copy, "_source", replace(lab.copy._source, layer=full))
    with pytest.raises(IsolationError, match="baseline: Disk full") as failure:
        lab.copy.push()
    assert "lock" not in str(failure.value)


def test_a_killed_run_whose_app_is_still_in_a_transaction_keeps_no_later_run_from_starting(
    kind, spec, server, store, template
):
    dead = kind.open(server.endpoint, spec)
    copy = dead.checkout(template, "of_a_dead_run")
    with contextlib.closing(pymysql.connect(**arguments(copy.address))) as app, app.cursor() as cursor:
        cursor.execute("INSERT INTO blank (v) VALUES ('open')")
        dead.close()
        kind.open(server.endpoint, spec).close()
        with pytest.raises(pymysql.err.MySQLError):
            cursor.execute("SELECT 1")


def test_what_a_killed_run_has_prepared_keeps_no_later_run_from_starting(kind, spec, server, template, lab, number):
    dead = kind.open(server.endpoint, spec)
    copy = dead.checkout(template, f"dead_{number}")
    with contextlib.closing(pymysql.connect(**arguments(copy.address))) as app, app.cursor() as cursor:
        for statement in ("START", "INSERT INTO blank (v) VALUES ('x')", "END", "PREPARE"):
            cursor.execute(statement if " " in statement else f"XA {statement} '{number}'")
    dead.close()
    kind.open(server.endpoint, spec).close()
    assert prepared(lab) == []
    assert (copy.address.database,) not in lab.do("SHOW DATABASES")
