"""When things start: only for tests that use them, and never before they are needed."""

from __future__ import annotations

import sys

import pytest


def servers(project) -> list[object]:
    """What runs for this project, as the command line tells it."""
    return [server for server in project.servers() if server["running"]]


def test_collecting_starts_nothing(service):
    outcome = service.pytest("--collect-only", "-q", "tests")
    assert outcome.status == 0, outcome.text
    assert servers(service) == []


def test_tests_that_use_no_resource_start_nothing(service):
    service.write(
        {
            "tests/more_units/test_unit.py": """
            from __future__ import annotations

            from math import sqrt
            from os import environ
            from typing import Optional

            from app.models import User
            from sqlalchemy import func

            notes = User.notes  # compared with anything but a Note it raises
            del User


            def test_unit():
                assert notes.key == "notes"
            """,
            "tests/more/conftest.py": "from app import main\n",
            "app/lazy.py": """
            class Lazy:
                @property
                def __class__(self):
                    raise LookupError("it is not configured, as Django's settings may be")


            settings = Lazy()
            """,
            "app/main.py": "from __future__ import annotations\nfrom app.lazy import settings\n"
            "from math import sqrt\nfrom os import environ\nfrom typing import Optional\nfrom sqlalchemy import func\n"
            + (service.folder / "app/main.py").read_text(),
            "tests/more/test_app.py": "def test_app():\n    pass\n",
        }
    )
    outcome = service.pytest("-q", "tests/more", "tests/more_units", "-k", "test_unit", SEATRIAL_IDLE="30")
    assert outcome.status == 0, outcome.text
    assert servers(service) == []


def test_a_test_that_uses_the_app_with_a_client_of_its_own_has_its_database(service):
    service.write(
        {
            "tests/conftest.py": """
            import pytest
            from fastapi.testclient import TestClient
            from app.main import app

            @pytest.fixture
            def client():
                with TestClient(app) as client:
                    yield client
            """,
            "tests/test_own_client.py": """
            import pytest

            @pytest.mark.parametrize("attempt", range(2))
            def test_own_client(client, attempt):
                assert client.post("/users", json={"email": "a@b.c", "name": "A"}).json()["id"] == 1
            """,
        }
    )
    outcome = service.pytest("-q", "tests/test_own_client.py")
    assert outcome.status == 0, outcome.text


def test_a_module_that_imports_the_app_by_its_full_name_uses_it_and_one_that_imports_its_neighbour_does_not(service):
    service.write(
        {
            "app/prices.py": "PENCE = 100\n",
            "tests/test_app.py": """
            from fastapi.testclient import TestClient
            import app.main

            own_client = TestClient(app.main.app)

            def test_own_client():
                assert own_client.post("/users", json={"email": "a@b.c", "name": "A"}).json()["id"] == 1
            """,
            "tests/test_prices.py": "import app.prices\n\ndef test_prices():\n    assert app.prices.PENCE == 100\n",
        }
    )
    outcome = service.pytest("-q", "tests/test_prices.py")
    assert outcome.counts() == {"passed": 1}, outcome.text
    assert servers(service) == []
    outcome = service.pytest("-q", "tests/test_app.py")
    assert outcome.counts() == {"passed": 1}, outcome.text


def test_what_one_function_of_a_conftest_imports_is_not_used_by_all_tests_below_it(service):
    service.write(
        {
            "app/prices.py": "PENCE = 100\n",
            "tests/conftest.py": """
            from typing import TYPE_CHECKING

            import app.prices

            if TYPE_CHECKING:
                import app.main

            def own_app():
                import app.main

                return app.main.app
            """,
            "tests/test_prices.py": "def test_prices():\n    pass\n",
        }
    )
    outcome = service.pytest("-q", "tests/test_prices.py")
    assert outcome.counts() == {"passed": 1}, outcome.text
    assert servers(service) == []


@pytest.mark.parametrize("how", ["from app.main import app", "from app.main import app as used"])
def test_an_app_that_a_library_has_made_is_used_by_who_imports_it_from_the_project(service, how):
    made = (service.folder / "app/main.py").read_text()
    service.write(
        {
            "site-packages/made.py": made,
            "app/main.py": """
            import sys
            from pathlib import Path

            sys.path.append(str(Path(__file__).parents[1] / "site-packages"))
            from made import app
            """,
            "tests/test_app.py": f"""
            import sys

            from fastapi.testclient import TestClient
            {how}

            own_client = TestClient(sys.modules["app.main"].app)

            def test_own_client():
                assert own_client.post("/users", json={{"email": "a@b.c", "name": "A"}}).json()["id"] == 1
            """,
        }
    )
    outcome = service.pytest("-q", "tests/test_app.py")
    assert outcome.counts() == {"passed": 1}, outcome.text


@pytest.mark.parametrize("how", ["from app.main import app", "from app import main; app = main.app", "import app.main"])
def test_a_fixture_that_imports_the_app_when_it_runs_has_its_database(service, how):
    service.write(
        {
            "tests/conftest.py": f"""
            import sys

            import pytest
            from fastapi.testclient import TestClient

            @pytest.fixture
            def own_app():
                {how}
                return sys.modules["app.main"].app

            @pytest.fixture
            def own_client(own_app):
                with TestClient(own_app) as client:
                    yield client
            """,
            "tests/test_own_client.py": """
            def test_own_client(own_client):
                assert own_client.post("/users", json={"email": "a@b.c", "name": "A"}).json()["id"] == 1
            """,
        }
    )
    outcome = service.pytest("-q", "tests/test_own_client.py")
    assert outcome.counts() == {"passed": 1}, outcome.text


def test_who_is_refused_by_a_database_that_nobody_was_seen_to_need_is_told_what_to_write(service):
    service.write(
        {
            "tests/conftest.py": """
            import os
            import psycopg
            import pytest

            @pytest.fixture
            def connection():
                with psycopg.connect(os.environ["DATABASE_URL"].replace("+psycopg", "")) as connection:
                    yield connection
            """,
            "tests/test_by_hand.py": """
            def test_by_hand(connection):
                assert connection.execute("select count(*) from users").fetchone() == (0,)
            """,
        }
    )
    outcome = service.pytest("-q", "tests/test_by_hand.py")
    assert outcome.counts() == {"error": 1}, outcome.text
    assert "db was not started: no test was seen to need it" in outcome.text
    outcome = service.pytest("-q", "tests/test_by_hand.py", "-o", "usefixtures=db_url")
    assert outcome.counts() == {"passed": 1}, outcome.text


def test_the_url_is_exported_before_a_conftest_is_imported_and_stays_the_same(service):
    service.write(
        {
            "tests/conftest.py": """
            import os

            AT_IMPORT = os.environ["DATABASE_URL"]
            """,
            "tests/test_url.py": """
            import os

            import pytest
            from conftest import AT_IMPORT

            @pytest.mark.parametrize("isolation", ["reset", "clone"])
            def test_url(db_url, request, isolation):
                assert db_url == AT_IMPORT == os.environ["DATABASE_URL"]
            """,
        }
    )
    outcome = service.pytest("-q", "tests/test_url.py", DATABASE_URL="postgresql://somebody:real@db.example.org/prod")
    assert outcome.status == 0, outcome.text


def test_the_first_test_that_uses_a_database_starts_it_and_the_next_run_finds_the_template(service):
    first = service.pytest("tests", "-k", "cascade")
    again = service.pytest("tests", "-k", "cascade")
    assert "built in" in first.text
    assert "found in" in again.text


def test_without_our_configuration_the_plugin_does_nothing(project):
    project.write({"test_plain.py": "import os\n\ndef test_plain():\n    assert 'DATABASE_URL' not in os.environ\n"})
    outcome = project.pytest("-q")
    assert outcome.counts() == {"passed": 1}
    assert "seatrial" not in outcome.text


def test_four_workers_share_one_postgresql_and_the_next_run_attaches_to_it(project):
    project.write(
        {
            "seatrial.toml": '[resources.db]\nkind = "postgres"\nschema = "schema.sql"\n',
            "schema.sql": "create table t (id int);\n",
            "test_it.py": """
                import os
                from pathlib import Path

                import pytest

                @pytest.mark.parametrize("number", range(8))
                def test_it(db, number):
                    server = db.execute("select pg_read_file('postmaster.pid', 0, 20)").fetchone()[0].split()[0]
                    Path(f"seen-{os.environ.get('PYTEST_XDIST_WORKER', 'alone')}-{server}").touch()
            """,
        }
    )
    try:
        first = project.pytest("-q", "-n", "4", audit=False, SEATRIAL_IDLE="60")
        assert first.counts() == {"passed": 8}, first.text
        second = project.pytest(audit=False, SEATRIAL_IDLE="60")
        assert second.counts() == {"passed": 8}, second.text
    finally:
        project.end_servers()
    seen = sorted(path.name.split("-")[1:] for path in project.folder.glob("seen-*"))
    assert [worker for worker, _ in seen] == ["alone", "gw0", "gw1", "gw2", "gw3"]
    assert len({server for _, server in seen}) == 1
    assert "was up in" in second.text


def test_several_resources_start_side_by_side(project):
    """Each of the two is ready when the other has started: one after the other neither would ever be."""
    project.write(
        {
            "seatrial.toml": """
                [resources.one]
                kind = "command"
                env = "ONE_URL"
                command = "sh serve.sh one {port}"
                ready = "exec:test -e two.up"
                reset = "nothing"
                patience = 60

                [resources.two]
                kind = "command"
                env = "TWO_URL"
                command = "sh serve.sh two {port}"
                ready = "exec:test -e one.up"
                reset = "nothing"
                patience = 60
            """,
            "serve.sh": f"touch $1.up\nexec {sys.executable} -I -m http.server --bind 127.0.0.1 $2\n",
            "test_both.py": "def test(one, two):\n    assert one != two\n",
        }
    )
    outcome = project.pytest("-q", audit=False)
    assert outcome.counts() == {"passed": 1}, outcome.text


# As load_dotenv(override=True) does.
OVERRIDING = """
import os
os.environ["DATABASE_URL"] = "postgresql://dev:dev@localhost:5432/shop_dev"
"""
STAGING = """
import os
os.environ["DATABASE_URL"] = os.environ["DATABASE_URL"].replace("seatrial", "dev:dev").replace("127.0.0.1", "staging")
"""


@pytest.mark.parametrize(
    ("where", "what"), [("conftest.py", OVERRIDING), ("app/__init__.py", OVERRIDING), ("conftest.py", STAGING)]
)
def test_a_variable_that_something_imported_has_set_anew_is_told_to_each_test_that_would_follow_it(
    service, where, what
):
    service.write({where: what, "tests/test_unit.py": "def test_unit():\n    assert 1 + 1 == 2\n"})
    outcome = service.pytest("-q", "tests")
    assert outcome.counts()["passed"] == 1, outcome.text
    assert set(outcome.counts()) == {"passed", "error"}
    assert "DATABASE_URL was exported for db, and leads elsewhere now" in outcome.text
    assert 'env = "TEST_DATABASE_URL"' in outcome.text
    assert "dev:dev" not in outcome.text


def test_a_variable_that_is_written_in_another_way_leads_to_the_same_database(service):
    rewritten = """
    import os
    url = os.environ["DATABASE_URL"].replace("127.0.0.1", "localhost")
    os.environ["DATABASE_URL"] = url.replace("postgresql://", "postgresql+psycopg://") + "?connect_timeout=9"
    """
    service.write({"conftest.py": rewritten})
    outcome = service.pytest("-q", "tests")
    assert outcome.counts() == {"passed": 7}, outcome.text
