"""A test that another plugin runs once more begins as it did the first time."""

from __future__ import annotations

import pytest

TESTS = """
import pytest

attempts = []

def fails_at_first(name):
    attempts.append(name)
    assert attempts.count(name) == 2

@pytest.fixture
def rows(db):
    return lambda: [v for (v,) in db.execute("select v from log order by v")]

@pytest.fixture(scope="module")
def stock(db):
    db.execute("insert into log values ('half')")
    db.commit()
    fails_at_first("stock")

@pytest.fixture
def own(db):
    db.execute("insert into log values ('own')")
    db.commit()
    fails_at_first("own")

@pytest.fixture(scope="class")
def of_class(db):
    db.execute("insert into log values ('class')")
    db.commit()

def test_whose_body_fails_at_first(db, rows):
    assert rows() == ["seed"]
    db.execute("insert into log values ('of a test')")
    db.commit()
    fails_at_first("body")

def test_whose_own_fixture_fails_at_first(own, rows):
    assert rows() == ["own", "seed"]

class TestInALayer:
    def test_in_a_layer(self, of_class, db, rows):
        assert rows() == ["class", "seed"]
        db.execute("delete from log")
        db.commit()
        fails_at_first("in a layer")

    def test_after_it(self, of_class, rows):
        assert rows() == ["class", "seed"]

def test_whose_module_fixture_fails_at_first(stock, rows):
    assert rows() == ["half", "seed"]

def test_the_last_one(db, rows):
    assert rows() == ["half", "seed"]
    db.execute("insert into log values ('of the last test')")
    db.commit()
    fails_at_first("last")
"""


@pytest.mark.parametrize("isolation", ["reset", "rollback", "clone"])
def test_each_attempt_of_pytest_rerunfailures_begins_at_the_baseline(project, isolation):
    project.write(
        {
            "seatrial.toml": "[resources.db]\nkind = 'postgres'\nschema = 'schema.sql'\n",
            "schema.sql": "create table log (v text); insert into log values ('seed');",
            "test_log.py": TESTS,
        }
    )
    outcome = project.pytest("-p", "pytest_rerunfailures", "--reruns", "1", audit=True, SEATRIAL_DB_ISOLATION=isolation)
    assert outcome.counts()["passed"] == 6, outcome.text
    assert "5 rerun in" in outcome.text
    # The attempt whose module's fixture failed had not begun.
    assert "db: audited after 10 tests, all of them equal to the baseline" in outcome.text
