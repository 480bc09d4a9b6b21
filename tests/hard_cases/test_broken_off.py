"""A time-out of a test's, or Ctrl-C, may come at any moment of a check-in: neither data nor connections keep a trace."""

from __future__ import annotations

import threading
from collections.abc import Iterable
from contextlib import suppress

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from tests.fuse import EACH, UNRAISABLE, BrokenOff, Fuse

from seatrial.harness.borders.choosing import Choosing

from .apps import DRIVERS, JOINABLE

WORK = {
    "an insert": "insert into orders (customer_id) values (1)",
    "an update": "update product set stock = 0 where id < 5",
    "a delete that cascades": "delete from customer where id = 2",
    "a truncate": "truncate line",
    "a sequence": "select nextval('orders_id_seq')",
    "a setting": "set work_mem = '1234kB'",
    "a lock": "select pg_advisory_lock(4711)",
    "a temporary table": "create temporary table mine (id int)",
    "a table": "create table made (id int)",
    "a role": "create role of_the_test",
}
STATE = """select current_setting('work_mem'), to_regclass('pg_temp.mine')::text,
(select count(*) from pg_locks where pid = pg_backend_pid() and locktype = 'advisory'),
(select count(*) from pg_roles where rolname = 'of_the_test')"""
WAYS = [
    (driver, isolation)
    for driver in DRIVERS
    for isolation in ("reset", "rollback")
    if isolation == "reset" or driver in JOINABLE
]


DATA = [one for one in WORK if one not in ("a setting", "a lock", "a temporary table")]
"""What is looked for when a test begins, too; the rest is a connection's, and put back at the end of the test."""


def at(border: str, sea, fuse: Fuse) -> None:
    """Have the fuse break off the next call of this method of the harness."""
    usual = getattr(sea.harness, border)

    def call(*arguments):
        delattr(sea.harness, border)
        with fuse:
            return usual(*arguments)

    setattr(sea.harness, border, call)


def check_in(sea, app, isolation: str, work: list[str], fuse: Fuse) -> None:
    """A test whose check-in the fuse breaks off."""
    with suppress(BrokenOff), sea.one_test(isolation, app.resource):
        app.commit(*(WORK[one] for one in work))
        at("end", sea, fuse)


def check_out(sea, app, isolation: str, work: list[str], fuse: Fuse) -> None:
    """A test whose check-out the fuse breaks off, where something was written late."""
    app.commit(*(WORK[one] for one in work))
    at("begin", sea, fuse)
    with suppress(BrokenOff), sea.one_test(isolation, app.resource):
        pass


def begins_at_the_baseline(sea, app, isolation: str, broken, work: list[str], share: float) -> None:
    whole = Fuse()
    with sea.one_test(isolation, app.resource):
        pass
    broken(sea, app, isolation, work, whole)
    with sea.one_test(isolation, app.resource):
        before = app.commit(STATE)
    assert whole.moments, "the fuse was never lit"
    short = whole.part(share)
    broken(sea, app, isolation, work, short)
    found = []
    with sea.one_test(isolation, app.resource):
        sea.compare(app.resource, joined=isolation == "rollback")  # a pool may connect by itself
        thread = threading.Thread(target=lambda: found.append(app.commit(STATE)), daemon=True)
        thread.start()
        thread.join(20)
        assert found == [before], short.where


def some(work: Iterable[str]) -> st.SearchStrategy[list[str]]:
    return st.lists(st.sampled_from(sorted(work)), min_size=1, max_size=3, unique=True)


@pytest.mark.filterwarnings(UNRAISABLE)
@pytest.mark.parametrize(("driver", "isolation"), WAYS, ids=[" in ".join(way) for way in WAYS])
@settings(max_examples=EACH, suppress_health_check=list(HealthCheck), deadline=None)
@given(work=some(WORK), share=st.floats(0, 1))
def test_the_test_after_a_check_in_that_was_broken_off_starts_from_the_baseline(
    sea, app_of, driver, isolation, work, share
):
    app_of("sqlalchemy")  # its resource is the first to be checked in
    begins_at_the_baseline(sea, app_of(driver), isolation, check_in, work, share)


@pytest.mark.filterwarnings(UNRAISABLE)
@pytest.mark.parametrize("isolation", ["reset", "rollback"])
@settings(max_examples=EACH, suppress_health_check=list(HealthCheck), deadline=None)
@given(work=some(DATA), share=st.floats(0, 1))
def test_the_test_after_a_check_out_that_was_broken_off_starts_from_the_baseline(sea, app_of, isolation, work, share):
    begins_at_the_baseline(sea, app_of("sqlalchemy"), isolation, check_out, work, share)


def test_no_connection_to_the_old_clone_is_lent_where_the_check_in_is_broken_off_when_the_new_one_is_there(
    sea, app_of, monkeypatch
):
    app = app_of("sqlalchemy")

    def break_off(*_: object, **__: object) -> None:
        monkeypatch.undo()
        raise BrokenOff

    with pytest.raises(BrokenOff), sea.one_test("reset", app.resource):  # noqa: PT012 - it breaks off at its end
        app.commit(WORK["a table"])
        monkeypatch.setattr(Choosing, "learn", break_off)
    with sea.one_test("reset", app.resource):
        app.commit(WORK["an insert"])
