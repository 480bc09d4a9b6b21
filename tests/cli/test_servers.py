"""`seatrial doctor`, `run`, `up`, `status` and `down` on a real PostgreSQL."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from urllib.parse import urlsplit

import psycopg
import pytest

POSTGRES = {
    "pyproject.toml": """
        [tool.seatrial.resources.db]
        kind = "postgres"
        schema = "schema.sql"
        seed = "seed.sql"
    """,
    "schema.sql": "create table users (id serial primary key, name text);\n",
    "seed.sql": "insert into users (name) values ('Ada');\n",
}


@pytest.fixture
def shop(project):
    """A project with one PostgreSQL; its server is ended afterwards."""
    project.write(POSTGRES)
    yield project
    project.end_servers()


def told(outcome):
    assert outcome.status in (0, 1), outcome.text
    return json.loads(outcome.text)


COUNT = """
import os, psycopg
with psycopg.connect(os.environ["DATABASE_URL"]) as connection:
    print(connection.execute("select count(*) from users").fetchone()[0])
"""
INSERT = """
import os, psycopg
with psycopg.connect(os.environ["DATABASE_URL"]) as connection:
    connection.execute("insert into users (name) values ('Grace')")
"""


SAY_PASSWORD = """
import os, sys, urllib.parse
sys.exit(f"it was {urllib.parse.urlsplit(os.environ['DATABASE_URL']).password} at last")
"""


def test_run_gives_each_command_a_fresh_copy_with_schema_and_seed(shop):
    assert shop.seatrial("run", "--", sys.executable, "-c", INSERT).status == 0
    outcome = shop.seatrial("run", "--", sys.executable, "-c", COUNT)
    assert (outcome.status, outcome.text) == (0, "1\n")


def test_run_ends_with_the_status_of_its_command(shop):
    assert shop.seatrial("run", "--", "sh", "-c", "exit 7").status == 7
    assert shop.seatrial("run", "--", "sh", "-c", "kill -TERM $$").status == 128 + signal.SIGTERM
    outcome = shop.seatrial("run", "--", "no-such-command")
    assert outcome.status == 2
    assert "no-such-command can't be run" in outcome.text


def test_run_prints_one_json_value_whatever_its_command_prints(shop):
    script = "import sys; print('{'); print(']', file=sys.stderr)"
    command = [sys.executable, "-m", "seatrial", "run", "--json", "--", sys.executable, "-c", script]
    done = subprocess.run(command, cwd=shop.folder, env=shop.environ, capture_output=True, text=True, check=True)
    assert json.loads(done.stdout)["status"] == 0
    assert done.stderr.splitlines() == ["{", "]"]


def test_run_without_a_command_says_how_to_write_one(shop):
    outcome = shop.seatrial("run")
    assert outcome.status == 2
    assert "seatrial run -- npm test" in outcome.text


def test_run_passes_signals_on_and_cleans_up(shop):
    ready = shop.folder / "ready"
    script = f"trap 'exit 9' TERM; touch {ready}; while true; do sleep 0.02; done"
    process = subprocess.Popen(
        [sys.executable, "-m", "seatrial", "run", "--", "sh", "-c", script], cwd=shop.folder, env=shop.environ
    )
    deadline = time.monotonic() + 60
    while not ready.exists():
        assert process.poll() is None
        assert time.monotonic() < deadline
        time.sleep(0.02)
    process.send_signal(signal.SIGTERM)
    assert process.wait(timeout=60) == 9


def test_doctor_says_what_it_would_use_and_why_not_the_others(shop):
    report = told(shop.seatrial("doctor", "--no-start", "--json"))
    (db,) = report["resources"]
    providers = {one["provider"]: one for one in db["providers"]}
    assert [name for name, one in providers.items() if one["taken"]] == [db["provider"]]
    assert providers["url"]["refusal"]
    assert providers["url"]["change"].startswith("SEATRIAL_DB_URL=")
    assert (db["trial"], report["healthy"]) == (None, None)
    assert "***" in db["exports"]["DATABASE_URL"]
    assert shop.servers() == []


def test_doctor_says_where_the_cache_is_and_why_it_is_not_where_it_was_asked_for(shop, tmp_path):
    shared = tmp_path / "shared"
    shared.mkdir()
    shared.chmod(0o777)
    shown = shop.seatrial("doctor", "--no-start", "--set", "db.kind=sqlite", SEATRIAL_CACHE=str(shared)).text
    assert f"cache      {shared}/seatrial  ({shared}: others may write in it)" in shown


def test_doctor_shows_no_password_whatever_its_variable_is_called(shop):
    shop.write(
        {
            "pyproject.toml": f"""{POSTGRES["pyproject.toml"]}
            [tool.seatrial.resources.db.env]
            DATABASE_URL = "{{url}}"
            LOGIN = "{{user}}/{{password}}"
            REDIS_PASS = "{{password}}"

            [tool.seatrial.resources.files]
            kind = "s3"

            [tool.seatrial.resources.files.env]
            AWS_ACCESS_KEY_ID = "{{user}}"
            AWS_SECRET_ACCESS_KEY = "{{password}}"
            """
        }
    )
    (db, files) = told(shop.seatrial("doctor", "--no-start", "--json"))["resources"]
    assert db["exports"]["LOGIN"].endswith("/***")
    assert db["exports"]["REDIS_PASS"] == files["exports"]["AWS_SECRET_ACCESS_KEY"] == "***"
    secret = (Path(shop.environ["SEATRIAL_CACHE"]) / "secret").read_text()
    for way in (["--no-start"], [], ["--json"]):
        shown = shop.seatrial("doctor", *way).text
        assert "REDIS_PASS" in shown
        assert secret not in shown


def test_doctor_tells_a_failure_without_the_password(shop):
    shop.write({"schema.sql": "", "seed.sql": ""})
    shop.write({"pyproject.toml": POSTGRES["pyproject.toml"].replace('"seed.sql"', '"python seed.py"')})
    shop.write({"seed.py": SAY_PASSWORD})
    for way in ([], ["--json"]):
        shown = shop.seatrial("doctor", *way).text
        assert "it was *** at last" in shown


def test_doctor_says_which_server_has_no_icu(shop):
    report = shop.seatrial("doctor", "--no-start", "--set", "db.locale=icu:de-DE")
    assert "built without ICU, which `locale` asks for" in report.text


def test_doctor_has_a_test_database_and_times_each_step(shop):
    report = told(shop.seatrial("doctor", "--json"))
    (db,) = report["resources"]
    assert report["healthy"] is True
    assert [step["what"] for step in db["trial"]["steps"]] == ["server", "template", "reset"]
    assert db["trial"]["reset"]
    assert report["limits"]
    people = shop.seatrial("doctor")
    assert people.status == 0
    assert "Test databases work for: db." in people.text


def test_doctor_measures_the_scan_where_the_log_can_not_be_read(shop):
    url = told(shop.seatrial("up", "--json"))[0]["url"]
    with psycopg.connect(url, autocommit=True) as owner:
        owner.execute("create role poor login createdb password 'x'")
        owner.execute("create database theirs owner poor")
    parts = urlsplit(url)
    theirs = parts._replace(netloc=f"poor:x@{parts.hostname}:{parts.port}", path="/theirs").geturl()
    report = told(shop.seatrial("doctor", "--json", SEATRIAL_DB_URL=theirs, SEATRIAL_DB_CONNECTIONS="20"))
    (db,) = report["resources"]
    assert report["healthy"] is True, db
    assert [step["what"] for step in db["trial"]["steps"]] == ["server", "template", "reset", "scan"]
    assert db["trial"]["steps"][-1]["seconds"] > 0
    assert db["trial"]["connections"].startswith("20 for the workers of all machines, 10 each; ")
    assert any("pg_read_server_files" in grant for grant in db["trial"]["grants"])


def test_doctor_fails_where_no_test_database_can_be_had(shop):
    shop.write({"schema.sql": "create table users (id no_such_type);\n"})
    outcome = shop.seatrial("doctor")
    assert outcome.status == 1
    assert 'type "no_such_type" does not exist' in outcome.text
    assert "Test databases don't work yet: see above." in outcome.text


def test_doctor_gives_every_providers_reason_where_none_can_serve(shop):
    outcome = shop.seatrial("doctor", "--set", "db.version=>=99")
    assert outcome.status == 1
    assert "no provider can serve postgres" in outcome.text
    assert "embedded: " in outcome.text
    assert "binary: " in outcome.text


def test_an_option_beats_the_environment_and_the_file(shop):
    outcome = shop.seatrial(
        "doctor", "--no-start", "--json", "--set", "db.isolation=clone", SEATRIAL_DB_ISOLATION="rollback"
    )
    assert told(outcome)["resources"][0]["isolation"] == "clone"


def test_doctor_recognises_fixtures_that_roll_back(shop):
    shop.write(
        {
            "tests/conftest.py": """
                import pytest
                from sqlalchemy.orm import Session

                @pytest.fixture
                def db(engine):
                    session = Session(engine)
                    yield session
                    session.rollback()
            """
        }
    )
    (pattern,) = told(shop.seatrial("doctor", "--no-start", "--json"))["patterns"]
    assert pattern["name"] == "Session(engine), rolled back at the end"
    assert "leaks" in pattern["consequence"]


def test_up_holds_the_server_and_keeps_the_development_database(shop):
    (first,) = told(shop.seatrial("up", "--json"))
    assert (first["held"], first["new"]) == (True, True)
    with psycopg.connect(first["url"]) as connection:
        connection.execute("insert into users (name) values ('Grace')")
    (second,) = told(shop.seatrial("up", "--json"))
    assert (second["url"], second["new"]) == (first["url"], False)
    with psycopg.connect(second["url"]) as connection:
        assert connection.execute("select count(*) from users").fetchone() == (2,)
    (row,) = [row for row in told(shop.seatrial("status", "--json")) if row["project"] == str(shop.folder)]
    assert (row["kind"], row["held_by_up"], row["holders"]) == ("postgres", True, 0)
    os.kill(row["pid"], 0)
    ended = told(shop.seatrial("down", "--json"))
    assert [one["pid"] for one in ended] == [row["pid"]]
    assert told(shop.seatrial("down", "--json")) == []
    (third,) = told(shop.seatrial("up", "--json"))
    with psycopg.connect(third["url"]) as connection:
        assert connection.execute("select count(*) from users").fetchone() == (2,)


def test_a_kind_without_a_server_works_the_same(project):
    project.write(
        {
            "seatrial.toml": '[resources.db]\nkind = "sqlite"\nschema = "schema.sql"\n',
            "schema.sql": "create table users (id integer primary key);\n",
        }
    )
    assert told(project.seatrial("doctor", "--json"))["healthy"] is True
    assert "there is nothing to hold up" in project.seatrial("up").text
    outcome = project.seatrial("run", "--", sys.executable, "-c", "import os; print(os.environ['DATABASE_URL'])")
    assert outcome.text.startswith("sqlite:///")


@pytest.mark.parametrize("command", [["doctor"], ["up"], ["run", "--", "true"], ["down"]])
def test_a_project_without_configuration_is_told_how_to_get_one(project, command):
    (project.folder / ".git").mkdir()
    outcome = project.seatrial(*command)
    assert outcome.status == 2
    assert "no configuration was found" in outcome.text
    assert "seatrial init" in outcome.text or "seatrial down --all" in outcome.text


def test_an_unknown_resource_names_the_nearest(shop):
    outcome = shop.seatrial("up", "bd")
    assert outcome.status == 2
    assert "write `db`" in outcome.text


def test_an_error_is_json_for_machines_and_three_parts_for_people(project):
    project.write({"seatrial.toml": '[resources.db]\nkind = "postgers"\n'})
    done = subprocess.run(
        [sys.executable, "-m", "seatrial", "doctor", "--json"],
        cwd=project.folder, env=project.environ, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 2
    assert json.loads(done.stdout)["error"]["kind"] == "ConfigError"
    assert "error: " in done.stderr
    assert "fix: write `postgres`" in done.stderr
