"""What is demanded of every server of ours, whatever its kind."""

from __future__ import annotations

import contextlib
import os
import shutil
import sys
from dataclasses import replace
from pathlib import Path

import freezegun
import pytest
from tests.resources.providers.chosen import described, provider_of

from seatrial.core import folders, processes, wait
from seatrial.errors import ConfigError, ProviderError
from seatrial.resources.supervisor import client

KINDS = ("command", "mariadb", "nats", "postgres", "redis", "s3")
ODD = "with spaces, ünïcödé and 日本 'quotes' %s"
LOOPBACK = ("0100007F", "00000000000000000000000001000000", "0000000000000000FFFF00000100007F")


@pytest.fixture
def reserve(tmp_path, monkeypatch):
    """Reserves a server of a kind, in a cache of this test; it is ended afterwards."""
    servers, store = [], tmp_path / "cache"
    monkeypatch.setenv("SEATRIAL_IDLE", "0.05")

    def make(name, cache=store, project=tmp_path, **changed):
        cache.mkdir(parents=True, exist_ok=True)
        monkeypatch.setenv("SEATRIAL_CACHE", str(cache))
        spec = replace(described(name, project), **changed)
        server = provider_of(spec).reserve(spec)
        servers.append((server, cache))
        return server

    yield make
    for server, _ in servers:
        server.release()
        client.down(server.instance)
    for root in {root for _, cache in servers for root in folders.running(cache)}:
        shutil.rmtree(root, ignore_errors=True)


def descendants(pid):
    found, fresh = {pid}, {pid}
    while fresh:
        fresh = {child for one in fresh for child in processes.children(one)} - found
        found |= fresh
    return found


def listening(pids):
    """The addresses, as the kernel writes them, on which these processes listen."""
    inodes = set()
    for pid in pids:
        with contextlib.suppress(FileNotFoundError):  # it may have ended meanwhile: PostgreSQL's workers come and go
            for one in Path(f"/proc/{pid}/fd").iterdir():
                with contextlib.suppress(OSError):  # it may have been closed meanwhile
                    inodes.add(str(one.readlink()))
    for table in ("tcp", "tcp6"):
        for line in Path(f"/proc/net/{table}").read_text().splitlines()[1:]:
            row = line.split()
            if row[3] == "0A" and f"socket:[{row[9]}]" in inodes:
                yield row[1].rpartition(":")[0]


@pytest.mark.skipif(sys.platform != "linux", reason="it reads what Linux tells of sockets")
@pytest.mark.parametrize("name", KINDS)
def test_a_server_listens_on_the_loopback_interface_only(reserve, name):
    server = reserve(name)
    server.start()
    addresses = set(listening(descendants(server.instance.read("state.json")["pid"])))
    assert addresses
    assert addresses <= set(LOOPBACK)


@pytest.mark.parametrize("name", KINDS)
def test_a_server_runs_whatever_the_paths_of_its_cache_and_project_are(reserve, tmp_path, name):
    project = tmp_path / ODD / "project"
    project.mkdir(parents=True)
    server = reserve(name, tmp_path / ODD / ("long" * 30), project)
    server.start()
    assert server.spec.program.answers(server.endpoint)
    assert len(os.fsencode(server.instance.socket)) <= folders.SOCKET_PATH


@pytest.mark.parametrize("name", KINDS)
def test_a_server_that_starts_is_asked_every_5_to_10_milliseconds_until_it_answers(reserve, monkeypatch, name):
    server = reserve(name)
    kind = type(server.spec.program)
    answers, pause, seen = kind.answers, wait.pause, []

    def asked(self, endpoint):
        seen.append("asked")
        return seen.count("asked") > 5 and answers(self, endpoint)  # also where it answers at once

    def paused(seconds):
        seen.append(seconds)
        pause(seconds)

    monkeypatch.setattr(kind, "answers", asked)
    monkeypatch.setattr(wait, "pause", paused)
    server.start()
    monkeypatch.undo()
    waited = seen[seen.index("asked") :]
    assert waited[::2] == ["asked"] * (len(waited) // 2 + 1)
    assert len(waited) > 10
    assert all(0.005 <= seconds <= 0.01 for seconds in waited[1::2])


@pytest.mark.parametrize("name", [name for name in KINDS if name != "command"])
def test_a_fresh_data_folder_is_kept_by_its_content_and_has_its_name_when_it_is_whole(
    reserve, monkeypatch, tmp_path, name
):
    first = reserve(name)
    (tmp_path / "other").mkdir()
    program, seen = type(first.spec.program), []
    initialise = program.initialise

    def watched(self, *asked):
        initialise(self, *asked)
        seen.append([path.name for path in (tmp_path / "cache/fresh").glob("*.tar")])

    monkeypatch.setattr(program, "initialise", watched)
    first.start()
    assert seen == [[]]
    second = reserve(name, project=tmp_path / "other")
    second.start()
    assert seen == [[]]  # the same content: it is made once
    assert second.instance != first.instance
    monkeypatch.setattr(program, "fingerprint", lambda self, binaries, spec: "another version")
    third = reserve(name, project=tmp_path)
    client.down(first.instance)
    third.start()
    assert [len(tars) for tars in seen] == [0, 1]
    assert len(list((tmp_path / "cache/fresh").glob("*.tar"))) == 2


@pytest.mark.parametrize("name", KINDS)
def test_a_server_starts_and_is_waited_for_no_longer_while_the_clock_stands_still(reserve, monkeypatch, name):
    with freezegun.freeze_time("2001-01-01"):
        hasty = reserve(name, patience=0.2)
        program = hasty.spec.program
        with monkeypatch.context() as patch:
            patch.setattr(type(program), "answers", lambda self, endpoint: False)
            with pytest.raises(ProviderError, match=r"no answer in 0\.2 s"):
                hasty.start()
        hasty.release()
        server = reserve(name)
        assert server.start() is False
        assert program.answers(server.endpoint)
        server.release()
        assert wait.until(lambda: not server.instance.alive, timeout=30)


@pytest.mark.parametrize("name", ["mariadb", "postgres", "redis"])
def test_a_server_answers_by_its_unix_socket_and_by_tcp(reserve, name):
    server = reserve(name)
    server.start()
    endpoint, answers = server.endpoint, server.spec.program.answers
    assert answers(replace(endpoint, socket_folder=None))
    assert not answers(replace(endpoint, socket_folder=None, admin=replace(endpoint.admin, host="nowhere.invalid")))
    assert answers(replace(endpoint, admin=replace(endpoint.admin, host="nowhere.invalid")))  # by the socket, then


def machine(cache):
    """What a start must leave as it is: the users of the machine, and who may enter the folders above the cache."""
    modes = {folder: (folder.stat().st_mode, folder.stat().st_uid) for folder in cache.parents}
    return modes, Path("/etc/passwd").read_bytes(), Path("/etc/group").read_bytes()


@pytest.mark.parametrize("name", KINDS)
def test_a_start_has_no_side_effect_on_the_machine(reserve, tmp_path, name):
    before = machine(tmp_path / "cache")
    reserve(name).start()
    assert machine(tmp_path / "cache") == before


@pytest.mark.parametrize("name", KINDS)
def test_a_server_that_dies_while_it_starts_is_told_with_its_command_line_status_and_log(reserve, monkeypatch, name):
    server = reserve(name)
    kind = type(server.spec.program)
    launch = kind.launch

    def broken(self, *asked):
        made = launch(self, *asked)
        script = "import sys; print('the last words'); sys.exit(3)"
        return replace(made, argv=(sys.executable, "-I", "-c", script, made.argv[0]))

    monkeypatch.setattr(kind, "launch", broken)
    before = wait.now()
    with pytest.raises(ProviderError) as caught:
        server.start()
    assert wait.now() - before < 30  # and not as long as it would have had to answer
    assert caught.value.what.startswith(f"{name} did not start (exit status 3): {sys.executable}")
    assert "the last words" in caught.value.cause
    monkeypatch.undo()


@pytest.mark.parametrize("kind", [name for name in KINDS if name != "command"])
def test_an_address_that_names_our_own_user_is_refused_before_anything_starts(kind, tmp_path):
    """Its password would be in the place of ours, and the server never be found ready."""
    spec = described(kind, tmp_path)
    at = replace(spec.program.admin(24099, "secret"), host="localhost")
    with pytest.raises(ConfigError, match='"seatrial" \\(key `at`\\) is Seatrial\'s own'):
        provider_of(spec).reserve(replace(spec, at=at))
