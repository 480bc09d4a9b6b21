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


def test_what_a_test_has_not_flushed_reaches_no_later_one_though_a_time_out_came_before_its_session_ended(project):
    project.write(
        {
            "seatrial.toml": "[resources.db]\nkind = 'sqlite'\nschema = 'models:Base'\n",
            "pytest.ini": "[pytest]\npythonpath = .\n",
            "models.py": """
                from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column

                class Base(DeclarativeBase): ...

                class Team(Base):
                    __tablename__ = "team"
                    id: Mapped[int] = mapped_column(primary_key=True)
                """,
            "test_it.py": """
                from models import Team
                from seatrial.harness.borders.telling import Emitter

                def time_out(*_, **__):
                    Emitter.not_kept = once
                    raise TimeoutError

                once = Emitter.not_kept

                def test_timed_out(db):
                    db.add(Team(id=1))
                    Emitter.not_kept = time_out
                    assert False

                def test_next(db):
                    db.commit()
                    assert db.query(Team).count() == 0
                """,
        }
    )
    outcome = project.pytest("-q", "--seatrial-keep")
    assert outcome.counts() == {"failed": 1, "error": 1, "passed": 1}, outcome.text
