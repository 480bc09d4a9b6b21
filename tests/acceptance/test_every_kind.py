"""What is demanded of every kind, in whole runs of pytest: one project that has a resource of each."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from tests.conftest import Outcome, Project, end_servers

from seatrial.resources import registry
from seatrial.resources.protocol import Requirements
from seatrial.resources.providers.binary import Binary

RESOURCES = {
    "pg": ["kind = 'postgres'", "schema = 'schema.sql'"],
    "lite": ["kind = 'sqlite'", "schema = 'schema.sql'", "durable = true  # in a file"],
    "maria": ["kind = 'mariadb'", "schema = 'schema.sql'"],
    "keys": ["kind = 'redis'"],
    "broker": ["kind = 'nats'"],
    "files": ["kind = 's3'"],
    "program": [
        "kind = 'command'",
        f"command = '{sys.executable} -I -m http.server --bind 127.0.0.1 {{port}}'",
        "reset = 'nothing'",
    ],
}
SEEDS = """
import os
from pathlib import Path

def told(name):
    Path(os.environ["STARTED"], name).touch()

"""
SEED = """
def {0}(url):
    told("{0}")
"""
WAYS = """
import asyncio
import contextlib
import os
import sqlite3
from urllib.parse import urlsplit

import boto3
import nats
import psycopg
import pymysql
import redis


def rows(connection, value):
    with contextlib.closing(connection):
        cursor = connection.cursor()
        cursor.execute("insert into t values ('" + value + "')")
        connection.commit()
        cursor.execute("select v from t")
        return [row[0] for row in cursor.fetchall()]


def pg(url, value):
    return rows(psycopg.connect(url), value)


def lite(url, value):
    return rows(sqlite3.connect(url.removeprefix("sqlite:///")), value)


def maria(url, value):
    where = urlsplit(url)
    told = dict(host=where.hostname, port=where.port, user=where.username, password=where.password)
    return rows(pymysql.connect(**told, database=where.path[1:]), value)


def keys(url, value):
    with redis.Redis.from_url(url) as app:
        app.rpush("t", value)
        return [each.decode() for each in app.lrange("t", 0, -1)]


def broker(url, value):
    async def work():
        connection = await nats.connect(url)
        js = connection.jetstream()
        with contextlib.suppress(nats.js.errors.BadRequestError):
            await js.add_stream(name="t", subjects=["t"])
        await js.publish("t", value.encode())
        last = (await js.stream_info("t")).state.last_seq
        seen = [(await js.get_msg("t", number)).data.decode() for number in range(1, last + 1)]
        await connection.close()
        return seen

    return asyncio.run(work())


def files(bucket, value):
    bucket.put_object(Key=value, Body=b"x")
    return [each.key for each in bucket.objects.all()]
"""
CONFTEST = """
import os

AT_IMPORT = {name: value for name, value in os.environ.items() if name.endswith("_AT")}
"""
EXPORTED = """
import os

import pytest
import ways
from conftest import AT_IMPORT


@pytest.mark.parametrize("name", [name.removesuffix("_AT").lower() for name in AT_IMPORT])
def test_exported(name, request):
    fixture = request.getfixturevalue(name)
    assert request.getfixturevalue(name + "_url") == AT_IMPORT[name.upper() + "_AT"] == os.environ[name.upper() + "_AT"]
    if name != "program":
        there = fixture if name == "files" else os.environ[name.upper() + "_AT"]
        assert getattr(ways, name)(there, "mine") == ["mine"]
"""
AT_ONCE = """
import os
import time
from pathlib import Path
from urllib.request import urlopen

import pytest
import ways

RUN, SHARED, COUNT = os.environ["RUN"], Path(os.environ["SHARED"]), int(os.environ["COUNT"])
NAMES = [name.removesuffix("_AT").lower() for name in os.environ if name.endswith("_AT")]


def meet(what, told=""):
    (SHARED / f"{what}-{RUN}.new").write_text(told)
    (SHARED / f"{what}-{RUN}.new").rename(SHARED / f"{what}-{RUN}")
    for _ in range(6000):
        there = [path for path in SHARED.glob(what + "-*") if path.suffix != ".new"]
        if len(there) == COUNT:
            return [path.read_text() for path in there]
        time.sleep(0.02)
    raise AssertionError(f"only {len(there)} runs came to {what}")


@pytest.mark.parametrize("name", NAMES)
def test_all_at_once(name, request):
    fixture, url = request.getfixturevalue(name), request.getfixturevalue(name + "_url")
    addresses = meet("has " + name, url + str(fixture if name == "files" else ""))
    assert len(set(addresses)) == COUNT
    if name == "program":
        with urlopen(url) as answer:
            assert answer.status == 200
    else:
        assert getattr(ways, name)(fixture if name == "files" else url, RUN) == [RUN]
        meet("wrote " + name)
        assert getattr(ways, name)(fixture if name == "files" else url, RUN) == sorted({RUN} if name == "files" else [RUN, RUN])
    meet("done with " + name)
"""
FAILING = """
import contextlib
import os
import socket
from urllib.parse import urlsplit
from urllib.request import urlopen

import pymysql
import pytest


def say(url, words):
    with socket.create_connection((urlsplit(url).hostname, urlsplit(url).port)) as connection:
        connection.sendall(words)
        while connection.recv(4096):
            pass


def test_pg(pg):
    pg.execute("select nonsense")


def test_maria(maria, maria_url):
    pymysql.connect(host="127.0.0.1", port=urlsplit(maria_url).port, user="stranger", password="x")


def test_keys(keys, keys_url):
    say(keys_url, b"POST / HTTP/1.1\\r\\nHost: x\\r\\n\\r\\n")
    raise AssertionError


def test_broker(broker):
    say(broker, b"NONSENSE\\r\\n")
    raise AssertionError


def test_files(files):
    files.meta.client.upload_part(Bucket=files.name, Key="a", PartNumber=1, UploadId="nonsense", Body=b"x")


def test_program(program):
    urlopen(program.rstrip("/") + "/nothing-here")
"""
LOGGED = {
    "pg": 'ERROR:  column "nonsense" does not exist',
    "maria": "Access denied for user 'stranger'",
    "keys": "Possible SECURITY ATTACK detected",
    "broker": "[ERR] 127.0.0.1:",
    "files": "uploadID nonsense",
    "program": "code 404, message File not found",
}


@pytest.fixture(scope="module")
def everything(tmp_path_factory, clean_environ) -> Project:
    """A project that has a resource of every kind that this machine can have; its servers stay up from run to run."""
    folder = tmp_path_factory.mktemp("everything")
    cache, seeded = tmp_path_factory.mktemp("cache"), tmp_path_factory.mktemp("started")
    own = {"SEATRIAL_CACHE": str(cache), "SEATRIAL_IDLE": "120", "STARTED": str(seeded)}
    own["DOCKER_HOST"] = f"unix://{cache}/no-such-engine"
    project = Project(folder, {**clean_environ, **own})
    names = set(RESOURCES)
    if Binary().probe(registry.kind("mariadb").spec(Requirements.of(project=folder))):
        names.remove("maria")
    tables = []
    for name, lines in RESOURCES.items():
        if name in names:
            seed = "seeds:" + name
            tables += [f"[resources.{name}]", f"env = '{name.upper()}_AT'", f"seed = '{seed}'", *lines]
    project.write(
        {
            "seatrial.toml": "\n".join(tables),
            "pytest.ini": "[pytest]\npythonpath = .\n",
            "schema.sql": "create table t (v varchar(20));\n",
            "seeds.py": SEEDS + "".join(SEED.format(name) for name in RESOURCES),
            "ways.py": WAYS,
            "conftest.py": CONFTEST,
            "test_exported.py": EXPORTED,
            "test_at_once.py": AT_ONCE,
            "test_failing.py": FAILING,
            "test_unit.py": "def test_unit():\n    assert 1 + 1 == 2\n",
        }
    )
    project.names = names
    yield project
    end_servers(cache)


def servers(project) -> dict[str, int]:
    """The servers of a project that run: kind and process."""
    told = json.loads(project.seatrial("status", "--json").text)
    return {each["kind"]: each["pid"] for each in told if each["running"]}


def test_a_resource_that_no_test_uses_never_starts(everything, tmp_path):
    """Neither its server, nor its copy: its seed, of which the other tests see the mark, has not run."""
    own = {"SEATRIAL_CACHE": str(tmp_path / "cache"), "STARTED": str(tmp_path)}
    project = Project(everything.folder, {**everything.environ, **own})
    outcome = project.pytest("-q", "test_unit.py", audit=False)
    assert outcome.counts() == {"passed": 1}, outcome.text
    assert servers(project) == {}
    assert not {path.name for path in tmp_path.iterdir()} & set(RESOURCES)


@pytest.fixture(scope="module")
def first_run(everything) -> Outcome:
    """The first run that uses them all."""
    return everything.pytest("test_exported.py", audit=False)


def test_the_environment_is_exported_before_the_app_is_imported(everything, first_run):
    assert first_run.counts() == {"passed": len(everything.names)}, first_run.text
    assert {path.name for path in Path(everything.environ["STARTED"]).iterdir()} == everything.names


def templates(outcome) -> dict[str, tuple[str, str]]:
    """Of each resource: the key of its template, and whether that was built or found."""
    found = re.findall(r"^(\w+): .*template (\w+) (built|found)", outcome.text, re.MULTILINE)
    return {name: (key, how) for name, key, how in found}


def test_no_docker_is_needed(everything, first_run):
    """None can be reached."""
    served = dict(re.findall(r"^(\w+): .* \((\w+)\) (?:started|was up) in ", first_run.text, re.MULTILINE))
    assert set(served) == everything.names
    assert set(served.values()) <= {"embedded", "binary"}


def test_the_second_run_attaches_to_the_servers_of_the_first_and_finds_its_templates_unless_a_seed_changed(
    everything, first_run
):
    before = servers(everything)
    assert len(before) == len(everything.names - {"lite"})
    first = templates(first_run)
    assert set(first) == everything.names
    assert {how for _, how in first.values()} == {"built"}
    again = everything.pytest("test_exported.py", audit=False)
    assert templates(again) == {name: (key, "found") for name, (key, _) in first.items()}
    assert again.counts() == first_run.counts(), again.text
    assert servers(everything) == before
    seeds = everything.folder / "seeds.py"
    text = seeds.read_text()
    try:
        seeds.write_text(text.replace('    told("', '    "altered"; told("'))
        other = templates(everything.pytest("test_exported.py", audit=False))
    finally:
        seeds.write_text(text)
    assert {how for _, how in other.values()} == {"built"}
    assert all(other[name][0] != first[name][0] for name in first)


def test_what_the_server_logged_is_shown_with_the_test_that_failed(everything):
    names = [name for name in LOGGED if name in everything.names]
    outcome = everything.pytest("-q", "test_failing.py", "-k", " or ".join(names), audit=False)
    assert outcome.counts()["failed"] == len(names), outcome.text
    logs = {text.partition(" ")[0]: text for text in outcome.text.split(" server of ")[1:]}
    assert set(logs) == set(names)
    for name in names:
        assert LOGGED[name] in logs[name]


def test_two_runs_and_another_checkout_at_once_do_not_disturb_each_other(everything, tmp_path):
    other = Project(tmp_path / "other", everything.environ)
    shutil.copytree(everything.folder, other.folder)
    (tmp_path / "shared").mkdir()
    runs = [
        subprocess.Popen(
            [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "test_at_once.py"],
            cwd=project.folder,
            env={**project.environ, "RUN": f"run {number}", "SHARED": str(tmp_path / "shared"), "COUNT": "3"},
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        for number, project in enumerate((everything, everything, other))
    ]
    told = [run.communicate(timeout=600)[0] for run in runs]
    for text in told:
        assert Outcome(status=0, text=text).counts() == {"passed": len(everything.names)}, told
