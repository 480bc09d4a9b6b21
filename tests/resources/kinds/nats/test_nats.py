"""Whatever a test did to JetStream is undone: streams, consumers, key-value and object buckets."""

from __future__ import annotations

import asyncio
import contextlib
import json
import time
from dataclasses import replace
from pathlib import Path
from urllib.parse import quote

import nats
import pytest
from nats.js.api import ConsumerConfig, StorageType, StreamConfig, StreamSource
from nats.js.errors import BucketNotFoundError, NoKeysError, NotFoundError

from seatrial.core import ports
from seatrial.errors import ConfigError, ProviderError
from seatrial.resources.kinds.nats import Nats
from seatrial.resources.kinds.nats import store as store_of_nats
from seatrial.resources.kinds.nats.streams import dump, load, put, take
from seatrial.resources.kinds.nats.wire import Wire
from seatrial.resources.protocol import Requirements
from seatrial.resources.providers.embedded import Embedded
from seatrial.resources.supervisor import client


@pytest.fixture(scope="module")
def server(cache):
    server = Embedded().reserve(Nats().spec(Requirements.of(project=cache)))
    server.start()
    yield server
    server.release()


@pytest.fixture(scope="module")
def store(server):
    with contextlib.closing(Nats().open(server.endpoint, server.spec)) as store:
        yield store


async def seed(js):
    """A stream with a gap and a consumer half way, one in memory, a key-value bucket, an object bucket."""
    await js.add_stream(name="orders", subjects=["orders.>"])
    for number in range(4):
        await js.publish(f"orders.{number}", b"seeded", headers={"n": str(number)})
    await js.delete_msg("orders", 2)
    await js.add_consumer("orders", ConsumerConfig(durable_name="worker", ack_policy="explicit"))
    half = await js.pull_subscribe_bind("worker", stream="orders")
    [first] = await half.fetch(1)
    await first.ack_sync()
    await js.add_stream(StreamConfig(name="quick", subjects=["quick"], storage=StorageType.MEMORY))
    await js.publish("quick", b"in memory", headers={"h": "1"})
    kv = await js.create_key_value(bucket="settings")
    await kv.put("colour", b"green")
    objects = await js.create_object_store(bucket="files")
    await objects.put("readme", b"x" * 300_000)


def run(url, work):
    async def connected():
        connection = await nats.connect(url)
        try:
            return await work(connection.jetstream())
        finally:
            await connection.close()

    return asyncio.run(connected())


def fill(target):
    run(target.address.url(), seed)


@pytest.fixture
def copy(store):
    store.build("full", "", fill)
    copy = store.checkout("full", "")
    yield copy
    while copy._below:
        copy.pop()


async def everything(js):
    """All that a test could see."""
    told = {}
    for info in await js.streams_info():
        name, state = info.config.name, info.state
        seen = []
        for number in range(state.first_seq, state.last_seq + 1):
            try:
                message = await js.get_msg(name, seq=number)
                seen.append((number, message.subject, message.data, message.headers))
            except NotFoundError:
                seen.append((number, None))
        consumers = [
            (one.name, one.delivered.stream_seq, one.ack_floor.stream_seq, one.num_ack_pending)
            for one in await js.consumers_info(name)
        ]
        told[name] = (info.config, seen, consumers)
    return told


async def fetch(js):
    half = await js.pull_subscribe_bind("worker", stream="orders")
    [message] = await half.fetch(1)
    await message.ack_sync()


async def _kv(js, work):
    await work(await js.key_value("settings"))


async def _put(js):
    await (await js.object_store("files")).put("other", b"y" * 1000)


DEEDS = {
    "a message": lambda js: js.publish("orders.9", b"new"),
    "a message in memory": lambda js: js.publish("quick", b"new"),
    "a message deleted": lambda js: js.delete_msg("orders", 1),
    "a stream purged": lambda js: js.purge_stream("orders"),
    "a stream deleted": lambda js: js.delete_stream("orders"),
    "a stream in memory deleted": lambda js: js.delete_stream("quick"),
    "a new stream": lambda js: js.add_stream(name="new", subjects=["new"]),
    "a changed stream": lambda js: js.update_stream(name="orders", subjects=["orders.>", "more"]),
    "a new consumer": lambda js: js.add_consumer("orders", ConsumerConfig(durable_name="other")),
    "a consumer deleted": lambda js: js.delete_consumer("orders", "worker"),
    "a message taken by the consumer": fetch,
    "a key": lambda js: _kv(js, lambda kv: kv.put("colour", b"red")),
    "a key deleted": lambda js: _kv(js, lambda kv: kv.delete("colour")),
    "a bucket": lambda js: js.create_key_value(bucket="new"),
    "a bucket deleted": lambda js: js.delete_key_value("settings"),
    "a file": _put,
}


@pytest.mark.parametrize("deed", DEEDS)
def test_what_a_test_did_is_undone(copy, deed):
    url = copy.client().value
    before = run(url, everything)
    run(url, DEEDS[deed])
    undone = copy.undo()
    assert undone.path == "copy"
    assert len(undone.tables) == 1
    assert run(url, everything) == before
    assert copy.late_writes() == ()
    assert copy.undo().path == "nothing"


async def keys(js, name):
    bucket = await js.key_value(name)
    try:
        return {key: (await bucket.get(key)).value for key in await bucket.keys()}
    except NoKeysError:
        return {}


def test_a_key_in_memory_that_the_seed_has_updated_is_in_the_baseline(store):
    """Its message asks for the one before it, which the bucket no longer has."""

    async def updated(js):
        bucket = await js.create_key_value(bucket="quick", storage=StorageType.MEMORY)
        await bucket.update("colour", b"red", last=await bucket.put("colour", b"green"))

    store.build("updated", "", lambda target: run(target.address.url(), updated))
    copy = store.checkout("updated", "")
    assert run(copy.address.url(), lambda js: keys(js, "quick")) == {"colour": b"red"}


def test_a_key_has_the_revision_that_the_seed_saw_where_nothing_runs_out(store):
    """Each bucket of a newer client may have keys that run out; most have none."""
    saw = []

    async def revised(js):
        bucket = await js.create_key_value(bucket="revised")
        await bucket.put("shape", b"round")
        await bucket.put("size", b"0")  # is forgotten with the next
        saw.append(await bucket.put("size", b"1"))

    store.build("revised", "", lambda target: run(target.address.url(), revised))
    copy = store.checkout("revised", "")

    async def update(js):
        bucket = await js.key_value("revised")
        return await bucket.update("size", b"2", last=saw[0])

    for _ in range(2):
        assert run(copy.address.url(), update) == saw[0] + 1
        copy.undo()


def test_a_key_that_runs_out_has_its_whole_time_before_it_however_old_the_template_is(store):
    async def brief(js):
        bucket = await js.create_key_value(bucket="brief", ttl=2)
        await bucket.put("colour", b"green")

    store.build("brief", "", lambda target: run(target.address.url(), brief))
    time.sleep(2.5)
    copy = store.checkout("brief", "")
    time.sleep(0.5)  # what is old when it comes back is removed within this time
    assert run(copy.address.url(), lambda js: keys(js, "brief")) == {"colour": b"green"}


def test_a_message_that_runs_out_is_kept_for_the_consumers_that_wait_for_it(store):
    """A stream whose retention is interest keeps a message for those only who listen when it comes."""

    async def awaited(js):
        await js.add_stream(StreamConfig(name="news", subjects=["news"], retention="interest", max_age=3600))
        await js.add_consumer("news", ConsumerConfig(durable_name="reader", ack_policy="explicit"))
        for number in range(70):  # more than are published at once
            await js.publish("news", str(number).encode())

    store.build("awaited", "", lambda target: run(target.address.url(), awaited))
    copy = store.checkout("awaited", "")
    [news] = run(copy.address.url(), everything).values()
    assert [message[2] for message in news[1]] == [str(number).encode() for number in range(70)]


def test_a_stream_that_confirms_nothing_is_put_back(store):
    async def silent(js):
        await js.add_stream(StreamConfig(name="silent", subjects=["s"], storage=StorageType.MEMORY, no_ack=True))
        await js._nc.publish("s", b"1")
        await js._nc.flush()
        await _filled(js, "silent")

    store.build("silent", "", lambda target: run(target.address.url(), silent))
    copy = store.checkout("silent", "")
    before = run(copy.address.url(), everything)
    assert before["silent"][0].no_ack
    assert [number for number, *_ in before["silent"][1]] == [1]


async def _filled(js, *names):
    for name in names:
        for _ in range(1000):
            if (await js.stream_info(name)).state.messages:
                break
            await asyncio.sleep(0.01)


def test_streams_in_memory_that_are_filled_from_others_are_put_back(store):
    async def derived(js):
        await js.add_stream(name="origin", subjects=["origin"])
        await js.publish("origin", b"1")
        memory, origin = StorageType.MEMORY, StreamSource(name="origin")
        await js.add_stream(StreamConfig(name="mirror", storage=memory, mirror=origin))
        await js.add_stream(StreamConfig(name="all", storage=memory, sources=[origin], subjects=["own"]))
        await js.publish("own", b"2")

    def told():
        return {name: sorted(one[1:3] for one in seen) for name, (_, seen, _) in run(url, everything).items()}

    store.build("derived", "", lambda target: run(target.address.url(), derived))
    copy = store.checkout("derived", "")
    url = copy.address.url()
    before = told()
    assert before == {
        "all": [("origin", b"1"), ("own", b"2")],
        "mirror": [("origin", b"1")],
        "origin": [("origin", b"1")],
    }
    run(url, lambda js: js.publish("origin", b"3"))
    copy.undo()
    assert told() == before
    assert copy.undo().path == "nothing"


async def _aggregated(js):
    """One stream, and two on the disk that JetStream fills from it; the origin has forgotten its first message."""
    origin = StreamSource(name="zero")
    await js.add_stream(name="zero", subjects=["zero"])
    await js.add_stream(StreamConfig(name="copied", mirror=origin))
    await js.add_stream(StreamConfig(name="gathered", sources=[origin], subjects=["own"]))
    await js.publish("zero", b"1")
    await _filled(js, "copied", "gathered")
    await js.publish("own", b"2")
    await js.publish("zero", b"3")
    await js.delete_msg("zero", 1)


async def _arrived(js, data, *names):
    for name in names:
        for _ in range(2000):
            last = (await js.stream_info(name)).state.last_seq
            if last and (await js.get_msg(name, seq=last)).data == data:
                break
            await asyncio.sleep(0.01)
        else:
            raise AssertionError(f"{name} never got {data!r}")


TOUCHES = {
    "the origin alone": lambda js: js.add_consumer("zero", ConsumerConfig(durable_name="mine")),
    "what is filled from it": lambda js: js.purge_stream("gathered"),
    "both": lambda js: js.publish("zero", b"of the test"),
    "nothing": lambda js: asyncio.sleep(0),
}


@pytest.mark.parametrize("touch", TOUCHES)
def test_streams_that_are_filled_from_others_have_each_message_once_and_go_on(store, touch):
    store.build("aggregated", "", lambda target: run(target.address.url(), _aggregated))
    copy = store.checkout("aggregated", "")
    url = copy.address.url()

    def seen():
        told = run(url, everything)
        return {name: [one[:3:2] for one in messages] for name, (_, messages, _) in told.items()}

    before = seen()
    assert [data for _, data in before["gathered"]] == [b"1", b"2", b"3"]
    run(url, TOUCHES[touch])
    copy.undo()
    assert seen() == before

    async def goes_on(js):
        await js.publish("zero", b"4")
        await _arrived(js, b"4", "copied", "gathered")

    run(url, goes_on)
    assert seen()["gathered"] == [*before["gathered"], (4, b"4")]


def test_what_arrives_elsewhere_while_a_stream_is_put_back_is_late_and_undone(copy, monkeypatch):
    url = copy.address.url()
    before = run(url, everything)

    def meanwhile(wire, name, taken):
        put(wire, name, taken)
        run(url, lambda js: js.publish("quick", b"late"))
        run(url, lambda js: js.publish("orders.9", b"late"))
        run(url, lambda js: js.add_stream(name="late", subjects=["late"]))

    run(url, lambda js: js.publish("orders.9", b"of the test"))
    with monkeypatch.context() as patch:
        patch.setattr(store_of_nats, "put", meanwhile)
        copy.undo()
    assert copy.late_writes() == ("late", "orders", "quick")
    copy.undo()
    assert run(url, everything) == before


def test_the_last_of_many_consumers_counts(store):
    async def many(js):
        await js.add_stream(name="many", subjects=["many"])
        for number in range(300):
            await js.add_consumer("many", ConsumerConfig(durable_name=f"c{number:03}"))

    async def replace_last(js):
        await js.delete_consumer("many", "c299")
        await js.add_consumer("many", ConsumerConfig(durable_name="c299", description="another"))

    store.build("many", "", lambda target: run(target.address.url(), many))
    copy = store.checkout("many", "")
    run(copy.address.url(), replace_last)
    assert copy.undo().tables == ("many",)


@pytest.mark.parametrize("login", ["test:secret", quote("us ér") + ":" + quote('p"ä$s')])
def test_an_address_may_name_any_user(cache, tmp_path, login):
    held = ports.choose("nats", ())
    held.close()
    kind = Nats()
    server = Embedded().reserve(
        kind.spec(Requirements.of(project=tmp_path, at=f"nats://{login}@localhost:{held.port}"))
    )
    try:
        server.start()
        wire = Wire(replace(server.endpoint, admin=kind.copy_address(server.endpoint, server.spec, "")))
        assert wire.version() == server.endpoint.version
        wire.close()
    finally:
        server.release()
        client.down(server.instance)


def test_an_empty_stream_in_memory_that_begins_at_a_number_of_its_own_is_as_the_seed_left_it(store):
    async def numbered(js):
        wanted = {"name": "bills", "subjects": ["bills"], "storage": "memory", "first_seq": 100}
        await js._api_request("$JS.API.STREAM.CREATE.bills", json.dumps(wanted).encode())

    store.build("numbered", "", lambda target: run(target.address.url(), numbered))
    copy = store.checkout("numbered", "")
    for _ in range(2):
        assert copy.late_writes() == ()
        assert run(copy.address.url(), lambda js: js.publish("bills", b"first")).seq == 100
        assert copy.undo().tables == ("bills",)


def test_streams_that_change_places_are_put_back(copy):
    """Two can't listen to one subject, not even for a moment."""

    async def trade(js):
        await js.delete_stream("orders")
        await js.add_stream(name="zeta", subjects=["orders.>"])
        await js.delete_stream("quick")
        await js.add_stream(name="orders", subjects=["quick"])

    url = copy.client().value
    before = run(url, everything)
    run(url, trade)
    copy.undo()
    assert run(url, everything) == before


def test_only_reading_is_nothing_to_undo(copy):
    async def read(js):
        assert (await (await js.key_value("settings")).get("colour")).value == b"green"
        assert (await (await js.object_store("files")).get("readme")).data == b"x" * 300_000

    run(copy.client().value, read)
    assert {*copy.undo().tables} <= {"OBJ_files"}  # reading an object takes a consumer for a while


def test_the_same_message_in_two_tests_has_the_same_sequence(copy):
    url = copy.client().value
    numbers = []
    for _ in range(3):
        numbers.append(run(url, lambda js: js.publish("orders.9", b"new")).seq)
        copy.undo()
    assert numbers == [5, 5, 5]


def test_what_a_wider_fixture_wrote_is_the_baseline_for_a_while(copy):
    url = copy.client().value
    before = run(url, everything)
    run(url, lambda js: js.publish("orders.9", b"of the module"))
    copy.push()
    inside = run(url, everything)
    run(url, lambda js: js.purge_stream("orders"))
    copy.undo()
    assert run(url, everything) == inside
    copy.pop()
    assert run(url, everything) == before


def test_what_is_written_while_a_layer_is_taken_is_no_part_of_its_baseline_unseen(copy, monkeypatch):
    url = copy.address.url()

    def meanwhile(wire, name):
        taken = take(wire, name)
        if name == "quick":
            run(url, lambda js: js.publish("quick", b"meanwhile"))
        return taken

    monkeypatch.setattr(store_of_nats, "take", meanwhile)
    copy.push()
    assert copy.late_writes() == ("quick",)


def test_a_late_message_is_named(copy):
    run(copy.client().value, lambda js: js.publish("quick", b"late"))
    assert copy.late_writes() == ("quick",)


def test_another_worker_has_a_server_of_its_own_from_the_same_template(server, store, copy):
    other = Embedded().reserve(server.spec)
    try:
        other.start()
        with contextlib.closing(Nats().open(other.endpoint, other.spec)) as second:
            assert second.find("full")
            url = second.checkout("full", "").client().value
            assert url != copy.client().value
            assert run(url, everything) == run(copy.client().value, everything)
            second.drop("")
            with pytest.raises(BucketNotFoundError):
                run(url, lambda js: js.key_value("settings"))
    finally:
        other.release()
        client.down(other.instance)


def test_a_seed_that_fails_leaves_no_template_and_no_stream(store):
    def broken(target):
        run(target.address.url(), lambda js: js.add_stream(name="half", subjects=["half"]))
        raise ValueError("broken")

    with pytest.raises(ValueError, match="broken"):
        store.build("never", "", broken)
    assert not store.find("never")
    assert run(store._address.url(), everything) == {}


def test_the_password_stands_in_no_command_line_and_is_asked_for(server):
    pid = server.instance.read("state.json")["pid"]
    assert server.endpoint.admin.password.encode() not in Path(f"/proc/{pid}/cmdline").read_bytes()

    stranger = replace(server.endpoint, admin=replace(server.endpoint.admin, password="hunter22"))
    with pytest.raises(ProviderError, match="does not accept a connection") as caught:
        server.spec.program.asked_version(stranger)
    assert "Authorization Violation" in caught.value.cause
    assert "hunter22" not in str(caught.value)
    assert server.spec.program.asked_version(server.endpoint) == server.endpoint.version


def test_a_template_is_read_back_as_it_was_written(copy):
    assert load(dump(copy._template)) == copy._template


def test_a_url_is_refused_with_the_reason(tmp_path):
    with pytest.raises(ConfigError, match="can't use a `url`"):
        Nats().spec(Requirements.of(project=tmp_path, url="nats://localhost"))
    with pytest.raises(ConfigError, match="`at` is not the address"):
        Nats().spec(Requirements.of(project=tmp_path, at="http://localhost"))


def test_durable_means_that_each_message_is_on_the_disk(cache, tmp_path, monkeypatch):
    monkeypatch.setenv("SEATRIAL_IDLE", "0.05")
    conf = {}
    for durable in (True, False):
        server = Embedded().reserve(Nats().spec(Requirements(project=tmp_path, durable=durable)))
        server.start()
        conf[durable] = (server.instance.data / "server.conf").read_text()
        server.release()
        client.down(server.instance)
    assert "sync_interval: always" in conf[True]
    assert "sync_interval" not in conf[False]
