"""A time-out of a test's, or Ctrl-C, may come at any moment of a check-in: neither data nor connections keep a trace."""

from __future__ import annotations

import threading
from contextlib import suppress

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from tests.fuse import UNRAISABLE, BrokenOff, Fuse

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

EACH = (settings.default.max_examples if settings.default else 100) // 33


def broken_off(sea, app, isolation: str, work: list[str], fuse: Fuse) -> None:
    """A test whose check-in the fuse breaks off."""
    end = sea.harness.end

    def check_in():
        del sea.harness.end
        with fuse:
            return end()

    with suppress(BrokenOff), sea.one_test(isolation, app.resource):
        app.commit(*(WORK[one] for one in work))
        sea.harness.end = check_in


@pytest.mark.filterwarnings(UNRAISABLE)
@pytest.mark.parametrize(("driver", "isolation"), WAYS, ids=[" in ".join(way) for way in WAYS])
@settings(max_examples=EACH, suppress_health_check=list(HealthCheck), deadline=None)
@given(work=st.lists(st.sampled_from(sorted(WORK)), min_size=1, max_size=3, unique=True), share=st.floats(0, 1))
def test_the_next_test_starts_from_the_baseline(sea, app_of, driver, isolation, work, share):
    app_of("sqlalchemy")  # its resource is the first to be checked in
    app = app_of(driver)
    whole = Fuse()
    broken_off(sea, app, isolation, work, whole)
    with sea.one_test(isolation, app.resource):
        before = app.commit(STATE)
    short = Fuse(at=1 + int(share * whole.moments))
    broken_off(sea, app, isolation, work, short)
    found = []
    with sea.one_test(isolation, app.resource):
        sea.compare(app.resource)
        thread = threading.Thread(target=lambda: found.append(app.commit(STATE)), daemon=True)
        thread.start()
        thread.join(20)
        assert found == [before], short.where


def test_no_connection_to_the_old_clone_is_lent_where_the_check_in_is_broken_off_when_the_new_one_is_there(
    sea, app_of, monkeypatch
):
    app = app_of("sqlalchemy")

    def break_off(*_: object, **__: object) -> None:
        monkeypatch.undo()
        raise BrokenOff

    with suppress(BrokenOff), sea.one_test("reset", app.resource):
        app.commit(WORK["a table"])
        monkeypatch.setattr(Choosing, "learn", break_off)
    with sea.one_test("reset", app.resource):
        app.commit(WORK["an insert"])
