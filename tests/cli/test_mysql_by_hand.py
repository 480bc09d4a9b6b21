"""`seatrial up`, `down` and `shell` with a MariaDB, in this process."""

from __future__ import annotations

import contextlib
import io
import json
import os
from functools import partial
from urllib.parse import urlsplit

import pymysql
import pytest
from tests.conftest import end_servers

from seatrial.cli.main import main
from seatrial.config.load import load
from seatrial.core import ports
from seatrial.core.redact import redact
from seatrial.errors import Refused
from seatrial.harness.compose import compose
from seatrial.harness.run import Run
from seatrial.resources.kinds.mysql import mariadb
from seatrial.resources.protocol import Requirements
from seatrial.resources.providers.binary import Binary
from seatrial.resources.providers.url import Url

SCHEMA = """
create table users (id int auto_increment primary key, name varchar(20));
create table trail (what varchar(20));
create trigger kept after insert on users for each row insert into trail values (new.name);
create view names as select name from users;
"""


@pytest.fixture(scope="module")
def cache(tmp_path_factory):
    path = tmp_path_factory.mktemp("cache")
    lacking = Binary().probe(mariadb().spec(Requirements(project=path)))
    if lacking:
        pytest.skip(lacking)
    yield path
    end_servers(path)


@pytest.fixture
def type_in(tmp_path, cache, monkeypatch, capfd):
    """Types a command in the project's folder; returns its status, and what it printed."""
    monkeypatch.setenv("SEATRIAL_CACHE", str(cache))
    monkeypatch.setenv("SEATRIAL_IDLE", "20")
    monkeypatch.chdir(tmp_path)
    (tmp_path / "schema.sql").write_text(SCHEMA)
    (tmp_path / "seatrial.toml").write_text('[resources.db]\nkind = "mariadb"\nschema = "schema.sql"\n')

    def run(*arguments, stdin=""):
        monkeypatch.setattr("sys.stdin", io.StringIO(stdin))
        status = main(arguments)
        told = capfd.readouterr()
        return status, told.out, told.err

    yield run
    assert run("down")[0] == 0


def connect(url):
    parts = urlsplit(url)
    return contextlib.closing(
        pymysql.connect(
            host=parts.hostname,
            port=parts.port,
            user=parts.username,
            password=parts.password,
            database=parts.path.strip("/"),
            autocommit=True,
        )
    )


def ask(url, statement):
    with connect(url) as connection, connection.cursor() as cursor:
        cursor.execute(statement)
        return cursor.fetchall()


def up(type_in):
    status, told, error = type_in("up", "--json")
    assert status == 0, error
    (one,) = json.loads(told)
    return one["url"], one["new"]


def test_up_makes_a_development_database_that_stays_as_it_is_left(type_in):
    url, new = up(type_in)
    assert new
    assert url.endswith("/db_dev")
    ask(url, "insert into users (name) values ('Ada')")
    assert type_in("down")[0] == 0
    assert up(type_in) == (url, False)
    assert ask(url, "select * from names") == (("Ada",),)
    assert ask(url, "select * from trail") == (("Ada",),)


def test_the_shell_is_mariadb_s_and_no_command_line_has_the_password(type_in, monkeypatch, tmp_path):
    url, _ = up(type_in)
    client = tmp_path / "bin" / "mariadb"
    client.parent.mkdir()
    client.write_text(f'#!/bin/sh\necho "$@" > {tmp_path}/seen\necho "$MYSQL_PWD"\n')
    client.chmod(0o755)
    monkeypatch.setenv("PATH", f"{client.parent}{os.pathsep}{os.environ['PATH']}")
    status, told, _ = type_in("shell", "db", "--", "-e", "select 1")
    password = urlsplit(url).password
    assert (status, told) == (0, f"{password}\n")
    seen = (tmp_path / "seen").read_text()
    assert f"--port={urlsplit(url).port}" in seen
    assert seen.endswith("--database=db_dev -e select 1\n")
    assert password not in seen


def test_where_no_client_is_installed_there_is_a_prompt_of_our_own(type_in, monkeypatch):
    up(type_in)
    typed = "insert into users (name)\nvalues ('Ada');\nselect name, 7 as n from users;\nselect no_such_thing;\n"
    status, told, error = type_in("shell", "db", "--json", stdin=typed)
    assert status == 1, error
    first, second, third = json.loads(told)
    assert first["answer"] == "1 rows"
    assert second["answer"].splitlines() == ["name | n", "-----+--", "Ada  | 7", "(1 rows)"]
    assert "Unknown column 'no_such_thing'" in third["error"]


def test_a_database_is_adopted_on_confirmation_only_and_may_be_replaced_then(type_in, tmp_path):
    url, _ = up(type_in)
    theirs = url.replace("db_dev", "theirs")
    ask(url, "create database theirs")
    ask(theirs, "create table precious (id int)")
    kind, spec = mariadb(), mariadb().spec(Requirements(project=tmp_path, url=theirs))
    server = Url().reserve(spec)
    server.start()
    with contextlib.closing(kind.open(server.endpoint, spec)) as store:
        with pytest.raises(Refused, match="is not ours") as caught:
            store.vacant("theirs")
        assert f"seatrial adopt {redact(theirs)}" in caught.value.fix
        status, told, why = type_in("adopt", theirs)
        assert status == 2
        assert "holds 1 table" in told
        assert "nobody confirmed it; nothing was touched" in why
        status, told, _ = type_in("adopt", theirs, "--yes", "--json")
        assert (status, json.loads(told)["adopted"]) == (0, True)
        assert urlsplit(url).password not in told
        assert ask(theirs, "select count(*) from precious") == ((0,),)
        assert "already" in type_in("adopt", theirs, "--yes")[1]
        store.vacant("theirs")
        assert ask(theirs, "show tables") == ()
        store.drop("theirs")
        ask(url, "create database theirs")
        assert type_in("adopt", theirs, "--yes")[0] == 0
        for statement in ("drop database theirs", "create database theirs", "create table theirs.real_one (id int)"):
            ask(url, statement)  # another of this name, which nobody has adopted
        with connect(theirs) as connected:
            for act in (store.vacant, store.drop, partial(store.keep, "a_copy")):
                with pytest.raises(Refused, match="is not ours"):
                    act("theirs")
            connected.ping(reconnect=False)
        assert ask(theirs, "show tables") == (("real_one",),)
        assert "It has Seatrial's mark now" in type_in("adopt", theirs, "--yes")[1]
        store.vacant("theirs")
        store.drop("theirs")
    assert "no database is named" in type_in("adopt", theirs.removesuffix("theirs"), "--yes")[2]
    for one in ("mysql", "seatrial"):
        assert "can't be adopted" in type_in("adopt", theirs.replace("/theirs", f"/{one}"), "--yes")[2]


def test_up_serves_the_database_of_a_fixed_address_and_a_test_run_borrows_its_name(type_in, tmp_path):
    """It is set aside while tests use the address, and is there again afterwards: also when such a run was killed."""
    held = ports.choose(str(tmp_path), ())
    held.close()
    url = f"mysql://test:te%20st@localhost:{held.port}/app"
    login = url.replace("te%20st", "te st")
    config = tmp_path / "seatrial.toml"
    config.write_text(config.read_text() + f'at = "{url}"\n')
    assert up(type_in) == (url, True)
    ask(login, "insert into users (id, name) values (7, 'mine')")

    def rows():
        return ask(login, "select id, name from users")

    settings = load(config, environ=os.environ, options={})
    for ends in (True, False):
        harness = compose(settings, Run.new(tmp_path), served=True)
        harness.require(["db"])
        assert rows() == ()
        ask(login, "insert into users (name) values ('a test')")
        managed = harness.resources["db"]
        if ends:
            kept = managed.supply.store.keep(managed.plan.copy_name, "kept_here")
            assert kept.database == "kept_here"  # beside the fixed address
            harness.close()
            assert rows() == ((7, "mine"),)
        else:  # as when the process dies: nothing is dropped
            managed.supply.store.close()
            managed.plan.server.release()
            assert rows() == ((1, "a test"),)
    assert up(type_in) == (url, False)
    assert rows() == ((7, "mine"),)
    assert ask(login, "select * from trail") == (("mine",),)
    ask(login, "insert into users (name) values ('next')")
    assert rows()[-1] == (8, "next")
    assert not [name for (name,) in ask(login, "show databases") if name.startswith("seatrial_s_")]


def test_a_schema_that_fails_is_told_without_the_password_of_its_user(type_in, tmp_path):
    (tmp_path / "schema.sql").write_text("create table t (id int);\ncreate user x identifed by 'hunter22';\n")
    for arguments in (["run", "--", "true"], ["run", "--json", "--", "true"], ["doctor"], ["doctor", "--json"]):
        status, out, told = type_in(*arguments)
        assert status != 0
        assert "identifed by ***" in out + told
        assert "hunter22" not in out + told
