"""`--seatrial-audit`: the whole database is compared after each test, and who left a difference fails, by name."""

from __future__ import annotations

import json
from urllib.parse import urlsplit

import psycopg
import pytest

TESTS = """
def test_innocent(db):
    assert db.execute("select count(*) from team").fetchone() == (1,)

def test_leaks(db):
    db.execute("insert into team values (2, 'left behind')")
    db.commit()

def test_next_starts_from_the_baseline_all_the_same(db):
    assert db.execute("select count(*) from team").fetchone() == (1,)
"""
BROKEN = """
from seatrial.resources.kinds.{kind}.{module} import {name}
from seatrial.resources.protocol import Undone

{name}.undo = lambda self: Undone(path="nothing")  # an undo that undoes nothing
"""


@pytest.fixture(params=["postgres", "sqlite"])
def broken(request, project):
    """A project on each kind, with an undo that leaves everything behind."""
    module, name = {"postgres": ("reset.copy", "PostgresCopy"), "sqlite": ("copy", "SQLiteCopy")}[request.param]
    return project.write(
        {
            "seatrial.toml": f"[resources.db]\nkind = '{request.param}'\nschema = 'schema.sql'\n",
            "schema.sql": "create table team (id int primary key, name text); insert into team values (1, 'seed');",
            "conftest.py": BROKEN.format(kind=request.param, module=module, name=name),
            "test_teams.py": TESTS,
        }
    )


def test_a_difference_fails_the_test_that_left_it_and_names_table_row_and_writer(broken):
    outcome = broken.pytest(audit=True)
    assert outcome.counts() == {"passed": 3, "error": 1}, outcome.text
    assert "ERROR at teardown of test_leaks" in outcome.text
    assert "After test_teams.py::test_leaks the database db does not equal its baseline: rows " in outcome.text
    assert "team: 2 rows, 1 " in outcome.text
    assert "left behind" in outcome.text
    assert "db: audited after 3 tests, 1 left a difference" in outcome.text
    if "kind = 'postgres'" in (broken.folder / "seatrial.toml").read_text():
        assert "is too many (transaction " in outcome.text
        assert "connections that were used during the test: pid " in outcome.text


@pytest.mark.parametrize("broken", ["sqlite"], indirect=True)
def test_without_it_nobody_looks(broken):
    outcome = broken.pytest("-k", "innocent", audit=False)
    assert outcome.counts()["passed"] == 1, outcome.text
    assert "audit" not in outcome.text


BY_NAME = """
import pytest

@pytest.mark.parametrize("attempt", range(3))
def test_asks_by_name(request, attempt):
    db = request.getfixturevalue("d" + "b")
    assert db.execute("select count(*) from team").fetchone() == (1,)
    db.execute("insert into team values (2, 'committed')")
    db.commit()
"""


@pytest.mark.parametrize("kind", ["postgres", "sqlite"])
def test_the_first_test_that_asks_for_a_resource_by_name_only_is_isolated_as_all_others(project, kind):
    project.write(
        {
            "seatrial.toml": f"[resources.db]\nkind = '{kind}'\nschema = 'schema.sql'\n",
            "schema.sql": "create table team (id int primary key, name text); insert into team values (1, 'seed');",
            "test_teams.py": BY_NAME,
        }
    )
    outcome = project.pytest("-q", "--seatrial-explain", audit=True)
    assert outcome.counts() == {"passed": 3}, outcome.text
    assert "after its end" not in outcome.text
    assert "db: audited after 3 tests, all of them equal" in outcome.text


STAYS = """
import psycopg, pytest

@pytest.fixture(scope="session", autouse=True)
def gone_in_the_end(db_url):
    yield
    with psycopg.connect(db_url) as connection:
        connection.execute("select pg_drop_replication_slot(slot_name) from pg_replication_slots")

def test_leaks(db):
    db.execute("select pg_create_physical_replication_slot('held')")

@pytest.mark.parametrize("attempt", range(2))
def test_innocent(db, attempt):
    db.execute("select 1")

def test_leaks_as_well(db):
    db.execute("select pg_create_physical_replication_slot('held_as_well')")
"""


def test_what_no_undo_and_no_clone_takes_away_fails_the_test_that_left_it_and_none_of_the_others(project):
    project.write(
        {
            "seatrial.toml": "[resources.db]\nkind = 'postgres'\nschema = 'schema.sql'\n",
            "schema.sql": "create table team (id int)",
            "test_teams.py": STAYS,
        }
    )
    outcome = project.pytest(audit=True)
    assert outcome.counts() == {"passed": 4, "error": 2}, outcome.text
    assert "db: audited after 4 tests, 2 left a difference" in outcome.text
    assert "ERROR at teardown of test_leaks_as_well" in outcome.text


OUT_OF_SIGHT = """
create table secrets (id serial primary key, text text);
create table team (id int);
select lo_create(42);
revoke all on secrets, secrets_id_seq from current_user;
"""

WIDE = """
import psycopg, pytest

@pytest.fixture(scope="module")
def of_a_fixture(db_url):
    with psycopg.connect(db_url) as owner:
        owner.execute("create table of_a_fixture (id int)")
        owner.execute("revoke all on of_a_fixture from current_user")

def test_wide(of_a_fixture, db):
    db.execute("insert into team values (1)")
    db.commit()
"""


@pytest.fixture
def hidden(project):
    """A project where the owner may not read all that is his."""
    project.write(
        {
            "seatrial.toml": "[resources.db]\nkind = 'postgres'\nschema = 'schema.sql'\n",
            "schema.sql": OUT_OF_SIGHT,
            "test_teams.py": "import pytest\n\n@pytest.mark.parametrize('n', range(4))\n"
            "def test_one(db, n):\n    db.execute('insert into team values (1)')\n    db.commit()\n",
            "test_wide.py": WIDE,
        }
    )
    yield project
    project.end_servers()


def test_what_the_role_of_a_url_may_not_read_is_named_once_and_not_vouched_for(hidden):
    url = json.loads(hidden.seatrial("up", "--json").text)[0]["url"]
    with psycopg.connect(url, autocommit=True) as owner:
        owner.execute("create role short_sighted login createdb password 'x'")
        owner.execute("create database theirs owner short_sighted")
    parts = urlsplit(url)
    theirs = parts._replace(netloc=f"short_sighted:x@{parts.hostname}:{parts.port}", path="/theirs").geturl()
    outcome = hidden.pytest("-n", "2", audit=True, SEATRIAL_DB_URL=theirs)
    assert outcome.counts() == {"passed": 5}, outcome.text
    for more in ("", "public.of_a_fixture, "):
        told = f"db: the audit may not read large objects, {more}public.secrets, public.secrets_id_seq: "
        assert outcome.text.count(told) == 1, outcome.text
    assert "may not read" not in hidden.pytest(audit=True).text
