"""What a test wrote to MariaDB or MySQL is undone: guided by the binary log, or by reading every table."""

from __future__ import annotations

import random

import pymysql
import pytest

from seatrial.errors import NeedsClone
from seatrial.resources.kinds.mysql.reset import undo
from seatrial.resources.kinds.mysql.reset.log import Log, Position


def test_a_copy_is_like_its_template_in_rows_counters_views_routines_and_triggers(lab):
    assert lab.do("SELECT email, HEX(photo), flags + 0, lower_name FROM users ORDER BY id") == (
        ("a@example.org", "00FF5C27", 5, "a@example.org"),
        ("b@example.org", None, None, "b@example.org"),
    )
    assert lab.do("SELECT title FROM a_shout ORDER BY 1") == (("FIRST",), ("SECOND",))
    lab.do("INSERT INTO users (email) VALUES ('c')", "INSERT INTO posts (user_id, title) VALUES (1, 'x')")
    assert lab.do("SELECT MAX(id) FROM users") == ((4,),)  # 3 was burnt in the template
    assert lab.do("SELECT * FROM trail") == (("new x",),)
    if lab.knows("numbered"):
        assert lab.do("INSERT INTO numbered (v) VALUES (1)", "SELECT id FROM numbered") == ((100,),)


@pytest.mark.parametrize(
    ("statements", "tables"),
    [
        (["INSERT INTO blank (v) VALUES ('x')"], ("blank",)),
        (["INSERT INTO users (email) VALUES ('c')"], ("users",)),
        (["UPDATE users SET name = 'other' WHERE id = 1"], ("users",)),
        (["UPDATE users SET email = 'A@example.org' WHERE id = 1"], ("users",)),
        (["UPDATE users SET id = 77 WHERE id = 2"], ("users",)),
        (["DELETE FROM users WHERE id = 1"], ("users",)),
        (["REPLACE INTO users (id, email) VALUES (1, 'b@example.org')"], ("users",)),
        (["DELETE FROM keyless WHERE v = 'same' LIMIT 1"], ("keyless",)),
        (["INSERT INTO posts (user_id, title) VALUES (2, 'mine')"], ("posts", "trail")),
        (["DELETE FROM posts"], ("posts", "trail")),
        (["INSERT INTO numbered (v) VALUES (1)"], ("numbered", "numbers")),
    ],
)
def test_what_was_written_is_undone_guided_by_the_log(lab, statements, tables):
    for _ in range(2):
        undone = lab.undone(*statements)
        assert undone.path == "log"
        assert set(undone.tables) >= set(tables)
    assert lab.copy.undo().path == "nothing"


def test_rows_that_a_foreign_key_deletes_are_not_in_the_log_and_are_put_back(lab):
    lab.do("DELETE FROM users WHERE id = 1")
    assert lab.do("SELECT * FROM posts") == ()
    lab.undone()
    assert len(lab.do("SELECT * FROM posts")) == 2


def test_the_counter_of_a_write_that_was_rolled_back_is_put_back(lab):
    with lab.connect() as app, app.cursor() as cursor:
        app.begin()
        cursor.execute("INSERT INTO blank (v) VALUES ('never')")
        app.rollback()
    assert lab.differences() == ["counter blank: was 1, is 2"]
    assert lab.undone().tables == ("blank",)


@pytest.mark.parametrize(
    "statement",
    [
        "TRUNCATE TABLE users",
        "OPTIMIZE TABLE users",
        "SET STATEMENT binlog_format = 'STATEMENT' FOR INSERT INTO blank (v) VALUES ('x')",
    ],
)
def test_what_the_log_tells_as_a_statement_is_undone_by_reading_every_table(lab, statement):
    assert lab.undone("SET foreign_key_checks = 0", statement).path == "scan"


@pytest.mark.parametrize(
    "statement",
    [
        "CREATE TABLE fresh (id INT)",
        "ALTER TABLE users ADD COLUMN age INT",
        "DROP TABLE blank",
        "DROP TRIGGER gone_in_trail",
        "CREATE OR REPLACE VIEW titles AS SELECT 1 AS one",
        "CREATE PROCEDURE fresh() SELECT 1",
        "CREATE INDEX fresh ON users (score)",
        "ALTER DATABASE COLLATE utf8mb4_bin",
        "ALTER DATABASE COMMENT 'mine'",
        "# why\nALTER TABLE users ADD COLUMN age INT",
        "/* why */ -- and how\n ALTER DATABASE COLLATE utf8mb4_bin",
        "/*!40000 ALTER DATABASE COLLATE utf8mb4_bin */",
    ],
)
def test_a_changed_schema_takes_a_fresh_copy_behind_the_same_name(lab, statement):
    lab.do(statement)
    assert lab.differences()
    with pytest.raises(NeedsClone, match="changed the schema"):
        lab.copy.undo()
    lab.copy.renew()
    assert lab.differences() == []
    assert lab.undone("INSERT INTO blank (v) VALUES ('x')").path == "log"


def test_even_a_database_that_the_test_dropped_comes_back(lab):
    lab.do(f"DROP DATABASE {lab.copy.address.database}")
    with pytest.raises(NeedsClone):
        lab.copy.undo()
    lab.copy.renew()
    assert lab.differences() == []


def test_a_temporary_table_is_no_change_of_the_schema(lab):
    undone = lab.undone("CREATE TEMPORARY TABLE mine (id INT)", "INSERT INTO mine VALUES (1)")
    assert undone.path == "nothing"


def test_who_is_still_in_a_transaction_is_ended_and_named(lab):
    with lab.connect() as app, app.cursor() as cursor:
        app.begin()
        cursor.execute("INSERT INTO blank (v) VALUES ('open')")
        undone = lab.copy.undo()
        assert [(one.pid, one.state) for one in undone.ended] == [(app.thread_id(), "idle in transaction")]
        assert lab.differences() == []
        with pytest.raises(pymysql.err.MySQLError):
            cursor.execute("SELECT 1")


def test_idle_connections_are_ended_where_they_are_to_be_recycled(lab):
    with lab.connect() as mine, lab.connect() as theirs:
        assert [ended.pid for ended in lab.copy.end_idle([mine.thread_id()])] == [theirs.thread_id()]
        mine.ping(reconnect=False)
        with pytest.raises(pymysql.err.MySQLError):
            theirs.ping(reconnect=False)
    assert lab.undone("INSERT INTO blank (v) VALUES ('x')").path == "log"


def test_a_late_write_is_named(lab):
    lab.undone()
    lab.do("INSERT INTO blank (v) VALUES ('late')")
    assert lab.copy.late_writes() == ("blank",)
    lab.undone()
    assert lab.copy.late_writes() == ()


def test_where_the_log_is_gone_every_table_is_read(lab):
    lab.do("INSERT INTO blank (v) VALUES ('x')")
    lab.copy._since = Position(file="binlog.654321", offset=4)  # removed, since it was too old
    assert lab.undone().path == "scan"
    assert lab.undone("INSERT INTO blank (v) VALUES ('x')").path == "log"


def test_where_the_log_has_begun_anew_every_table_is_read(lab):
    lab.do("INSERT INTO blank (v) VALUES ('x')")
    lab.copy._since = Position(file=lab.copy._since.file, offset=2**31)  # where it was before RESET MASTER
    assert lab.undone().path == "scan"


def test_the_log_is_followed_from_one_file_to_the_next_and_old_files_are_removed(lab):
    for made in range(1, 100):
        assert lab.undone("INSERT INTO blank (v) VALUES ('x')", "FLUSH BINARY LOGS").tables == ("blank",)
        # MariaDB keeps a file until its engine has noted all of it, which it does in the background.
        if len(lab.do("SHOW BINARY LOGS")) < made:
            break
    else:
        pytest.fail("no file of the log was removed")


def test_a_user_who_may_not_read_the_log_has_every_table_read(lab, monkeypatch):
    monkeypatch.setattr(lab.copy, "_source", Without(lab.copy._source, log=None))
    assert lab.undone().path == "nothing"
    undone = lab.undone("DELETE FROM users", "INSERT INTO keyless VALUES ('x')")
    assert undone.path == "scan"
    assert {"users", "keyless"} <= set(undone.tables), "what was put back is named"
    assert lab.copy.late_writes() == ()


class Without:
    def __init__(self, whole, **instead):
        self.__dict__.update(instead)
        self._whole = whole

    def __getattr__(self, name):
        return getattr(self._whole, name)


def test_a_layer_is_the_baseline_until_it_is_taken_away(lab):
    lab.do("UPDATE users SET name = 'in the layer' WHERE id = 1", "CREATE TABLE extra (id INT PRIMARY KEY)")
    lab.copy.push()
    lab.do("DELETE FROM users", "INSERT INTO extra VALUES (1)")
    assert lab.copy.undo().path == "log"
    assert lab.do("SELECT name FROM users WHERE id = 1") == (("in the layer",),)
    assert lab.do("SELECT * FROM extra") == ()
    lab.copy.pop()
    assert lab.differences() == []


def test_a_number_that_a_rollback_has_used_up_is_part_of_the_layer(lab):
    """The first test on it had begun with the next number, and those after it with this one."""
    lab.copy.undo()
    assert not lab.copy.changed()
    with lab.connect() as app, app.cursor() as cursor:
        app.begin()
        cursor.execute("INSERT INTO blank (v) VALUES ('never')")
        app.rollback()
    assert lab.copy.changed()
    lab.copy.push()
    lab.do("INSERT INTO blank (v) VALUES ('of a test')")
    lab.copy.undo()
    assert lab.do("INSERT INTO blank (v) VALUES ('of the next')", "SELECT id FROM blank") == ((2,),)
    lab.copy.pop()
    assert lab.differences() == []


def test_a_sequence_that_a_layer_has_used_gives_the_first_test_on_it_what_it_gives_the_next(lab):
    """The first one had the rest of the numbers that the server had taken in advance."""
    lab.do("INSERT INTO numbered (v) VALUES (1)")
    lab.copy.push()
    first = lab.do("INSERT INTO numbered (v) VALUES (2)", "SELECT id FROM numbered WHERE v = 2")
    lab.copy.undo()
    assert lab.do("INSERT INTO numbered (v) VALUES (2)", "SELECT id FROM numbered WHERE v = 2") == first
    lab.copy.pop()
    assert lab.differences() == []


WRITES = (
    "INSERT INTO users (email, score) VALUES (UUID(), RAND())",
    "UPDATE users SET score = RAND(), born = NOW(6) WHERE id % 2 = {n} % 2",
    "DELETE FROM users WHERE id = {n}",
    "INSERT INTO posts (user_id, title) SELECT id, 'p{n}' FROM users LIMIT {n}",
    "UPDATE posts SET title = CONCAT(title, '{n}')",
    "DELETE FROM keyless LIMIT {n}",
    "INSERT INTO keyless VALUES ('k{n}'), ('k{n}')",
    "INSERT INTO blank (v) VALUES ('{n}')",
    "INSERT INTO numbered (v) VALUES ({n})",
    "TRUNCATE TABLE blank",
)


def test_whatever_is_written_at_random_the_audit_finds_no_difference(lab):
    chance, writes = random.Random(1), [one for one in WRITES if lab.knows(one)]
    for _ in range(10):
        lab.undone(*(chance.choice(writes).format(n=chance.randrange(1, 5)) for _ in range(chance.randrange(1, 6))))


@pytest.mark.parametrize(
    ("where", "rule"),
    [
        (undo, "restore"),
        (undo, "restore_counters"),
        (Log, "read"),
    ],
)
def test_the_audit_catches_an_undo_without_one_of_its_rules(lab, monkeypatch, where, rule):
    nothing = {"restore": {}, "restore_counters": ()}
    if rule == "read":
        quiet = lab.copy._source.log.read("no_such_database", lab.copy._since)
        monkeypatch.setattr(where, rule, lambda *asked, **options: quiet)
    else:
        monkeypatch.setattr(where, rule, lambda *asked, **options: nothing[rule])
    lab.do("INSERT INTO blank (v) VALUES ('left')")
    lab.copy.undo()
    assert any("blank" in one for one in lab.differences())
