"""What a user is told about each mistake: where it is, what it is, and what to write instead."""

from __future__ import annotations

import pytest

from seatrial.config.load import load
from seatrial.errors import ConfigError


def db(*lines: str) -> str:
    return "\n".join(["[tool.seatrial.resources.db]", 'kind = "postgres"', *lines, ""])


def service(*lines: str) -> str:
    return "\n".join(["[tool.seatrial.services.web]", *lines, ""])


MISTAKES = {
    "unknown key": (db('isolaton = "reset"'), ["unknown key `isolaton`", "write `isolation`"]),
    "key of another kind": (
        '[tool.seatrial.resources.db]\nkind = "sqlite"\nconnections = 60\n',
        ["a sqlite resource has no `connections`", "a key of postgres"],
    ),
    "unknown key that is like none": (db("nope = 1"), ["unknown key `nope`", "take one of the keys"]),
    "unknown top key": ('[tool.seatrial]\napplication = "a:b"\n', ["unknown key `application`", "app"]),
    "misspelt kind": ('[tool.seatrial.resources.db]\nkind = "postgers"\n', ['no kind "postgers"', "write `postgres`"]),
    "no kind": ('[tool.seatrial.resources.db]\nschema = "x.sql"\n', ["[resources.db] has no kind"]),
    "misspelt provider": (db('provider = "embeded"'), ['no provider "embeded"', "write `embedded`"]),
    "misspelt isolation": (db('isolation = "rolback"'), ['no isolation "rolback"', "write `rollback`"]),
    "isolation that the kind can't have": (
        '[tool.seatrial.resources.kv]\nkind = "redis"\nisolation = "rollback"\n',
        ['isolation = "rollback" is not possible with kind = "redis": it has no transactions', 'isolation = "reset"'],
    ),
    "misspelt start": (db('start = "eager"'), ['no start "eager"', "lazy, early"]),
    "flag as text": (db('durable = "yes"'), ["durable must be true or false", 'the string "yes"', "durable = true"]),
    "text as number": (db("role = 3"), ["role must be a string", "the number 3", 'role = "app_user"']),
    "text as list": (db('override = ["a:b"]'), ["override must be a string, and is a list of 1 value"]),
    "list with a number": (db("schema = [1]"), ["schema must be a string, or a list of strings"]),
    "empty list": (db("schema = []"), ["schema is empty", "leave the key out"]),
    "no kind but an empty one": (
        '[tool.seatrial.resources.db]\nkind = ""\n',
        ["kind is empty\n  fix: write it as in kind = "],
    ),
    "empty text": (db('role = ""'), ["role is empty"]),
    "date": (db("version = 2024-01-01"), ["version must be a string, and is the date or time 2024-01-01"]),
    "resource as text": (
        '[tool.seatrial.resources]\ndb = "postgres"\n',
        ["resources.db is the string", "[resources.db]"],
    ),
    "resources as list": ("[tool.seatrial]\nresources = []\n", ["resources must be tables"]),
    "strict about nothing": (
        '[tool.seatrial]\nstrict = ["open-api"]\n',
        ['strict has "open-api"', "write `openapi`"],
    ),
    "strict as words with a comma": (
        '[tool.seatrial]\nstrict = "openapi, outbound"\n',
        ['strict has "openapi, outbound"', 'write a list: ["openapi", "outbound"]'],
    ),
    "variable with a blank": (db('env = "1 BAD"'), ["no name of a variable", "write a name such as BAD"]),
    "idle negative": ("[tool.seatrial]\nidle = -1\n", ["idle is -1", "idle = 5"]),
    "idle endless": ("[tool.seatrial]\nidle = inf\n", ["idle is inf"]),
    "no identifier": ('[tool.seatrial.resources.my-db]\nkind = "postgres"\n', ["`my-db`", "[resources.my_db]"]),
    "keyword": ('[tool.seatrial.resources.class]\nkind = "postgres"\n', ["`class`", "[resources.db_class]"]),
    "too long": (f'[tool.seatrial.resources.{"d" * 41}]\nkind = "postgres"\n', ["has 41 characters", "40"]),
    "fixture of pytest": ('[tool.seatrial.resources.tmp_path]\nkind = "postgres"\n', ["is called `tmp_path`"]),
    "our own fixture": ('[tool.seatrial.resources.client]\nkind = "postgres"\n', ["is called `client`"]),
    "the fixture around each test": (
        '[tool.seatrial.resources.test]\nkind = "postgres"\n',
        ["the resource `test`", "of ours is called `seatrial_test`", "[resources.postgres]"],
    ),
    "the long name of a fixture": (
        '[tool.seatrial.resources.seatrial_live_app]\nkind = "postgres"\n',
        ["of ours is called `seatrial_live_app`"],
    ),
    "a service as the fixture around each test": (
        "[tool.seatrial.services.test]\napp = 'a:b'\n",
        ["the service `test`", "of ours is called `seatrial_test`", "[services.test_service]"],
    ),
    "a service as a resource": (
        db() + "[tool.seatrial.services.db]\napp = 'a:b'\n",
        ["of ours is called `db`", "[services.db_service]"],
    ),
    "a service as another fixture of a resource": (
        db() + "[tool.seatrial.services.db_statements]\napp = 'a:b'\n",
        ["of ours is called `db_statements`", "[services.db_statements_service]"],
    ),
    "a service as the project's app": (
        "[tool.seatrial.services.app]\napp = 'a:b'\n",
        ["`exchanges` calls the project's own app `app`", "[services.app_service]"],
    ),
    "url and at": (
        db('url = "postgresql://u:p@h:1/x"', 'at = "postgresql://u:p@localhost:1/x"'),
        ["`url` and `at` contradict each other"],
    ),
    "url and provider": (
        db('url = "postgresql://u:p@h:1/x"', 'provider = "binary"'),
        ['`url` and provider = "binary" contradict'],
    ),
    "provider url alone": (db('provider = "url"'), ['provider = "url" needs a `url`', "SEATRIAL_DB_URL"]),
    "at of another machine": (db('at = "postgresql://t:t@db.example.org:5432/t"'), ["db.example.org", "this machine"]),
    "at with nothing": (db('at = "localhost:5432"'), ["`at` is no address", "postgresql://test:test@localhost:5432"]),
    "at without parts": (db('at = "postgresql://localhost"'), ["`at` needs a host and the name of a database"]),
    "at with a bad port": (db('at = "postgresql://t:t@localhost:x/t"'), ["its port is no number"]),
    "url without host": (db('url = "postgresql:///x"'), ["`url` lacks a host"]),
    "unknown field": (db('env = { A = "{hots}" }'), ["{hots}, which is no field", "write `host`"]),
    "nameless field": (db('env = { A = "{}" }'), ["{}, which is no field"]),
    "open brace": (db('env = { A = "{host" }'), ["the template of A can't be read"]),
    "formatted field": (db('env = { A = "{port:05}" }'), ["formats the field {port}"]),
    "no variable": (db('env = "DATABASE-URL"'), ['"DATABASE-URL" is no name of a variable', "DATABASE_URL"]),
    "bad version": (db('version = "16.x"'), ['version = "16.x" is no requirement', 'version = "==16.*"']),
    "app as a file": ('[tool.seatrial]\napp = "app/main.py"\n', ["is a path of a file", 'app = "app.main:NAME"']),
    "app without a name": ('[tool.seatrial]\napp = "app.main"\n', ['is no "module:name"', "app.main:app"]),
    "override called": (db('override = "app.db:get_db()"'), ["calls it", 'override = "app.db:get_db"']),
    "unknown adapter": (
        '[tool.seatrial]\nadapt = ["testcontainer"]\n',
        ['adapt has "testcontainer"', "write `testcontainers`"],
    ),
    "service of nothing": (service("run = 'inline'"), ["neither `app` nor `cmd`"]),
    "service of both": (service("app = 'a:b'", "cmd = 'x'"), ["both `app` and `cmd`"]),
    "command inline": (service("cmd = 'x'", "run = 'inline'"), ["is for an app of Python", 'run = "process"']),
    "app as a process": (service("app = 'a:b'", "run = 'process'"), ["needs a command", "cmd = "]),
    "unknown run": (service("app = 'a:b'", "run = 'inlin'"), ['no way to run called "inlin"', "write `inline`"]),
    "service without patience": (service("cmd = 'x'", "patience = 0"), ["patience is 0", "patience = 30"]),
    "command of a shell": (service("cmd = 'cd shop && ./run'"), ["needs a shell", "sh -c 'cd shop && ./run'"]),
    "command with a variable": (service("cmd = 'DEBUG=1 node shop.js'"), ["begins with a variable", "into `env`"]),
    "command that does not end": (service("""cmd = 'echo "x'"""), ["is no command: No closing quotation"]),
    "service of no resource": (service("app = 'a:b'", "resources = ['dbb']"), ["no resource `dbb`"]),
    "need of no service": (service("app = 'a:b'", "env = { X = '{services.wbe}' }"), ["{services.wbe}", "write `web`"]),
    "service env as text": (service("app = 'a:b'", "env = 'X'"), ["env must be a table of variables"]),
    "two that need each other": (
        service("app = 'a:b'", "env = { B = '{services.other}' }")
        + "[tool.seatrial.services.other]\ncmd = 'x'\nenv = { A = '{services.web}' }\n",
        ["services that need each other", "needs web", "neither of them could be started first"],
    ),
    "one variable, two services": (
        service("app = 'a:b'", "env = { X = '1' }")
        + "[tool.seatrial.services.other]\napp = 'c:d'\nenv = { X = '2' }\n",
        ["`web` and `other` run in one process", "X"],
    ),
    "unknown provider": (db('provider = "containers"'), ["there is no provider", "write `container`"]),
    "sqlite with a url": (
        '[tool.seatrial.resources.db]\nkind = "sqlite"\nurl = "sqlite://h/x"\n',
        ["`url` is about a server"],
    ),
    "sqlite with a role": ('[tool.seatrial.resources.db]\nkind = "sqlite"\nrole = "x"\n', ["`role` is about a server"]),
    "sqlite with extensions": (
        '[tool.seatrial.resources.db]\nkind = "sqlite"\nextensions = ["vector"]\n',
        ["`extensions` is about a server"],
    ),
    "one variable twice": (
        db() + '[tool.seatrial.resources.audit]\nkind = "postgres"\n',
        ["`db` and `audit` both export DATABASE_URL", 'env = "AUDIT_URL"'],
    ),
    "one fixture twice": (
        db() + '[tool.seatrial.resources.db_url]\nkind = "postgres"\nenv = "B"\n',
        ["both have a fixture or a variable named `db_url`"],
    ),
    "names that differ in case only": (
        db() + '[tool.seatrial.resources.DB]\nkind = "postgres"\nenv = "B"\n',
        ["`db` and `DB` both have a fixture or a variable"],
    ),
    "one port twice": (
        db('at = "postgresql://t:t@localhost:5432/a"')
        + '[tool.seatrial.resources.b]\nkind = "postgres"\nenv = "B"\nat = "postgresql://t:t@localhost:5432/b"\n',
        ["both to be served at port 5432"],
    ),
    "one dependency twice": (
        db('override = "a:b"') + '[tool.seatrial.resources.b]\nkind = "postgres"\nenv = "B"\noverride = "a:b"\n',
        ["both override a:b"],
    ),
}


@pytest.mark.parametrize("mistake", MISTAKES)
def test_a_mistake_is_named_with_its_file_and_what_to_write(files, mistake):
    text, told = MISTAKES[mistake]
    with pytest.raises(ConfigError) as caught:
        files.load(text)
    message = str(caught.value)
    assert "pyproject.toml:" in message
    assert caught.value.fix
    for words in told:
        assert words in message


def test_all_mistakes_are_shown_together_in_the_order_of_the_file(files):
    text = """
        [tool.seatrial]
        app = 3
        [tool.seatrial.resources.db]
        kind = "postgers"
        isolaton = "reset"
    """
    with pytest.raises(ConfigError) as caught:
        files.load(text)
    told = [words for words in str(caught.value).splitlines() if words.startswith("  ")]
    assert "3 mistakes" in caught.value.what
    places = [line.split("pyproject.toml:")[1].split(":")[0] for line in told if "pyproject.toml:" in line]
    assert places == ["2", "4", "5"]
    assert sum("fix:" in line for line in told) == 4


def test_a_mistake_of_the_environment_names_the_variable(files):
    (problem,) = files.problems(db(), {"SEATRIAL_DB_ISOLATION": "rolback"})
    assert problem.where == "environment variable SEATRIAL_DB_ISOLATION"
    (problem,) = files.problems(db(), {"SEATRIAL_DB_ISOLATON": "reset"})
    assert "unknown key `isolaton`" in problem.what


def test_a_mistake_of_the_command_line_names_the_option(files):
    (problem,) = files.problems(db(), options={"db.durable": "maybe"})
    assert problem.where == "command line option db.durable"
    (problem,) = files.problems(db(), options={"bd.isolation": "clone"})
    assert (problem.what, problem.fix) == ("there is no resource `bd`", "write `db` (resources: db)")


def test_broken_toml_is_told_with_its_line(files):
    with pytest.raises(ConfigError, match=r"pyproject\.toml:2 is no valid TOML"):
        files.load('[tool.seatrial]\napp = "a:b\n')


def test_a_mistake_never_shows_a_password(files):
    for line in (
        'url = "postgresql://u:s3cret@/x"',
        'at = "postgresql://u:s3cret@h:5432/x"',
        'url = "postgresql://u:s3cret@h:54x/x"',
        'env = "postgresql://u:s3cret@h:5432/x"',
        'override = "postgresql://u:s3cret@h:5432/x"',
        'schema = ["", "postgresql://u:s3cret@h:5432/x"]',
        'provider = "postgresql://u:s3cret@h:5432/x"',
        'durable = "postgresql://u:s3cret@h:5432/x"',
    ):
        with pytest.raises(ConfigError) as caught:
            files.load(db(line))
        assert "s3cret" not in str(caught.value), line
    with pytest.raises(ConfigError) as caught:
        files.load(db('url = "postgresql://u:s3cret@h:5432/x'))
    assert "s3cret" not in str(caught.value)


@pytest.mark.parametrize("number", ["0x" + "f" * 5000, "9" * 5000])
def test_a_number_of_thousands_of_digits_is_a_mistake_like_any_other(files, number):
    with pytest.raises(ConfigError, match=r"pyproject\.toml"):
        files.load(f"[tool.seatrial]\napp = {number}\nidle = {number}\n")


def test_what_only_the_kind_can_tell_is_told_in_its_own_words(files):
    source = files.write('[tool.seatrial.resources.db]\nkind = "sqlite"\nat = "postgresql://h/x"\n')
    with pytest.raises(ConfigError, match="is no address of a SQLite database") as caught:
        load(source, environ={})
    assert "sqlite:///test.db" in caught.value.fix


def test_a_table_that_is_only_named_in_those_below_it_has_their_line(files):
    (problem,) = files.problems("# shop\n[tool.seatrial.resource.db]\nkind = 'sqlite'\n")
    assert problem.where.endswith("pyproject.toml:2")
    assert problem.fix.startswith("write `resources`")
