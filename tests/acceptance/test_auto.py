"""`isolation = "auto"`: chosen per test, told with `-v`, and a failure says how to run the test under `reset`."""

from __future__ import annotations

import pytest

TESTS = """
import pytest

def test_reads(db):
    assert db.execute("select count(*) from t").fetchone() == (1,)

def test_changes_the_schema(db):
    db.execute("create table extra (id int)")
    db.commit()
    import os
    assert "FAIL" not in os.environ

@pytest.mark.seatrial(db="reset")
def test_marked(db):
    db.execute("insert into t values (2)")
    db.commit()

def test_after(db):
    assert db.execute("select count(*) from t").fetchone() == (1,)
    assert db.execute("select to_regclass('extra')").fetchone() == (None,)
"""

LARGE = {
    "conftest.py": """
    import seatrial.isolation.choose

    seatrial.isolation.choose.DEAR = 0.0
    """
}
"""Each reset is as dear as one of a large database."""

SCANNED = {
    "conftest.py": """
    from dataclasses import replace

    from seatrial.isolation.history import History

    of = History.of

    def scanned(self, test):
        seen = of(self, test)
        return seen and replace(seen, path="scan", milliseconds=40.0)

    History.of = scanned
    """
}
"""What was seen of each test is as after a run on a server whose log can't be read."""

TEAMS = {
    "models.py": """
    from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column

    class Base(DeclarativeBase): ...

    class Team(Base):
        __tablename__ = "team"
        id: Mapped[int] = mapped_column(primary_key=True)
    """,
    "pytest.ini": "[pytest]\npythonpath = .\n",
}


@pytest.fixture
def auto(project):
    return project.write(
        {
            "seatrial.toml": "[resources.db]\nkind = 'postgres'\nschema = 'schema.sql'\nisolation = 'auto'\n",
            "schema.sql": "create table t (id int); insert into t values (1);",
            "test_auto.py": TESTS,
        }
    )


def test_what_a_test_did_last_time_decides_and_the_reason_is_told(auto):
    first = auto.pytest("-v")
    assert first.counts() == {"passed": 4}, first.text
    assert "test_reads PASSED [db reset: nothing is known of it yet]" in first.text
    assert "test_marked PASSED [" not in first.text.replace("PASSED               [", "").replace("PASSED [100%]", "")
    second = auto.pytest("-v", "-n", "2", FAIL="1")
    assert second.counts() == {"passed": 3, "failed": 1}, second.text
    assert "[db reset: last time a reset took " in second.text
    assert "[db clone: last time the schema was changed: relation extra created" in second.text
    assert (
        "db ran in clone, which Seatrial chose (last time the schema was changed: relation extra created" in second.text
    )
    assert "pytest test_auto.py::test_changes_the_schema --seatrial-set db.isolation=reset" in second.text
    third = auto.pytest("-v", "test_auto.py::test_changes_the_schema", "--seatrial-set", "db.isolation=reset")
    assert third.counts() == {"passed": 1}
    assert "[db " not in third.text


ONCE = """
import os
import signal

def test_that_fails(db):
    db.execute("insert into t values (2)")
    db.commit()
    assert "FIRST" not in os.environ

def test_in_which_the_server_dies(db):
    if "FIRST" in os.environ:
        os.kill(int(db.execute("select pg_read_file('postmaster.pid', 0, 20)").fetchone()[0].split()[0]), signal.SIGKILL)
"""


def test_a_database_that_was_kept_and_a_server_that_died_say_nothing_of_what_fits_the_test(auto):
    auto.write({"test_auto.py": ONCE})
    first = auto.pytest("-v", "--seatrial-keep", FIRST="1")
    assert first.counts().get("failed") == 1, first.text
    assert "kept" in first.text
    second = auto.pytest("-v")
    assert second.counts() == {"passed": 2}, second.text
    assert second.text.count("[db reset: nothing is known of it yet]") == 2, second.text


def test_rollback_that_was_chosen_and_could_not_hold_a_test_fails_nothing_and_is_not_chosen_again(project):
    project.write(
        TEAMS
        | LARGE
        | {
            "seatrial.toml": """
            [resources.db]
            kind = "sqlite"
            schema = "models:Base"
            isolation = "auto"
            """,
            "test_teams.py": """
            import contextlib, os, sqlite3
            from models import Team

            def test_joined(db):
                db.add(Team(id=1))
                db.commit()

            def test_a_second_connection(db):
                with contextlib.closing(sqlite3.connect(os.environ["DATABASE_URL"].removeprefix("sqlite:///"))) as other:
                    other.execute("insert into team values (1)")
                    other.commit()

            def test_after(db):
                assert db.query(Team).count() == 0
            """,
        }
    )
    runs = [project.pytest("-v") for _ in range(3)]
    assert [run.counts() for run in runs] == [{"passed": 3}] * 3, runs[1].text
    assert "test_joined PASSED [db rollback: last time a reset took " in runs[1].text
    assert "rollback was chosen, and could not hold it: this test wrote past its transaction" in runs[1].text
    assert "test_joined PASSED [db rollback: last time one transaction held it]" in runs[2].text
    assert "test_a_second_connection PASSED [db reset: rollback can't hold it: " in runs[2].text


def test_a_test_that_ends_its_connection_is_not_given_the_one_that_would_hold_all_of_it_again(project):
    project.write(
        TEAMS
        | SCANNED
        | {
            "seatrial.toml": """
            [resources.db]
            kind = "postgres"
            schema = "models:Base"
            isolation = "auto"
            """,
            "test_teams.py": """
            import pytest
            from sqlalchemy import text
            from sqlalchemy.exc import DBAPIError

            def test_of_a_connection_that_ends(db):
                with pytest.raises(DBAPIError):
                    db.execute(text("select pg_terminate_backend(pg_backend_pid())"))
                db.invalidate()
            """,
        }
    )
    runs = [project.pytest("-v") for _ in range(3)]
    assert [run.counts() for run in runs] == [{"passed": 1}] * 3, runs[1].text
    assert "rollback was chosen, and could not hold it: a connection of the test's broke" in runs[1].text
    assert "PASSED [db reset: rollback can't hold it: a connection of the test's broke" in runs[2].text


def test_what_can_not_be_put_back_is_told_to_its_test_though_rollback_was_chosen_for_it(project):
    project.write(
        TEAMS
        | LARGE
        | {
            "seatrial.toml": """
            [resources.db]
            kind = "sqlite"
            at = "sqlite://"
            schema = "models:Base"
            isolation = "auto"
            """,
            "test_teams.py": """
            import os, sqlite3
            from models import Team

            KEPT = []

            def test_that_keeps_a_transaction(db):
                if "KEEP" in os.environ:
                    path = os.environ["DATABASE_URL"].removeprefix("sqlite:///").removesuffix("?uri=true")
                    KEPT.append(sqlite3.connect(path, uri=True))
                    KEPT[0].execute("insert into team values (1)")
                    KEPT[0].commit()
                    KEPT[0].execute("insert into team values (2)")
                else:
                    db.add(Team(id=1))
                    db.commit()
            """,
        }
    )
    project.pytest()
    outcome = project.pytest("-v", KEEP="1")
    assert "test_that_keeps_a_transaction PASSED [db rollback: last time a reset took " in outcome.text
    assert "ERROR at teardown of test_that_keeps_a_transaction" in outcome.text
    assert "the in-memory database can't be brought back to its baseline" in outcome.text
    assert "could not hold it" not in outcome.text


def test_an_async_test_gets_a_rollback_as_a_sync_one_does(project):
    """Its transaction has a loop of its own, which the test's need not be."""
    project.write(
        TEAMS
        | SCANNED
        | {
            "seatrial.toml": """
            [resources.db]
            kind = "postgres"
            schema = "models:Base"
            isolation = "auto"
            env = { DATABASE_URL = "postgresql+asyncpg://{user}:{password}@{host}:{port}/{database}" }
            """,
            "test_teams.py": """
            import pytest
            from sqlalchemy import func, select
            from models import Team

            pytestmark = pytest.mark.anyio

            @pytest.fixture
            def anyio_backend():
                return "asyncio"

            @pytest.mark.parametrize("again", range(2))
            async def test_team(db, again):
                assert await db.scalar(select(func.count(Team.id))) == 0
                db.add(Team(id=1))
                await db.commit()
            """,
        }
    )
    first, second = (project.pytest("-v", "-p", "anyio.pytest_plugin") for _ in range(2))
    assert first.counts() == second.counts() == {"passed": 2}, second.text
    assert second.text.count("PASSED [db rollback: last time a reset took 40.0 ms (scan)]") == 2, second.text


def test_a_kind_that_has_no_rollback_never_gets_one(project):
    """Each test that a reset by scan had taken long failed in its next run, before it began."""
    project.write(
        TEAMS
        | {
            "seatrial.toml": """
            [resources.db]
            kind = "mariadb"
            schema = "models:Base"
            isolation = "auto"
            """,
            "conftest.py": """
            from seatrial.isolation.history import History, Seen

            # as after a run on a server whose binary log can't be read
            History.of = lambda self, test: Seen(isolation="reset", path="scan", milliseconds=40.0)
            """,
            "test_teams.py": """
            import pytest
            from models import Team

            @pytest.mark.parametrize("again", range(2))
            def test_team(db, again):
                assert db.query(Team).count() == 0
                db.add(Team(id=1))
                db.commit()
            """,
        }
    )
    run = project.pytest("-v")
    assert run.counts() == {"passed": 2}, run.text
    assert run.text.count("PASSED [db reset: its sessions can't join one transaction that holds it]") == 2, run.text
