"""Each worker has a server of its own, warm from run to run; somebody else's is used with care."""

from __future__ import annotations

import contextlib
import sys
import time
from pathlib import Path
from urllib.parse import quote

import pytest
import redis
from tests.resources.kinds.redis.conftest import fill
from tests.resources.mounts import behind, needs_mounts

from seatrial.core import ports, wait
from seatrial.errors import ConfigError, ProviderError, Refused, ServerLost
from seatrial.resources.kinds.redis import Redis, Valkey
from seatrial.resources.kinds.redis.adoption import adoption_candidate
from seatrial.resources.kinds.redis.baseline.snapshot import MARKER, take
from seatrial.resources.kinds.redis.program import RedisProgram
from seatrial.resources.protocol import Requirements
from seatrial.resources.providers.embedded import Embedded
from seatrial.resources.providers.url import Url
from seatrial.resources.supervisor import client


@pytest.fixture
def reserve(cache, tmp_path):
    """Reserves servers of one project; they are ended after the test."""
    reserved = []

    def make(kind=None, **changed):
        server = Embedded().reserve((kind or Redis()).spec(Requirements.of(project=tmp_path, **changed)))
        reserved.append(server)
        return server

    yield make
    for server in reserved:
        server.release()
        client.down(server.instance)


def test_two_workers_have_two_servers_and_the_next_run_finds_them_warm(reserve):
    first, second = reserve(), reserve()
    assert first.endpoint.admin.port != second.endpoint.admin.port
    assert first.start() is False
    first.release()
    again = reserve()
    assert again.endpoint == first.endpoint
    before = time.perf_counter()
    assert again.start() is True
    assert time.perf_counter() - before < 5  # nothing was started


def test_one_template_serves_the_server_of_every_worker(reserve, tmp_path):
    kind, states = Redis(), []
    for server in (reserve(), reserve()):
        server.start()
        with contextlib.closing(kind.open(server.endpoint, server.spec)) as store:
            store.build("shared", "0", fill)
            store.checkout("shared", "0")
            now = take(store._wire)
            rules = {rule for rule in now.surroundings.users if b"reader" in rule}
            states.append((now.databases.keys(), now.functions, rules, now.surroundings.settings["maxmemory-policy"]))
            assert now.surroundings.settings["port"] == str(server.endpoint.admin.port)
    assert states[0] == states[1]
    assert states[0][0] == {0, 3}


def test_what_a_run_that_crashed_left_is_not_in_the_next_template(reserve):
    server, kind = reserve(), Redis()
    server.start()
    with contextlib.closing(kind.open(server.endpoint, server.spec)) as store:
        with redis.Redis.from_url(kind.copy_address(server.endpoint, server.spec, "0").url()) as app:
            app.set("left", "1")
            app.config_set("maxmemory-policy", "allkeys-lru")
        store.close()  # as when the process dies: nothing is put back
    with contextlib.closing(kind.open(server.endpoint, server.spec)) as store:
        store.build("after", "0", lambda target: None)
        store.checkout("after", "0")
        now = take(store._wire)
        assert now.databases == {}
        assert now.surroundings.settings["maxmemory-policy"] == "noeviction"


def test_a_seed_that_fails_leaves_no_template_and_no_key(reserve):
    server, kind = reserve(), Redis()
    server.start()

    def broken(target):
        target.connect().set("half", "1")
        raise ValueError("broken")

    with contextlib.closing(kind.open(server.endpoint, server.spec)) as store:
        with pytest.raises(ValueError, match="broken"):
            store.build("never", "0", broken)
        assert not store.find("never")
        assert take(store._wire).databases == {}


def test_at_an_address_of_its_own_a_server_has_the_password_that_is_written_there(reserve):
    held = ports.choose("redis", ())
    port = held.port
    held.close()
    server = reserve(at=f"redis://localhost:{port}/2")
    server.start()
    with redis.Redis(host="localhost", port=port) as open_to_all:
        assert open_to_all.ping()
    with pytest.raises(Refused, match="is in use"):
        reserve(at=f"redis://localhost:{port}/2")


@pytest.mark.parametrize("password", ["two words", 'a "quotation', "#hash", "naïve"])
def test_at_an_address_of_its_own_any_password_will_do(reserve, password):
    held = ports.choose("redis", ())
    held.close()
    server = reserve(at=f"redis://someone:{quote(password)}@localhost:{held.port}/0")
    server.start()
    assert password not in (server.instance.data / "users.conf").read_text()
    with redis.Redis(port=held.port, username="someone", password=password) as app:
        assert app.ping()


def test_functions_that_a_test_has_saved_to_the_disk_are_in_no_later_template(reserve):
    server, kind = reserve(), Redis()
    server.start()
    with contextlib.closing(kind.open(server.endpoint, server.spec)) as store:
        store.build("before", "0", lambda target: None)
        store.checkout("before", "0")
        with redis.Redis.from_url(kind.copy_address(server.endpoint, server.spec, "0").url()) as app:
            app.function_load(LIBRARY)
            app.save()
    client.down(server.instance)
    server.start()
    with contextlib.closing(kind.open(server.endpoint, server.spec)) as store:
        store.build("later", "0", lambda target: None)
        store.checkout("later", "0")
        with redis.Redis.from_url(kind.copy_address(server.endpoint, server.spec, "0").url()) as app:
            assert app.function_list() == []


def test_durable_means_that_each_write_is_on_the_disk(reserve):
    server, usual = reserve(durable=True), reserve()
    usual.start()
    with redis.Redis.from_url(Redis().copy_address(usual.endpoint, usual.spec, "0").url()) as app:
        assert app.config_get("appendonly", "save") == {"appendonly": "no", "save": ""}
    server.start()
    with redis.Redis.from_url(Redis().copy_address(server.endpoint, server.spec, "0").url()) as app:
        assert app.config_get("append*")["appendfsync"] == "always"
        assert app.config_get("appendonly") == {"appendonly": "yes"}
        app.set("kept", "1")
    port = server.endpoint.admin.port
    client.down(server.instance)
    assert server.start() is False
    with redis.Redis.from_url(Redis().copy_address(server.endpoint, server.spec, "0").url()) as app:
        assert app.get("kept") == b"1"
    assert server.endpoint.admin.port == port


def test_passwords_stand_in_no_command_line(reserve):
    server = reserve()
    server.start()
    password = server.endpoint.admin.password
    assert len(password) >= 32
    pid = server.instance.read("state.json")["pid"]
    for what in ("cmdline", "environ"):
        assert password.encode() not in Path(f"/proc/{pid}/{what}").read_bytes()
    with pytest.raises(redis.exceptions.AuthenticationError), redis.Redis(port=server.endpoint.admin.port) as stranger:
        stranger.ping()


def test_a_server_that_dies_at_once_is_told_with_its_log(reserve, monkeypatch):
    server = reserve()
    launch = RedisProgram.launch

    def broken(self, *arguments):
        made = launch(self, *arguments)
        return type(made)(
            argv=(*made.argv, "--no-such-setting", "1"),
            env=made.env,
            cwd=made.cwd,
            log=made.log,
            stop_signal=made.stop_signal,
            die_signal=made.die_signal,
        )

    monkeypatch.setattr(RedisProgram, "launch", broken)
    before = wait.now()
    with pytest.raises(ProviderError) as caught:
        server.start()
    assert wait.now() - before < 10
    assert "exit status 1" in caught.value.what
    assert "valkey-server" in caught.value.what
    assert "no-such-setting" in caught.value.cause


def test_a_valkey_in_the_place_of_a_redis_says_so_in_its_version(reserve):
    assert reserve().endpoint.version.startswith("7.2.4+valkey.9.")
    assert reserve(Valkey()).endpoint.version.startswith("9.")
    assert Embedded().probe(Redis().spec(Requirements.of(project=reserve().spec.project, version=">=7"))) is None
    assert "is wanted" in Embedded().probe(Redis().spec(Requirements.of(project=reserve().spec.project, version=">=8")))


def at_url(server, tmp_path, database=0):
    """The server of another, as the provider `url` serves it."""
    admin = server.endpoint.admin
    url = f"redis://default:{admin.password}@127.0.0.1:{admin.port}/{database}"
    spec = Redis().spec(Requirements.of(project=tmp_path, url=url))
    found = Url().reserve(spec)
    found.start()
    return spec, found.endpoint


LIBRARY = "#!lua name=theirs\nredis.register_function('answer', function() return 42 end)"


@pytest.mark.parametrize("held", ["keys", "functions", "nothing"])
def test_a_server_of_somebody_elses_without_our_marker_is_refused_and_not_touched(reserve, tmp_path, held):
    """Also one that is empty: it may be a cache that has just been started, and whose app is about to write to it."""
    server = reserve()
    server.start()
    spec, endpoint = at_url(server, tmp_path)
    with redis.Redis.from_url(spec.url) as theirs:
        if held == "keys":
            theirs.set("theirs", "1")
        if held == "functions":
            theirs.function_load(LIBRARY)
        before = theirs.keys(), theirs.function_list(), theirs.acl_list(), theirs.config_get("*")
        with pytest.raises(Refused, match="may be somebody's real one") as caught:
            Redis().open(endpoint, spec)
        assert (theirs.keys(), theirs.function_list(), theirs.acl_list(), theirs.config_get("*")) == before
        if held == "functions":
            assert "the functions theirs" in caught.value.cause
        theirs.flushall()
        theirs.function_flush()
    assert server.endpoint.admin.password not in str(caught.value)


def test_an_adopted_one_serves_one_worker_at_a_time(reserve, tmp_path):
    server = reserve()
    server.start()
    spec, endpoint = at_url(server, tmp_path)
    adoption_candidate(endpoint).mark()
    with contextlib.closing(Redis().open(endpoint, spec)) as store:
        store.build("elsewhere", "0", fill)
        copy = store.checkout("elsewhere", "0")
        with pytest.raises(Refused, match="in use by another run"):
            Redis().open(endpoint, spec)
        with redis.Redis.from_url(spec.url) as app:
            app.flushall()
            assert copy.undo().path == "copy"
            assert app.get("greeting") == b"hello"
            assert MARKER not in app.keys("*")
    with contextlib.closing(Redis().open(endpoint, spec)):
        pass  # it holds data, which is ours


def test_a_server_that_refuses_the_mark_is_told(reserve, tmp_path):
    server = reserve()
    server.start()
    with redis.Redis.from_url(Redis().copy_address(server.endpoint, server.spec, "0").url()) as app:
        app.acl_setuser("reader", enabled=True, nopass=True, keys=["*"], commands=["+@all", "-set"])
    spec = Redis().spec(
        Requirements.of(project=tmp_path, url=f"redis://reader:x@127.0.0.1:{server.endpoint.admin.port}")
    )
    found = Url().reserve(spec)
    found.start()
    with pytest.raises(ServerLost, match="refuses us") as caught:
        adoption_candidate(found.endpoint).mark()
    assert "NOPERM" in caught.value.cause


def test_valkey_s_own_scheme_is_one_of_its_clients(tmp_path):
    for scheme, known in (("valkey", "redis"), ("valkeys", "rediss")):
        spec = Valkey().spec(Requirements.of(project=tmp_path, url=f"{scheme}://:secret@localhost/3"))
        address = Valkey().copy_address(Url().reserve(spec).endpoint, spec, "0")
        assert address.url() == f"{known}://default:secret@localhost:6379/3"
        [command, _] = Valkey().shell(address).commands
        assert ("--tls" in command) == (known == "rediss")


def test_an_adopted_one_is_ours_also_when_our_connection_had_to_be_opened_again(reserve, tmp_path):
    """A test may have ended it, or the server itself, which does so where `timeout` is set."""
    server = reserve()
    server.start()
    spec, endpoint = at_url(server, tmp_path)
    adoption_candidate(endpoint).mark()
    with contextlib.closing(Redis().open(endpoint, spec)) as store, redis.Redis.from_url(spec.url) as app:
        store.build("ours", "0", lambda target: None)
        copy = store.checkout("ours", "0")
        app.client_kill_filter(_type="normal", skipme=True)
        copy.undo()
        with pytest.raises(Refused, match="in use by another run"):
            Redis().open(endpoint, spec)


def test_who_adopts_a_server_is_told_of_its_functions_and_no_template_gets_them(reserve, tmp_path):
    server = reserve()
    server.start()
    spec, endpoint = at_url(server, tmp_path)
    with redis.Redis.from_url(spec.url) as theirs:
        theirs.function_load(LIBRARY)
        found = adoption_candidate(endpoint)
        assert (found.holds, "deletes its functions" in found.means) == ("the functions theirs", True)
        found.mark()
        with contextlib.closing(Redis().open(endpoint, spec)) as store:
            store.build("without theirs", "0", lambda target: None)
            copy = store.checkout("without theirs", "0")
            theirs.function_load(LIBRARY.replace("answer", "question"))
            copy.undo()
            assert theirs.function_list() == []


def test_users_and_settings_of_an_adopted_server_stay_as_its_owner_last_had_them(reserve, tmp_path):
    server = reserve()
    server.start()
    spec, endpoint = at_url(server, tmp_path)
    adoption_candidate(endpoint).mark()
    with redis.Redis.from_url(spec.url) as theirs:
        for number in range(2):
            theirs.acl_setuser(f"theirs-{number}", enabled=True, nopass=True)
            theirs.config_set("maxmemory-samples", 5 + number)
            with contextlib.closing(Redis().open(endpoint, spec)) as store:
                store.build("theirs stay", "0", lambda target: None)
                copy = store.checkout("theirs stay", "0")
                theirs.config_set("maxmemory-samples", 9)
                theirs.acl_setuser("left", enabled=True)
                copy.undo()
            assert {*theirs.acl_users()} - {"seatrial"} == {"default", *(f"theirs-{one}" for one in range(number + 1))}
            assert theirs.config_get("maxmemory-samples") == {"maxmemory-samples": str(5 + number)}
        for number in range(2):
            theirs.acl_deluser(f"theirs-{number}")


def test_what_is_no_address_of_a_redis_is_refused(tmp_path):
    with pytest.raises(ConfigError, match="`at` is not the address"):
        Redis().spec(Requirements.of(project=tmp_path, at="postgresql://localhost/app"))
    with pytest.raises(ConfigError, match=r"`at` has settings of a client: \?db=5"):
        Redis().spec(Requirements.of(project=tmp_path, at="redis://localhost?db=5"))
    for url, what in (("redis://localhost?db=5", "settings of a client"), ("http://localhost", "not the address of a")):
        with pytest.raises(ConfigError, match=what):
            Url().reserve(Redis().spec(Requirements.of(project=tmp_path, url=url)))
    with pytest.raises(ConfigError, match="no `extensions`"):
        Redis().spec(Requirements.of(project=tmp_path, extensions=("json",)))


@needs_mounts
def test_a_disk_that_is_full_is_told_with_how_to_get_room(project, tmp_path):
    disk = tmp_path / "disk"
    disk.mkdir()
    project.write(
        {"seatrial.toml": '[resources.broker]\nkind = "redis"\n', "test_it.py": "def test_it(broker): pass\n"}
    )
    full = f'"$@" || exit; "$1" -m seatrial down; head -c 2000000 /dev/zero > {disk}/filler; "$@"'
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", str(project.folder)]
    argv = behind([f"-o size=1m none {disk}"], "sh", "-c", full, "sh", *command)
    outcome = project.run(*argv, SEATRIAL_CACHE=str(disk / "c"))
    assert "1 passed" in outcome.text
    assert "there is no room left for a server: No space left on device" in outcome.text
    assert "Traceback" not in outcome.text
