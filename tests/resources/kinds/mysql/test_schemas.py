"""What is in a schema besides tables and rows is in each copy as it was written, and does nothing in a template."""

from __future__ import annotations

import secrets
from contextlib import closing

import pymysql
import pytest

from seatrial.core import wait
from seatrial.resources.kinds.mysql.connection import arguments


@pytest.fixture
def made(store):
    """Makes a template of a script, and a copy of that; tells what is asked of the copy."""
    names = []

    def make(script):
        key = secrets.token_hex(4)
        names.append((key, f"made_{key}"))
        store.build(key, f"made_{key}", lambda target: target.execute(script))
        copy = store.checkout(key, f"made_{key}")

        def ask(statement):
            with closing(pymysql.connect(**arguments(copy.address), autocommit=True)) as app, app.cursor() as cursor:
                cursor.execute(statement)
                return cursor.fetchall()

        return copy, ask

    yield make
    for key, name in names:
        store.drop(name)
        store.forget(key)


@pytest.fixture
def scheduler(lab):
    """Events run."""
    ((before,),) = lab.do("SELECT @@GLOBAL.event_scheduler")
    lab.do("SET GLOBAL event_scheduler = ON")
    yield
    lab.do(f"SET GLOBAL event_scheduler = {before}")


def test_an_event_runs_in_the_copy_and_never_in_a_template_or_a_layer(made, scheduler):
    copy, ask = made(
        "CREATE TABLE ticks (id INT AUTO_INCREMENT PRIMARY KEY);"
        "CREATE EVENT tick ON SCHEDULE EVERY 1 SECOND DO INSERT INTO ticks VALUES (NULL)"
    )

    def ticked(again):
        return lambda: len(ask("SELECT 1 FROM ticks")) >= again

    def elsewhere():
        """How many ticks there are in each template and layer."""
        found = ask("SELECT table_schema FROM information_schema.tables WHERE table_name = 'ticks' ORDER BY 1")
        return [(name, ask(f"SELECT COUNT(*) FROM `{name}`.ticks")) for (name,) in found if name != here]

    here = copy.address.database
    for layers in range(2):
        before = elsewhere()
        assert len(before) == 1 + layers
        assert wait.until(ticked(len(ask("SELECT 1 FROM ticks")) + 3), timeout=10)
        assert elsewhere() == before
        copy.push()
    copy.pop()
    copy.pop()
    assert wait.until(ticked(len(ask("SELECT 1 FROM ticks")) + 1), timeout=10)


def test_views_triggers_functions_and_events_are_compared_and_timed_as_where_they_were_written(made):
    script = """
SET NAMES utf8mb4 COLLATE utf8mb4_bin; SET time_zone = '+05:00';
CREATE TABLE t (same INT);
CREATE VIEW seen AS SELECT 'a' = 'A' AS same;
CREATE FUNCTION told() RETURNS INT DETERMINISTIC RETURN 'a' = 'A';
CREATE TRIGGER kept BEFORE INSERT ON t FOR EACH ROW SET NEW.same = ('a' = 'A');
CREATE EVENT later ON SCHEDULE EVERY 1 DAY STARTS '2031-01-01 00:00:00' DO DELETE FROM t;
"""
    copy, ask = made(script)
    for _ in range(2):
        ask("INSERT INTO t VALUES (7)")
        assert ask("SELECT t.same, seen.same, told() FROM t, seen") == ((0, 0, 0),)
        assert copy.undo().path == "log"
    assert ask(
        "SELECT CAST(starts AS CHAR), time_zone FROM information_schema.events WHERE event_schema = DATABASE()"
    ) == (("2031-01-01 00:00:00", "+05:00"),)


def test_rows_that_break_a_rule_of_their_table_are_part_of_the_baseline(kind, made):
    if kind.name != "mariadb":
        pytest.skip("only MariaDB lets them in")
    copy, ask = made(
        "CREATE TABLE t (id INT PRIMARY KEY, n INT CHECK (n > 0));"
        "SET check_constraint_checks = 0; INSERT INTO t VALUES (1, -1)"
    )
    ask("DELETE FROM t")
    copy.undo()
    assert ask("SELECT * FROM t") == ((1, -1),)


def test_a_table_that_shows_the_rows_of_others_adds_none_to_them(made):
    copy, ask = made(
        "CREATE TABLE first (n INT NOT NULL) ENGINE = MyISAM; CREATE TABLE second LIKE first;"
        "INSERT INTO first VALUES (1);"
        "CREATE TABLE together (n INT NOT NULL) ENGINE = MERGE UNION = (first, second) INSERT_METHOD = LAST"
    )
    for _ in range(2):
        assert ask("SELECT * FROM second") == ()
        ask("INSERT INTO together VALUES (2)")
        copy.undo()
        assert ask("SELECT * FROM together") == ((1,),)
