"""Servers in awkward places: odd and long paths, a home that can't be written, a disk that is full."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys

import psycopg
import pytest
from tests.resources.mounts import behind, needs_mounts
from tests.resources.providers.chosen import keys

from seatrial.core import folders
from seatrial.resources.kinds.mysql import mariadb
from seatrial.resources.protocol import Requirements
from seatrial.resources.providers.binary import Binary
from seatrial.resources.supervisor import client

ODD = "with spaces, ünïcödé and 日本 'quotes' %s {braces}"
KINDS = ("command", "mariadb", "nats", "postgres", "redis", "s3")
START = """
import json, sys
from pathlib import Path
from seatrial.core import folders
from seatrial.errors import SeatrialError
from seatrial.resources import registry
from seatrial.resources.protocol import Requirements
from seatrial.resources.resolve import resolve
from seatrial.resources.supervisor import client
project, name, keys = sys.argv[1:]
try:
    spec = registry.kind(name).spec(Requirements.of(project=Path(project), **json.loads(keys)))
    server = resolve(spec).provider.reserve(spec)
    server.start()
except SeatrialError as error:
    print(error)
else:
    print("it runs", spec.program.answers(server.endpoint), folders.cache().reason)
    server.release()
    client.down(server.instance)
"""


def start_behind(mounts, name="postgres", **environ):
    """Starts a server where these file systems are mounted."""
    hidden = ("SEATRIAL_", "XDG_")
    done = subprocess.run(
        behind(mounts, sys.executable, "-c", START, "/", name, json.dumps(keys(name))),
        env={name: value for name, value in os.environ.items() if not name.startswith(hidden)} | environ,
        capture_output=True, text=True, timeout=300, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.fixture
def cached(monkeypatch):
    """Has a cache in this folder, and ends what runs there."""
    stores = []

    def use(store):
        store.mkdir(parents=True)
        monkeypatch.setenv("SEATRIAL_CACHE", str(store))
        stores.append(store)

    yield use
    for store in stores:
        for status in client.instances(store=store):
            client.down(status.instance)
        for root in folders.running(store):
            shutil.rmtree(root, ignore_errors=True)


@pytest.mark.parametrize("in_memory", [True, False], ids=["in memory", "on the disk"])
def test_a_server_runs_whatever_the_paths_of_cache_and_project_are(cached, reserve, tmp_path, monkeypatch, in_memory):
    cached(tmp_path / ODD / ("long" * 30))
    if not in_memory:
        monkeypatch.setattr(folders, "ROOM", 2**60)
    (tmp_path / ODD / "project").mkdir()
    server = reserve(project=tmp_path / ODD / "project")
    server.start()
    with psycopg.connect(server.endpoint.admin.url()) as connection:
        assert connection.execute("select 1").fetchone() == (1,)
    assert len(os.fsencode(server.instance.socket)) <= folders.SOCKET_PATH


@needs_mounts
@pytest.mark.parametrize("name", KINDS)
def test_with_a_home_that_can_t_be_written_a_server_runs_and_the_reason_is_told(tmp_path, name):
    if name == "mariadb" and Binary().probe(mariadb().spec(Requirements(project=tmp_path))):
        pytest.skip("this machine has no MariaDB")
    home, temporary = tmp_path / "home", tmp_path / "temporary"
    home.mkdir()
    temporary.mkdir()
    told = start_behind([f"-o ro none {home}"], name, HOME=str(home), TMPDIR=str(temporary))
    assert told.startswith("it runs True")
    assert "Read-only file system" in told


@needs_mounts
@pytest.mark.parametrize("megabytes", [4, 48], ids=["before initdb is done", "after it"])
def test_a_disk_that_is_full_is_told(tmp_path, megabytes):
    store = tmp_path / "cache"
    store.mkdir()
    mounts = [f"-o size={megabytes}m none {store}", "-o size=8m none /dev/shm"]
    told = start_behind([*mounts, f"-o size={megabytes}m none /tmp"], SEATRIAL_CACHE=str(store))
    # PostgreSQL's own words, by whether half a block still found room.
    assert "No space left on device" in told or "Check free disk space" in told, told


@needs_mounts
@pytest.mark.parametrize("name", [name for name in KINDS if name != "postgres"])
def test_with_next_to_no_disk_a_server_runs_or_says_so(tmp_path, name):
    if name == "mariadb" and Binary().probe(mariadb().spec(Requirements(project=tmp_path))):
        pytest.skip("this machine has no MariaDB")
    store = tmp_path / "cache"
    store.mkdir()
    mounts = [f"-o size=4m none {store}", "-o size=8m none /dev/shm", "-o size=4m none /tmp"]
    told = start_behind(mounts, name, SEATRIAL_CACHE=str(store))
    words = ("No space left on device", "out of disk space")
    assert told.startswith("it runs True") or any(word in told for word in words), told
