"""A run whose tests are timed out while they are undone, as pytest-timeout does it: by a signal, at any moment."""

from __future__ import annotations

import pytest

CONFTEST = """
import signal
import pytest

def time_is_up(number, frame):
    pytest.fail("time is up", pytrace=False)

signal.signal(signal.SIGALRM, time_is_up)

@pytest.hookimpl(wrapper=True, tryfirst=True)
def pytest_runtest_teardown(item):
    signal.setitimer(signal.ITIMER_REAL, item.callspec.params["microseconds"] / 1e6)
    try:
        return (yield)
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
"""
TESTS = """
import pytest

@pytest.mark.parametrize("microseconds", range(300, 8000, 250))
def test_it(db, microseconds):
    found = db.execute("select count(*), max(v), current_setting('work_mem') from shelf").fetchone()
    assert found == (3, "seed", "4MB")
    db.execute("truncate shelf")
    db.execute("insert into shelf values ('new')")
    db.execute("set work_mem = '1MB'")
    db.commit()
"""


@pytest.mark.parametrize("isolation", ["reset", "clone"])
def test_each_test_after_one_that_is_timed_out_while_it_is_undone_starts_from_the_baseline(project, isolation) -> None:
    """Soon: where one that was broken off while it was made lived on, the server waited a minute for its login."""
    project.write(
        {
            "seatrial.toml": f"[resources.db]\nkind = 'postgres'\nschema = 'schema.sql'\nisolation = '{isolation}'\n",
            "schema.sql": "create table shelf (v text); insert into shelf select 'seed' from generate_series(1, 3);",
            "conftest.py": CONFTEST,
            "test_shelf.py": TESTS,
        }
    )
    outcome = project.pytest("-q")
    counts = outcome.counts()
    assert counts["error"] >= 1
    assert "failed" not in counts, outcome.text
    assert counts["passed"] > 20  # a few may not begin: pytest itself is timed out, while it tears down
