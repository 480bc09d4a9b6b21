"""A MariaDB and a MySQL of the tests' own, found and started as in a run, and a store on each."""

from __future__ import annotations

import contextlib
import secrets

import pymysql
import pytest

from seatrial.resources.kinds.mysql import MySQL, mariadb
from seatrial.resources.kinds.mysql.connection import arguments
from seatrial.resources.protocol import Requirements
from seatrial.resources.providers.binary import Binary

SCHEMA = """
CREATE TABLE users (id INT AUTO_INCREMENT PRIMARY KEY, email VARCHAR(80) UNIQUE, name TEXT, score DOUBLE,
  born DATETIME(6), photo BLOB, flags BIT(3), lower_name VARCHAR(80) AS (LOWER(email)) STORED);
INSERT INTO users (email, name, score, born, photo, flags) VALUES
  ('a@example.org', 'Änne \\\\ O''Hara', 0.1, '2024-02-29 12:00:00.000001', x'00ff5c27', b'101'), ('b@example.org', NULL, NULL, NULL, NULL, NULL);
CREATE TABLE posts (id INT AUTO_INCREMENT PRIMARY KEY, user_id INT, title VARCHAR(40),
  FOREIGN KEY (user_id) REFERENCES users (id) ON DELETE CASCADE);
INSERT INTO posts (user_id, title) VALUES (1, 'first'), (1, 'second');
CREATE TABLE keyless (v VARCHAR(20));
INSERT INTO keyless VALUES ('same'), ('same'), ('other');
CREATE TABLE blank (id BIGINT AUTO_INCREMENT PRIMARY KEY, v VARCHAR(20));
CREATE TABLE trail (what VARCHAR(40)) ENGINE = MyISAM;
CREATE VIEW titles AS SELECT users.email, posts.title FROM users JOIN posts ON posts.user_id = users.id;
DELIMITER //
CREATE FUNCTION shout(v TEXT) RETURNS TEXT DETERMINISTIC BEGIN RETURN UPPER(v); END //
CREATE TRIGGER kept_in_trail AFTER INSERT ON posts FOR EACH ROW INSERT INTO trail VALUES (CONCAT('new ', NEW.title)) //
CREATE TRIGGER gone_in_trail AFTER DELETE ON posts FOR EACH ROW INSERT INTO trail VALUES ('gone') //
DELIMITER ;
CREATE VIEW a_shout AS SELECT shout(title) AS title FROM titles;
INSERT INTO users (email) VALUES ('burnt');
DELETE FROM users WHERE email = 'burnt';
"""

SEQUENCES = """
CREATE SEQUENCE numbers START 100 CACHE 10;
CREATE TABLE numbered (id INT DEFAULT nextval(numbers) PRIMARY KEY, v INT);
"""
"""Only MariaDB has them."""


@pytest.fixture(scope="module", params=["mariadb", "mysql"])
def kind(request):
    """The kind whose server it is. A MariaDB is no MySQL here: where the machine has one of the two, one is tested."""
    return {"mariadb": mariadb, "mysql": MySQL}[request.param]()


@pytest.fixture(scope="module")
def spec(kind, cache):
    spec = kind.spec(Requirements(project=cache, version=">=8" if kind.name == "mysql" else ""))
    lacking = Binary().probe(spec)
    if lacking:
        pytest.skip(lacking)
    return spec


@pytest.fixture(scope="module")
def server(spec):
    server = Binary().reserve(spec)
    server.start()
    yield server
    server.release()


@pytest.fixture(scope="module")
def store(kind, spec, server):
    store = kind.open(server.endpoint, spec)
    # From 9 on MySQL lets no trigger on a table of InnoDB write to one of MyISAM.
    schema = SCHEMA + SEQUENCES if kind.name == "mariadb" else SCHEMA.replace("ENGINE = MyISAM", "")
    store.build("key", "build_here", lambda target: target.execute(schema))
    yield store
    store.close()


@pytest.fixture(scope="module")
def template(store):
    return "key"


class Lab:
    """A copy, an app's connection to it, and an audit of it."""

    def __init__(self, kind, copy, auditor):
        self.copy = copy
        self._is_mariadb = kind.name == "mariadb"
        self._auditor = auditor
        self.baseline = auditor.baseline()

    def connect(self):
        return contextlib.closing(pymysql.connect(**arguments(self.copy.address), autocommit=True))

    def knows(self, statement):
        """Whether the server has this statement: sequences, and some others, are MariaDB's own."""
        only = ("SET STATEMENT", "ALTER DATABASE COMMENT")
        return self._is_mariadb or not ("numbered" in statement or statement.startswith(only))

    def do(self, *statements):
        if not all(map(self.knows, statements)):
            pytest.skip("only MariaDB has such statements")
        with self.connect() as connection, connection.cursor() as cursor:
            for statement in statements:
                cursor.execute(statement)
            return cursor.fetchall() if statements else ()

    def undone(self, *statements):
        """What was written is undone, and the audit finds no difference."""
        self.do(*statements)
        undone = self.copy.undo()
        assert self.differences() == []
        return undone

    def differences(self):
        return list(map(str, self._auditor.differences(self.baseline)))


@pytest.fixture
def lab(kind, store, server, template):
    copy = store.checkout(template, f"lab_{secrets.token_hex(3)}")
    yield Lab(kind, copy, kind.auditor(server.endpoint, copy.address, alone=True))
    store.drop(copy.address.database)
