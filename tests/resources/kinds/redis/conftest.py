"""A Valkey of the tests' own, found and started as in a run, and a store on it."""

from __future__ import annotations

import pytest

from seatrial.resources.kinds.redis import Redis, Valkey
from seatrial.resources.protocol import Requirements
from seatrial.resources.providers.embedded import Embedded


@pytest.fixture(scope="module", params=[Redis, Valkey], ids=["redis", "valkey"])
def kind(request):
    return request.param()


@pytest.fixture(scope="module")
def spec(kind, cache):
    return kind.spec(Requirements.of(project=cache))


@pytest.fixture(scope="module")
def server(spec):
    server = Embedded().reserve(spec)
    server.start()
    yield server
    server.release()


@pytest.fixture(scope="module")
def store(kind, spec, server):
    store = kind.open(server.endpoint, spec)
    yield store
    store.close()


SEED = {"greeting": "hello", "count": "41"}
SCRIPT = 'return redis.call("incr", KEYS[1]) -- "quoted"\n-- \\ and escaped'


def fill(target):
    """Keys in two databases, one that runs out, a stream with a group, a function, a script, a user, a setting."""
    with target.connect() as app:
        app.mset(SEED)
        app.set("session", "s", ex=3600)
        app.xadd("stream", {"a": 1}, id="1-1")
        app.xgroup_create("stream", "group", id="0")
        app.function_load("#!lua name=mine\nredis.register_function('answer', function() return 42 end)")
        app.script_load(SCRIPT)
        app.acl_setuser("reader", enabled=True, passwords=["+r"], keys=["*"], commands=["+get"])
        app.config_set("maxmemory-policy", "allkeys-lru")
        app.execute_command("SELECT", 3)
        app.set("elsewhere", "three")


@pytest.fixture
def copy(store):
    """The copy at its baseline, all of the seed in it."""
    store.build("full", "0", fill)
    copy = store.checkout("full", "0")
    yield copy
    while copy._below:
        copy.pop()


@pytest.fixture
def app(copy):
    """A client as the app has one."""
    client = copy.client()
    yield client.value
    client.close()
