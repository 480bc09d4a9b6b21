"""Bad input gets one clear message: what happened, why, and what to type next."""

from __future__ import annotations

import pytest


@pytest.mark.parametrize(
    ("line", "told"),
    [
        ('kindd = "postgres"', ["kindd", "kind"]),
        ('kind = "postgers"', ["postgers", "postgres"]),
        ('kind = "postgres"\nisolation = "resett"', ["resett", "reset"]),
        ('kind = "postgres"\ndurable = "yes"', ["durable", "true"]),
    ],
    ids=["unknown key", "misspelt kind", "misspelt isolation", "wrong type"],
)
def test_a_mistake_in_the_configuration_names_file_key_and_nearest_value(project, line, told):
    project.write({"pyproject.toml": f"[tool.seatrial.resources.db]\n{line}\n", "test_x.py": "def test_x(): pass\n"})
    outcome = project.pytest("-q")
    assert outcome.status == 4
    assert "pyproject.toml" in outcome.text
    for word in told:
        assert word in outcome.text
    assert "Traceback" not in outcome.text


@pytest.mark.parametrize(
    ("files", "told"),
    [
        ({"seatrial.toml": ""}, "holds two configurations"),
        ({"pyproject.toml": "", "package.json": '{"seatrial": {'}, "package.json:1 is no valid JSON"),
        ({"pyproject.toml": "", "seatrial.toml": "resources ="}, "seatrial.toml is no valid TOML"),
    ],
    ids=["two", "broken JSON", "broken TOML"],
)
def test_configurations_that_can_not_be_read_are_a_message_and_no_traceback(project, files, told):
    project.write({"pyproject.toml": '[tool.seatrial.resources.db]\nkind = "sqlite"\n', **files})
    project.write({"test_x.py": "def test_x(): pass\n"})
    outcome = project.pytest("-q")
    assert outcome.status == 4
    assert told in outcome.text
    assert "fix: " in outcome.text
    assert "Traceback" not in outcome.text


def test_an_option_that_sets_no_key_says_how_one_is_set(project):
    table = '[tool.seatrial.resources.db]\nkind = "sqlite"\n'
    project.write({"pyproject.toml": table, "test_x.py": "def test_x(): pass\n"})
    outcome = project.pytest("-q", "--seatrial-set", "db.isolation")
    assert outcome.status == 4
    assert "`db.isolation` sets no key" in outcome.text
    assert "fix: write KEY=VALUE, as in db.isolation=clone" in outcome.text


@pytest.mark.parametrize(
    ("marked", "fix"),
    [
        ('db="clnoe"', "write `clone` (isolations: "),
        ('db="xyzzy"', "take one of the isolations: reset, rollback, clone, auto"),
        ('bd="clone"', "write `db` (resources: db)"),
        ('warehouse="clone"', "take one of the resources: db"),
    ],
)
def test_a_marker_that_names_what_does_not_exist_says_what_to_write(project, marked, fix):
    test = f"import pytest\n\n@pytest.mark.seatrial({marked})\ndef test_x(): pass\n"
    project.write({"pyproject.toml": '[tool.seatrial.resources.db]\nkind = "sqlite"\n', "test_x.py": test})
    outcome = project.pytest("-q")
    assert outcome.status != 0
    assert "names the" in outcome.text
    assert f"fix: {fix}" in outcome.text


@pytest.mark.parametrize(
    ("kind", "isolation", "more"),
    [
        ("redis", "rollback", ""),
        ("nats", "rollback", ""),
        ("s3", "rollback", ""),
        ("mariadb", "rollback", ""),
        ("command", "clone", "command = 'sleep {port}'\nreset = 'nothing'"),
    ],
)
def test_an_isolation_that_a_kind_can_not_have_is_refused_before_anything_is_started(project, kind, isolation, more):
    config = f'[tool.seatrial.resources.store]\nkind = "{kind}"\n{more}'
    project.write({"pyproject.toml": config, "test_x.py": "def test_x(store): pass\n"})
    outcome = project.pytest("-q", "--seatrial-set", f"store.isolation={isolation}")
    assert outcome.status == 4, outcome.text
    assert f'isolation = "{isolation}" is not possible with kind = "{kind}": ' in outcome.text
    assert 'remove `isolation`, or write isolation = "reset"' in outcome.text


def test_a_marker_that_asks_a_kind_for_an_isolation_that_it_can_not_have_says_so(project):
    test = "import pytest\n\n@pytest.mark.seatrial(kv='rollback')\ndef test_x(kv): pass\n"
    project.write({"pyproject.toml": '[tool.seatrial.resources.kv]\nkind = "redis"\n', "test_x.py": test})
    outcome = project.pytest("-q")
    assert outcome.counts() == {"error": 1}, outcome.text
    assert '@pytest.mark.seatrial(kv="rollback") is not possible with that kind' in outcome.text
    assert "why: it has no transaction that could enclose a test" in outcome.text


def test_tests_that_were_to_run_in_rollback_and_could_not_are_told(project):
    test = "def test_x(db): pass\n\ndef test_y(db): pass\n"
    config = '[tool.seatrial.resources.db]\nkind = "sqlite"\nisolation = "rollback"\n'
    outcome = project.write({"pyproject.toml": config, "test_x.py": test}).pytest("-q")
    assert outcome.counts() == {"passed": 2}, outcome.text
    assert outcome.text.count("db: tests that were to run in rollback run in reset: rollback needs sessions that") == 1


def test_an_app_that_does_not_import_shows_its_own_traceback_shortened(service):
    service.write({"app/main.py": "from app.database import Base\nimport app.models\n\n1 / 0\n"})
    outcome = service.pytest("-q", "tests", "-k", "cascade")
    assert outcome.status == 1
    assert "ZeroDivisionError" in outcome.text
    assert "app/main.py" in outcome.text
    assert "importlib" not in outcome.text


def test_an_app_path_that_does_not_exist_names_the_nearest(service):
    outcome = service.pytest("-q", "tests", "-k", "cascade", SEATRIAL_APP="app.main:aap")
    assert outcome.status == 1
    assert "app.main:aap" in outcome.text
    assert 'write "app.main:app"' in outcome.text


def test_an_override_that_is_no_function_says_what_it_should_name(service):
    outcome = service.pytest("-q", "tests", "-k", "cascade", SEATRIAL_DB_OVERRIDE="app.database:engine")
    assert outcome.status == 1
    assert 'override = "app.database:engine" can\'t be called: it is of the type Engine' in outcome.text
    assert "why: `override` names a dependency of the app: a function" in outcome.text
    assert "fix: name that function" in outcome.text
    assert "Traceback" not in outcome.text
    assert "bug of Seatrial" not in outcome.text


def test_a_resource_that_can_not_be_had_fails_no_test_that_does_not_ask_for_it(project):
    """Though wider fixtures are set up, whose layers would lie on its copy."""
    project.write(
        {
            "pyproject.toml": """
                [tool.pytest.ini_options]
                pythonpath = ["."]

                [tool.seatrial.resources.db]
                kind = "sqlite"
                schema = "schema.sql"
                override = "settings:get_db"
                """,
            "schema.sql": "CREATE TABLE t (a);",
            "settings.py": "get_db = None",
            "test_it.py": """
                import pytest

                @pytest.fixture(scope="module")
                def wide():
                    yield 1

                def test_asks(db):
                    pass

                def test_does_not(wide):
                    pass
                """,
        }
    )
    outcome = project.pytest("-q")
    assert outcome.counts() == {"error": 1, "passed": 1}, outcome.text


def test_a_schema_without_tables_asks_whether_the_models_are_imported(service):
    service.write({"app/models.py": "", "app/main.py": "from fastapi import FastAPI\n\napp = FastAPI()\n"})
    service.write({"tests/test_occasions.py": "def test_it(db): pass\n"})
    outcome = service.pytest("-q", "tests")
    assert outcome.status == 1
    assert "has no tables" in outcome.text
    assert "fix: are the models imported?" in outcome.text


def test_a_failing_migration_shows_its_own_error_and_leaves_no_half_built_template(service):
    service.write({"schema.sql": "create table good (id int);\ncreate table bad (id no_such_type);\n"})
    config = service.folder / "pyproject.toml"
    config.write_text(config.read_text().replace('"app.database:Base"', '"schema.sql"'))
    broken = service.pytest("-q", "tests", "-k", "cascade")
    assert broken.status == 1
    assert 'type "no_such_type" does not exist' in broken.text
    service.write({"schema.sql": "create table good (id int);\n", "tests/test_good.py": GOOD})
    assert service.pytest("-q", "tests/test_good.py").status == 0


GOOD = """
from sqlalchemy import text

def test_good(db):
    assert db.execute(text("select count(*) from good")).scalar() == 0
"""


def test_the_full_error_is_told_once_and_later_tests_say_it_in_a_line(service):
    service.write({"app/models.py": "import no_such_library\n"})
    service.write({"tests/test_occasions.py": "def test_a(db): pass\n\n\ndef test_b(db): pass\n"})
    outcome = service.pytest("-q", "tests/test_occasions.py")
    assert outcome.counts() == {"error": 2}, outcome.text
    assert outcome.text.count("fix: are the models imported?") == 1
    assert (
        outcome.text.count("(told in full at the first test that met it)") == 2
    )  # where it stands, and in the summary


def test_a_url_without_our_marker_is_refused_and_nothing_is_touched(service):
    """Covered with a real server in tests/acceptance/test_url.py; here: nobody answers there."""
    outcome = service.pytest("-q", "tests", "-k", "cascade", SEATRIAL_DB_URL="postgresql://u:s3cret@127.0.0.1:9/x")
    assert outcome.status == 1
    assert "127.0.0.1:9" in outcome.text
    assert "s3cret" not in outcome.text
