"""Whatever a test did to a Redis is undone, and what was there before it is there again."""

from __future__ import annotations

import asyncio
import random
import threading
import time

import pytest
import redis
import redis.asyncio
from redis.exceptions import NoScriptError
from tests.resources.kinds.redis.conftest import SCRIPT, SEED

from seatrial.core import wait
from seatrial.resources.kinds.redis.baseline.snapshot import _entries, load, take


def state(copy):
    """All that can be asked for. The time that is left to a key runs on meanwhile."""
    now = take(copy._wire)
    keys = {name: (entry.value, bool(entry.ttl)) for name, entry in now.names().items()}
    users = set(now.surroundings.users)
    return keys, now.functions, users, now.surroundings.settings


class Expiring:
    """A server's answers about three keys: one stays, one has less than a millisecond left, one has just gone."""

    def ask(self, *words):
        told = {"SCAN": (b"0", [b"gone", b"last", b"stays"]), "SELECT": b"OK"}
        return told[words[0]]

    def ask_all(self, commands):
        return [b"value", -2, b"value", 0, b"value", -1]


def test_a_key_in_its_last_millisecond_does_not_come_back_for_good():
    assert [(entry.key, entry.ttl) for entry in _entries(Expiring(), 0)] == [(b"last", 1), (b"stays", 0)]


def move(app, number):
    app.execute_command("SELECT", number)
    return app


DEEDS = {
    "a new key": lambda app: app.set("new", "1"),
    "a changed key": lambda app: app.incr("count"),
    "a deleted key": lambda app: app.delete("greeting"),
    "a renamed key": lambda app: app.rename("greeting", "farewell"),
    "a key that gets a time": lambda app: app.expire("greeting", 100),
    "a key that loses its time": lambda app: app.persist("session"),
    "a key that has run out": lambda app: (app.set("brief", "1", px=1), time.sleep(0.01), app.get("brief")),
    "another database": lambda app: move(app, 9).set("new", "1"),
    "a seeded database": lambda app: move(app, 3).delete("elsewhere"),
    "two databases swapped": lambda app: app.swapdb(0, 3),
    "a key moved": lambda app: app.move("greeting", 5),
    "FLUSHDB": lambda app: app.flushdb(),
    "FLUSHALL": lambda app: app.flushall(),
    "SAVE after a write": lambda app: (app.set("new", "1"), app.save()),
    "a stream read by a group": lambda app: app.xreadgroup("group", "me", {"stream": ">"}),
    "a transaction": lambda app: app.pipeline().set("a", 1).set("b", 2).execute(),
    "a script that writes": lambda app: app.eval(SCRIPT, 1, "count"),
    "a function": lambda app: app.function_load("#!lua name=new\nredis.register_function('f', function() end)"),
    "all functions": lambda app: app.function_flush(),
    "a new user": lambda app: app.acl_setuser("new", enabled=True, nopass=True),
    "a changed user": lambda app: app.acl_setuser("reader", commands=["+set"]),
    "a deleted user": lambda app: app.acl_deluser("reader"),
    "the password of the default user": lambda app: app.config_set("requirepass", "hunter22"),
    "a setting": lambda app: app.config_set("maxmemory-policy", "noeviction"),
    "statistics set to zero, twice": lambda app: (
        app.config_resetstat(),
        app.set("new", "1"),
        app.save(),
        app.config_resetstat(),
    ),
    "a write, after which the server is a replica": lambda app: (app.set("new", 1), app.replicaof("127.0.0.1", "1")),
}


@pytest.mark.parametrize("deed", DEEDS)
def test_what_a_test_did_is_undone(copy, app, deed):
    before = state(copy)
    DEEDS[deed](app)
    assert copy.undo().path == "copy"
    assert state(copy) == before
    app.execute_command("SELECT", 0)
    assert {name: app.get(name).decode() for name in SEED} == SEED


def test_writes_that_a_test_has_paused_go_on_in_the_next(copy, app):
    app.client_pause(600_000, all=False)
    copy.undo()
    app.connection_pool.connection_kwargs["socket_timeout"] = 10
    app.connection_pool.disconnect()
    assert app.set("new", "1")


def test_a_test_that_only_reads_costs_one_round_trip(store, copy):
    store.build("lasting", "0", lambda target: target.connect().set("a", "1"))
    copy = store.checkout("lasting", "0")
    client = copy.client()
    assert client.value.get("a") == b"1"
    asked = []
    real = copy._wire.send
    copy._wire.send = lambda packed, count: (asked.append(count), real(packed, count))[1]
    try:
        assert copy.undo().path == "nothing"
        assert copy.late_writes() == ()
    finally:
        del copy._wire.send
        client.close()
    assert asked == [1, 1]


def test_a_key_that_runs_out_has_its_whole_time_in_every_test(copy, app):
    app.expire("session", 10)
    copy.undo()
    assert app.ttl("session") > 3590
    time.sleep(1.1)
    assert copy.undo().path == "copy"
    assert app.pttl("session") > 3_599_500


def test_scripts_of_the_seed_stay_and_those_of_a_test_go(copy, app):
    seeded = app.script_load(SCRIPT)
    mine = app.script_load("return 7")
    copy.undo()
    assert app.evalsha(seeded, 1, "count") == 42
    with pytest.raises(NoScriptError):
        app.evalsha(mine, 0)
    copy.undo()


def test_a_user_that_was_put_back_can_do_what_the_seed_says(copy, app):
    app.acl_setuser("reader", enabled=False)
    copy.undo()
    pool = app.connection_pool.connection_kwargs
    with redis.Redis(port=pool["port"], username="reader", password="r") as reader:
        assert reader.get("greeting") == b"hello"
        with pytest.raises(redis.exceptions.NoPermissionError):
            reader.set("greeting", "x")


def test_notes_tell_which_setting_was_put_back_and_not_its_value(copy, app):
    app.config_set("masterauth", "hunter22")
    undone = copy.undo()
    assert "put back: the setting masterauth" in undone.notes
    assert "hunter22" not in "".join(undone.notes)


def test_a_late_write_is_named_and_undone(copy, app):
    copy.undo()
    late = threading.Thread(target=lambda: app.rpush("queue", "job"))
    late.start()
    late.join()
    assert copy.late_writes() == ("0:queue",)
    copy.undo()
    assert copy.late_writes() == ()
    assert not app.exists("queue")


def test_a_connection_of_ours_that_a_test_killed_is_opened_again(copy, app):
    app.set("new", "1")
    app.client_kill_filter(user="seatrial")
    assert copy.undo().path == "copy"
    assert not app.exists("new")


def test_a_fresh_clone_ends_every_other_connection(copy, app):
    listener = app.pubsub()
    listener.subscribe("news")
    assert listener.get_message(timeout=5)["type"] == "subscribe"
    app.flushall()
    copy.renew()
    with pytest.raises(redis.exceptions.ConnectionError):
        listener.connection.read_response(timeout=5)
    assert app.get("greeting") == b"hello"


def test_what_a_wider_fixture_wrote_is_the_baseline_for_a_while(copy, app):
    before = state(copy)
    app.set("of the module", "1")
    copy.push()
    app.flushall()
    copy.undo()
    assert app.get("of the module") == b"1"
    copy.pop()
    assert state(copy) == before


def test_what_is_written_while_a_wider_fixture_s_layer_is_taken_is_in_the_layer_or_undone(copy, app):
    app.persist("session")  # a layer in which keys run out is put back in any case
    app.execute_command("SELECT", 3)
    app.mset({f"many:{number}": "x" for number in range(20_000)})
    app.execute_command("SELECT", 0)

    def looks():
        return app.info("commandstats").get("cmdstat_scan", {}).get("calls", 0)

    before = looks()  # the first is at database 0, which the layer then has
    late = threading.Thread(target=lambda: (wait.until(lambda: looks() > before + 3, timeout=20), app.set("late", "1")))
    late.start()
    copy.push()
    late.join()
    copy.undo()
    first = app.get("late")
    app.set("any", "1")
    copy.undo()
    assert app.get("late") == first
    copy.pop()


def test_a_snapshot_is_read_back_as_it_was_written(copy):
    snapshot = take(copy._wire, [b"return 1", b"\xff\x00"])
    assert load(snapshot.dump()) == snapshot


def something(app, chance):
    key = chance.choice(["greeting", "count", "session", "stream", "a", "b", "c", "elsewhere"])
    acts = {
        "set": lambda: app.set(key, chance.random()),
        "delete": lambda: app.delete(key),
        "expire": lambda: app.expire(key, 50),
        "select": lambda: app.execute_command("SELECT", chance.randrange(16)),
        "copy": lambda: app.copy("greeting", key, destination_db=chance.randrange(16)),
        "zadd": lambda: app.zadd(f"z{key}", {"m": chance.random()}),
        "xack": lambda: app.xack("stream", "group", "1-1"),
        "group": lambda: app.xgroup_create("stream", f"g{chance.random()}", id="0"),
        "flush": app.flushdb,
    }
    acts[chance.choice(sorted(acts))]()


@pytest.mark.parametrize("seed", range(6))
def test_random_work_is_undone(copy, app, seed):
    chance = random.Random(seed)
    before = state(copy)
    for _ in range(5):
        for _ in range(chance.randrange(1, 12)):
            try:
                something(app, chance)
            except redis.exceptions.ResponseError:
                continue
        copy.undo()
        app.execute_command("SELECT", 0)
        assert state(copy) == before


def test_the_clients_of_two_tests_are_one_object_without_what_the_first_left_in_it(copy):
    client = copy.client()
    app = client.value
    app.execute_command("SELECT", 3)
    assert app.get("elsewhere") == b"three"
    client.renew()
    assert client.value is app
    assert app.get("elsewhere") is None
    client.close()


@pytest.mark.filterwarnings("error")
def test_an_asynchronous_client_goes_from_loop_to_loop(copy):
    client = copy.client(is_async=True)
    app = client.value
    assert isinstance(app, redis.asyncio.Redis)

    async def work():
        await app.set("new", "1")
        return await app.get("new")

    for _ in range(3):
        assert asyncio.run(work()) == b"1"
        client.renew()
        assert client.value is app
    client.close()
