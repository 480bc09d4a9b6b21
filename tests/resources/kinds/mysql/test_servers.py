"""Which server is taken, how it runs, and whose databases are never touched."""

from __future__ import annotations

from contextlib import closing
from dataclasses import replace

import pymysql
import pytest

from seatrial.errors import ConfigError, Refused
from seatrial.resources.kinds.mysql import MySQL, mariadb, program
from seatrial.resources.kinds.mysql.connection import arguments, connect
from seatrial.resources.kinds.mysql.script import parts
from seatrial.resources.protocol import Requirements
from seatrial.resources.providers.binary import Binary


def test_mysql_takes_a_mariadb_in_its_place_unless_a_version_is_asked_for(cache, server):
    assert Binary().probe(MySQL().spec(Requirements.of(project=cache))) is None
    told = Binary().probe(MySQL().spec(Requirements.of(project=cache, version=">=8")))
    if told is None:
        pytest.skip("this machine has a MySQL of its own")
    assert "it is MariaDB 1" in told or "mysqld" in told
    assert Binary().probe(mariadb().spec(Requirements.of(project=cache, version=">=99")))


def test_the_password_stands_in_no_command_line_and_nobody_gets_in_without_it(server, store):
    address = mariadb().copy_address(server.endpoint, server.spec, "mysql")
    assert address.password not in " ".join(server.instance.read("launch.json")["argv"])
    for user in ("root", "test", "seatrial", ""):
        with pytest.raises(pymysql.err.OperationalError):
            pymysql.connect(**{**arguments(address), "user": user, "password": ""})


def test_temporary_tables_are_where_no_other_server_that_starts_deletes_them(server):
    with connect(server.endpoint) as connection, connection.cursor() as cursor:
        cursor.execute("SELECT @@tmpdir")
        assert cursor.fetchone() == (str(server.instance.folder),)


def test_one_server_serves_all_workers_each_with_a_database_of_its_own(server, spec):
    second = Binary().reserve(spec)
    assert second.endpoint == server.endpoint
    assert second.start() is True
    second.release()
    addresses = {mariadb().copy_address(server.endpoint, server.spec, name).database for name in ("w_0", "w_1")}
    assert addresses == {"w_0", "w_1"}


def test_durable_means_that_each_commit_is_on_the_disk(kind, spec, server, tmp_path):
    def asked(of):
        with connect(of.endpoint) as connection, connection.cursor() as cursor:
            cursor.execute("SELECT @@sync_binlog, @@innodb_flush_log_at_trx_commit")
            return cursor.fetchone()

    durable = Binary().reserve(kind.spec(Requirements(project=tmp_path, version=spec.version, durable=True)))
    durable.start()
    try:
        assert (asked(durable), asked(server)) == ((1, 1), (0, 0))
    finally:
        durable.release()


def test_a_database_that_seatrial_has_not_made_is_refused_and_not_touched(server, store):
    with connect(server.endpoint) as connection, connection.cursor() as cursor:
        cursor.execute("CREATE DATABASE real_one")
        cursor.execute("CREATE TABLE real_one.orders (id INT)")
    for act in (
        lambda: store.checkout("key", "real_one"),
        lambda: store.vacant("real_one"),
        lambda: store.drop("real_one"),
    ):
        with pytest.raises(Refused, match="is not ours"):
            act()
    with connect(server.endpoint) as connection, connection.cursor() as cursor:
        assert cursor.execute("SHOW TABLES FROM real_one") == 1


@pytest.mark.parametrize(
    ("keys", "message"),
    [
        ({"at": "mysql://localhost:3306/"}, "not the address"),
        ({"at": "postgresql://h/d"}, "not the address"),
        ({"at": "mysql://u@localhost/sys"}, "not the address"),
        ({"extensions": ("x",)}, "no `extensions`"),
    ],
)
def test_a_key_that_can_not_be_met_is_told(keys, message, tmp_path):
    with pytest.raises(ConfigError, match=message) as told:
        MySQL().spec(Requirements.of(project=tmp_path, **keys))
    assert told.value.fix


def test_a_script_may_change_its_delimiter():
    text = "A; B;\nDELIMITER //\nC; D; //\nE //\ndelimiter ;\nF;"
    assert [part.strip() for part in parts(text)] == ["A; B;", "C; D;", "E", "F;"]


@pytest.mark.parametrize(
    ("told", "option"),
    [
        ("mysqld  Ver 8.0.29 for Linux on x86_64", "--innodb-log-file-size=16M"),
        ("mysqld  Ver 8.0.30 for Linux on x86_64", "--innodb-redo-log-capacity=16M"),
        ("mysqld  Ver 9.7.4-2 for Linux on x86_64 ((Debian))", "--innodb-redo-log-capacity=16M"),
        ("mysqld  Ver 10.11.6-MariaDB for debian-linux-gnu", "--innodb-log-file-size=16M"),
    ],
)
def test_the_size_of_the_redo_log_has_the_name_that_the_server_knows(told, option, tmp_path):
    (tmp_path / "mysqld").write_text(f"#!/bin/sh\necho '{told}'\n")
    (tmp_path / "mysqld").chmod(0o755)
    spec = MySQL().spec(Requirements(project=tmp_path))
    argv = spec.program.launch(tmp_path, tmp_path, tmp_path, spec, 33060, False).argv
    assert option in argv
    assert sum("log-file-size" in one or "log-capacity" in one for one in argv) == 1
    assert ("--secure-file-priv=" in argv) == ("MariaDB" not in told)


def test_a_database_with_capitals_is_undone_where_the_server_has_none(kind, spec, tmp_path, monkeypatch):
    """As on Windows, on macOS, and where a server elsewhere is set up like those."""
    if kind.name != "mariadb":
        pytest.skip("a data folder of MySQL's has to be made so")
    monkeypatch.setitem(program._SETTINGS, "lower-case-table-names", "1")
    server = Binary().reserve(kind.spec(Requirements(project=tmp_path, version=spec.version)))
    server.start()
    try:
        with closing(kind.open(server.endpoint, server.spec)) as store:
            schema = "CREATE FUNCTION one() RETURNS INT DETERMINISTIC RETURN 1; CREATE TABLE T (n INT); CREATE VIEW v AS SELECT one()"
            store.build("key", "Made", lambda target: target.execute(schema))
            copy = store.checkout("key", "Made")
            for name in ("Made", "made"):
                with pymysql.connect(**{**arguments(copy.address), "database": name}) as app, app.cursor() as cursor:
                    assert cursor.execute("SELECT * FROM T") == 0
                    assert cursor.execute("INSERT INTO T SELECT * FROM v") == 1
                    app.commit()
                assert copy.undo().path == "log"
            store.drop("Made")
    finally:
        server.release()


@pytest.mark.parametrize("setting", ["binlog-do-db", "binlog-ignore-db"])
def test_where_the_log_leaves_out_databases_every_table_is_read(kind, spec, tmp_path, monkeypatch, setting):
    """Those of a test could be among them, and then it would say that nothing was written."""
    monkeypatch.setitem(program._SETTINGS, setting, "made" if "ignore" in setting else "other")
    server = Binary().reserve(kind.spec(Requirements(project=tmp_path, version=spec.version)))
    server.start()
    try:
        with closing(kind.open(server.endpoint, server.spec)) as store:
            assert "logs some databases only" in store.abilities.log
            store.build("key", "made", lambda target: target.execute("CREATE TABLE t (n INT)"))
            copy = store.checkout("key", "made")
            with pymysql.connect(**arguments(copy.address)) as app, app.cursor() as cursor:
                cursor.execute("INSERT INTO t VALUES (1)")
                app.commit()
            assert copy.undo().tables == ("t",)
            store.drop("made")
    finally:
        server.release()


def test_somebody_s_database_that_has_the_name_of_ours_is_refused_and_stays_as_it_is(kind, spec, tmp_path):
    """In one of that name Seatrial notes what is its own, so it must not be anybody else's."""
    server = Binary().reserve(kind.spec(Requirements(project=tmp_path, version=spec.version)))
    server.start()
    try:
        with connect(server.endpoint) as connection, connection.cursor() as cursor:
            cursor.execute("CREATE DATABASE seatrial")
            cursor.execute("CREATE TABLE seatrial.`databases` (theirs INT)")
            with pytest.raises(Refused, match='the database "seatrial" at'):
                kind.open(server.endpoint, server.spec)
            assert cursor.execute("SHOW TABLES FROM seatrial") == 1
            cursor.execute("DROP TABLE seatrial.`databases`")
        theirs = replace(server.endpoint, owned=False, admin=replace(server.endpoint.admin, database="seatrial"))
        with pytest.raises(Refused, match="is not ours"):  # empty, but it is what `url` names
            kind.open(theirs, server.spec)
        kind.open(server.endpoint, server.spec).close()
    finally:
        server.release()
