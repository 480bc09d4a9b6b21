"""The main job: a service's tests on a real PostgreSQL, with six lines of configuration."""

from __future__ import annotations

import pytest


@pytest.mark.parametrize(("isolation", "runs"), [("reset", 2), ("rollback", 1), ("clone", 1)])
def test_each_test_starts_from_the_same_state_in_each_isolation(service, isolation, runs):
    for _ in range(runs):
        outcome = service.pytest("-q", "tests", "--seatrial-set", f"db.isolation={isolation}")
        assert outcome.status == 0, outcome.text
        assert outcome.counts()["passed"] == 7


def test_two_workers_share_a_server_and_have_a_database_each(service):
    for number in range(3):
        service.write({f"tests/test_more_{number}.py": (service.folder / "tests/test_occasions.py").read_text()})
    outcome = service.pytest("-q", "-n", "2", "tests")
    assert outcome.status == 0, outcome.text
    assert outcome.counts()["passed"] == 28


def test_a_test_run_that_a_test_of_a_worker_starts_has_databases_of_its_own(service):
    service.write(
        {
            "tests/test_inner.py": """
            import subprocess
            import sys

            from app.models import User

            def test_that_runs_others(db):
                db.add(User(email="outer@example.org", name="Outer"))
                db.commit()
                inner = [sys.executable, "-m", "pytest", "-k", "cascade"]
                assert subprocess.run(inner, check=False).returncode == 0
                assert db.query(User).count() == 1
            """,
        }
    )
    outcome = service.pytest("-q", "-n", "1", "tests/test_inner.py")
    assert outcome.counts() == {"passed": 1}, outcome.text


def test_the_header_names_server_version_provider_and_isolation(service):
    outcome = service.pytest("tests", "-k", "cascade")
    assert "db: postgres 18" in outcome.text
    assert "(embedded), isolation reset, DATABASE_URL" in outcome.text


def test_an_exception_of_the_app_is_raised_in_the_test(service):
    service.write({"tests/test_broken.py": "def test_broken(client):\n    client.get('/broken')\n"})
    outcome = service.pytest("tests/test_broken.py")
    assert outcome.counts() == {"failed": 1}
    assert "RuntimeError: the app is broken" in outcome.text


def test_a_failure_because_of_the_server_shows_what_the_server_logged(service):
    service.write(
        {
            "tests/test_log.py": """
            from sqlalchemy import text

            def test_log(db):
                db.execute(text("select no_such_column from users"))
            """
        }
    )
    outcome = service.pytest("tests/test_log.py")
    assert "log of the postgres server of db" in outcome.text
    assert 'ERROR:  column "no_such_column" does not exist' in outcome.text


def test_a_failure_of_a_connection_that_was_ended_names_the_test_that_had_left_it(service):
    service.write(
        {
            "tests/test_kept.py": """
            import pytest
            from app.database import engine
            from sqlalchemy import text

            @pytest.fixture(scope="module")
            def kept(db):
                with engine.connect() as connection:
                    yield connection

            def test_that_leaves(kept):
                kept.execute(text("insert into users (email, name) values ('a', 'b')"))

            def test_that_goes_on(kept):
                kept.execute(text("select 1"))
            """
        }
    )
    outcome = service.pytest("tests/test_kept.py")
    assert outcome.counts() == {"failed": 1, "passed": 1}, outcome.text
    failure = outcome.text.partition("short test summary")[0]
    assert "a connection that this test uses may have been ended after an earlier one" in failure
    assert "test_that_leaves: left a connection idle in transaction" in failure


def test_the_log_of_a_failing_test_has_no_lines_of_our_own_clones(service):
    service.write(
        {
            "tests/test_log.py": """
            import pytest
            from sqlalchemy import text

            @pytest.mark.parametrize("turn", range(3))
            def test_log(db, turn):
                db.execute(text("create table extra (id int)"))
                db.commit()
                assert turn < 0
            """
        }
    )
    outcome = service.pytest("tests/test_log.py", SEATRIAL_DB_ISOLATION="clone")
    assert outcome.counts() == {"failed": 3}, outcome.text
    assert "checkpoint" not in outcome.text


def test_a_fixture_of_the_project_wins_over_ours_of_the_same_name_for_the_tests_beside_it(service):
    service.write(
        {
            "tests/own/conftest.py": """
            import pytest

            @pytest.fixture
            def db():
                return "the project's own"
            """,
            "tests/own/test_own.py": """
            def test_own(db, seatrial_db, db_url):
                assert db == "the project's own"
                assert seatrial_db.bind is not None
                assert db_url.startswith("postgresql://")
            """,
            "tests/more/test_more.py": "def test_more(db, seatrial_db):\n    assert db is seatrial_db\n",
        }
    )
    outcome = service.pytest("tests/own", "tests/more")
    assert outcome.status == 0, outcome.text


def test_a_fixture_of_a_plugin_wins_over_ours_whatever_its_function_is_called(service):
    service.write(
        {
            "installed.py": """
            import pytest

            class Lazy:
                @property
                def __class__(self):
                    raise LookupError("it is not configured, as Django's settings may be")

            settings = Lazy()

            @pytest.fixture(name="db")
            def made():
                return "the plugin's"
            """,
            "shared/conftest.py": """
            import pytest

            def factory():
                @pytest.fixture
                def made():
                    return "made, as pytest-postgresql makes them"
                return made

            client = factory()
            """,
            "tests/test_own.py": """
            def test_own(db, client, seatrial_db):
                assert db == "the plugin's"
                assert client == "made, as pytest-postgresql makes them"
                assert seatrial_db.bind is not None
            """,
        }
    )
    plugins = ("-p", "installed", "-p", "shared.conftest")
    outcome = service.pytest(*plugins, "tests/test_own.py", PYTHONPATH=str(service.folder))
    assert outcome.status == 0, outcome.text


def test_keep_sets_the_database_of_a_failed_test_aside_and_prints_its_url(service):
    service.write(
        {
            "tests/test_keep.py": """
            from app.models import User

            def test_fails(db):
                db.add(User(email="kept@example.org", name="Kept"))
                db.commit()
                assert False

            def test_next(db):
                assert db.query(User).count() == 0
            """
        }
    )
    outcome = service.pytest("tests/test_keep.py", "--seatrial-keep")
    assert outcome.counts() == {"failed": 1, "passed": 1}, outcome.text
    (line,) = [line for line in outcome.text.splitlines() if line.startswith("db: tests/test_keep.py::test_fails")]
    url = line.split("kept at ")[1].strip()
    assert url.startswith("postgresql://")


def test_keep_keeps_nothing_of_a_failed_test_that_has_not_used_the_database(service):
    service.write(
        {
            "tests/test_keep.py": """
            from app.models import User

            def test_that_fails_before(db):
                assert False

            def test_that_fails_with_what_the_app_wrote(client, db):
                client.post("/users", json={"email": "kept@example.org", "name": "Kept"})
                assert False

            def test_that_read(db):
                assert db.query(User).count() == 1
            """
        }
    )
    outcome = service.pytest("tests/test_keep.py", "--seatrial-keep")
    assert outcome.counts() == {"failed": 3}, outcome.text
    lines = [line for line in outcome.text.splitlines() if line.startswith("db: tests/test_keep.py::")]
    assert "::test_that_fails_before: not kept: the test has left nothing in it" in lines[0]
    assert [line.split("::")[1].split(" at ")[0] for line in lines[1:]] == [
        "test_that_fails_with_what_the_app_wrote: kept",
        "test_that_read: kept",
    ]


def test_keep_says_that_a_rollback_leaves_nothing_to_look_at(service):
    service.write(
        {
            "tests/test_keep.py": """
            from app.models import User

            def test_fails(db):
                db.add(User(email="kept@example.org", name="Kept"))
                db.commit()
                assert False
            """
        }
    )
    outcome = service.pytest("tests/test_keep.py", "--seatrial-keep", "--seatrial-set", "db.isolation=rollback")
    assert outcome.counts() == {"failed": 1}, outcome.text
    (line,) = [line for line in outcome.text.splitlines() if line.startswith("db: tests/test_keep.py::test_fails")]
    assert "not kept: a rollback leaves nothing" in line
    assert 'seatrial(db="reset")' in line
    assert "kept at" not in outcome.text
