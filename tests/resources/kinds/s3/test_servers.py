"""A server of SeaweedFS is one process with everything in its own folder, and nobody gets in without its key."""

from __future__ import annotations

import contextlib
from dataclasses import replace
from pathlib import Path

import freezegun
import pytest
import time_machine
from botocore.exceptions import ClientError
from tests.resources.kinds.s3.conftest import fill

from seatrial.core import ports, wait
from seatrial.errors import ConfigError, NeedsClone, ProviderError, ServerLost
from seatrial.resources.kinds.s3 import S3, objects
from seatrial.resources.kinds.s3.connection import resource, session
from seatrial.resources.kinds.s3.notes import Notes
from seatrial.resources.kinds.s3.program import WeedProgram
from seatrial.resources.protocol import Requirements
from seatrial.resources.providers.embedded import Embedded
from seatrial.resources.providers.url import Url
from seatrial.resources.supervisor import client


@pytest.fixture
def reserve(cache, tmp_path):
    """Reserves a server of this test's project; it is ended afterwards."""
    reserved = []

    def make(**keys):
        reserved.append(Embedded().reserve(S3().spec(Requirements.of(project=tmp_path, **keys))))
        return reserved[-1]

    yield make
    for server in reserved:
        server.release()
        client.down(server.instance)


def test_nothing_is_left_beyond_its_folder(reserve, tmp_path, monkeypatch):
    monkeypatch.setenv("TMPDIR", str(tmp_path / "t"))
    (tmp_path / "t").mkdir()
    server = reserve()
    server.start()
    sockets = [Path(path) for path in server.instance.read("launch.json")["outside"]]
    assert len(sockets) == 5
    assert wait.until(lambda: all(socket.is_socket() for socket in sockets), timeout=60)
    server.release()
    assert wait.until(lambda: not server.instance.alive, timeout=20)
    assert not any(socket.exists() for socket in sockets)
    assert list((tmp_path / "t").iterdir()) == []


def test_the_key_stands_in_no_command_line_and_nobody_gets_in_without_it(server):
    pid = server.instance.read("state.json")["pid"]
    for what in ("cmdline", "environ"):
        assert server.endpoint.admin.password.encode() not in Path(f"/proc/{pid}/{what}").read_bytes()
    for user, password in (("test", "wrong"), ("admin", server.endpoint.admin.password)):
        stranger = resource(replace(server.endpoint.admin, user=user, password=password), session()).meta.client
        with pytest.raises(ClientError):
            stranger.list_buckets()


def test_one_server_serves_all_workers_each_with_a_bucket_of_its_own(server, cache):
    second = Embedded().reserve(S3().spec(Requirements.of(project=cache)))
    assert second.endpoint == server.endpoint
    assert second.start() is True
    second.release()
    addresses = {S3().copy_address(server.endpoint, server.spec, name) for name in ("w_0", "w_1")}
    assert {address.database for address in addresses} == {"w-0", "w-1"}


@pytest.mark.parametrize("key", ["key", "test"])
def test_it_answers_at_an_address_of_the_project_s_own(reserve, key):
    held = ports.choose("s3", ())
    held.close()
    server = reserve(at=f"http://{key}:secret@localhost:{held.port}/bucket")
    server.start()
    with contextlib.closing(S3().open(server.endpoint, server.spec)) as store:
        store.build("key", "one", fill)
        address = store.checkout("key", "one").address
        assert (address.port, address.user, address.database) == (held.port, key, "bucket")
        assert resource(address, session()).Object("bucket", "plain").get()["Body"].read() == b"plain"


@pytest.mark.parametrize(
    "frozen",
    [freezegun.freeze_time("2001-01-01"), time_machine.travel("2001-01-01", tick=False)],
    ids=["freezegun", "time_machine"],
)
def test_a_server_starts_and_a_test_is_undone_while_the_clock_stands_still(reserve, frozen):
    """Requests are signed with the time, and a server refuses what was signed a quarter of an hour ago."""
    server = reserve()
    with frozen:
        server.start()
        with contextlib.closing(S3().open(server.endpoint, server.spec)) as store:
            store.build("key", "one", fill)
            copy = store.checkout("key", "one")
            audit = S3().auditor(server.endpoint, copy.address, alone=True)
            baseline = audit.baseline()
            bucket = copy.client().value
            bucket.put_object(Key="new", Body=b"x" * 10_000)
            bucket.put_object(Key="plain", Body=b"other")
            bucket.Object("told").delete()
            assert copy.undo().tables == ("new", "plain", "told")
            assert audit.differences(baseline) == ()
            bucket.meta.client.close()


def test_a_server_that_is_gone_is_told_and_so_is_one_that_has_lost_the_template(reserve):
    """Workers share a server: the one that finds it dead starts it, and the others find what is left."""
    server = reserve()
    server.start()
    with contextlib.closing(S3().open(server.endpoint, server.spec)) as store:
        store.build("key", "one", fill)
        copy = store.checkout("key", "one")
        client.down(server.instance)
        for act in (copy.undo, copy.late_writes, copy.renew, lambda: store.drop("one")):
            with pytest.raises(ServerLost, match="does not answer"):
                act()
        server.start()
        for name in (note.bucket for note in Notes(store._client).all("template", "copy")):
            objects.drop(store._client, name)
        with pytest.raises(NeedsClone):
            copy.undo()
        with pytest.raises(ServerLost, match="template is gone"):
            copy.renew()


def test_a_server_that_dies_at_once_is_told_with_its_log(reserve, monkeypatch):
    launch = WeedProgram.launch
    monkeypatch.setattr(
        WeedProgram,
        "launch",
        lambda self, *asked: replace(made := launch(self, *asked), argv=(*made.argv, "-dir=/proc/nowhere")),
    )
    with pytest.raises(ProviderError) as caught:
        reserve().start()
    assert "exit status" in caught.value.what
    assert "weed" in caught.value.what
    assert "/proc/nowhere" in caught.value.cause


@pytest.mark.parametrize(
    ("keys", "message"),
    [
        ({"at": "http://localhost:9000/"}, "not the address of a bucket"),
        ({"at": "redis://localhost:9000/b"}, "not the address of a bucket"),
        ({"durable": True}, "can't be `durable`"),
    ],
)
def test_a_key_that_can_not_be_met_is_told(keys, message, tmp_path):
    with pytest.raises(ConfigError, match=message) as told:
        S3().spec(Requirements.of(project=tmp_path, **keys))
    assert told.value.fix
    assert told.value.cause


def test_a_server_of_somebody_elses_may_well_be_durable(tmp_path):
    assert S3().spec(Requirements.of(project=tmp_path, durable=True, url="http://k:s@localhost:1/")).url


def test_a_bucket_in_the_url_of_a_server_is_not_looked_for(server, cache):
    admin = server.endpoint.admin
    theirs = Url().reserve(S3().spec(Requirements.of(project=cache, url=f"{admin.url()}theirs")))
    assert theirs.start() is True
    assert server.spec.program.answers(theirs.endpoint)
    assert not server.spec.program.answers(replace(theirs.endpoint, admin=replace(admin, database="theirs")))


def test_a_proxy_that_the_environment_names_is_not_asked_for_a_server_of_this_machine(reserve, monkeypatch):
    monkeypatch.setenv("http_proxy", "http://127.0.0.1:9")
    monkeypatch.delenv("no_proxy", raising=False)
    server = reserve()
    server.start()
    assert resource(server.endpoint.admin, session()).meta.client.list_buckets()["Buckets"] == []
