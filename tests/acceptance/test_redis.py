"""A project that keeps things in Redis writes no fixture: each test starts from the seed, whatever a test did."""

from __future__ import annotations

import json

CONFIG = """
[tool.pytest.ini_options]
pythonpath = ["."]

[tool.seatrial.resources.store]
kind = "redis"
seed = "seeds:load"
env = "CACHE_URL"

[tool.seatrial.resources.queue]
kind = "redis"
env = { QUEUE_HOST = "{host}:{port}" }
override = "app:get_queue"
"""
APP = """
import os

import redis
import redis.asyncio

cache = redis.Redis.from_url(os.environ["CACHE_URL"])


async def get_queue():
    async with redis.asyncio.Redis() as client:
        yield client


def visit(page):
    return cache.incr(f"visits:{page}")
"""
SEEDS = """
def load(client):
    client.set("visits:home", 10)
    client.select(2)
    client.set("other", "database")
"""
TESTS = """
import asyncio
import os

import app
import pytest
import redis.asyncio


@pytest.mark.parametrize("attempt", range(3))
def test_every_test_starts_from_the_seed(store, attempt):
    assert app.visit("home") == 11
    assert store.get("visits:home") == b"11"
    assert store.dbsize() == 1
    store.select(2)
    assert store.get("other") == b"database"
    store.flushall()


def test_it_only_reads(store, store_url):
    assert store_url == os.environ["CACHE_URL"]
    assert app.cache.get("visits:home") == b"10"


@pytest.mark.parametrize("attempt", range(2))
def test_the_queue_is_another_server_with_an_asynchronous_client(queue, store, attempt):
    assert isinstance(queue, redis.asyncio.Redis)

    async def work():
        await queue.rpush("jobs", "one")
        return await queue.llen("jobs")

    assert asyncio.run(work()) == 1
    assert not store.exists("jobs")


@pytest.mark.seatrial(store="clone")
def test_a_clone_is_the_whole_seed_again(store):
    assert app.visit("home") == 11
"""


def test_the_tests_of_a_cache_and_a_queue(project):
    project.write({"pyproject.toml": CONFIG, "app.py": APP, "seeds.py": SEEDS, "tests/test_visits.py": TESTS})
    outcome = project.pytest("-q", "-n", "2", "--seatrial-explain")
    assert outcome.counts() == {"passed": 7}, outcome.text
    up = project.seatrial("up", "--json")
    assert up.status == 0, up.text
    told = {one["resource"]: one for one in json.loads(up.text)}
    assert told["store"]["new"]
    assert told["store"]["held"]
    again = {one["resource"]: one for one in json.loads(project.seatrial("up", "--json").text)}
    assert again["store"]["url"] == told["store"]["url"]
    assert not again["store"]["new"]
    assert project.pytest("-q", "-k", "only_reads").counts() == {"passed": 1, "deselected": 6}
    assert project.seatrial("down").status == 0


def test_what_a_failed_test_left_is_not_kept_and_that_is_all_that_is_told_of_it(project):
    tests = """
    def test_that_fails(store):
        store.set("left", "behind")
        assert False

    def test_after(store):
        assert not store.exists("left")
    """
    project.write({"pyproject.toml": CONFIG, "app.py": APP, "seeds.py": SEEDS, "tests/test_kept.py": tests})
    outcome = project.pytest("-q", "--seatrial-keep")
    assert outcome.counts() == {"failed": 1, "passed": 1}, outcome.text
    assert "store: tests/test_kept.py::test_that_fails: not kept: this kind of resource can't be kept" in outcome.text
    assert "after its end" not in outcome.text
    assert "fresh clone" not in outcome.text


def test_a_key_for_tables_is_refused_with_what_to_write(project):
    project.write({"pyproject.toml": CONFIG.replace('seed = "seeds:load"', 'schema = "schema.sql"')})
    outcome = project.seatrial("doctor", "--no-start")
    assert outcome.status == 2
    assert "`schema` is about a database of SQL" in outcome.text
    assert "filled by a `seed`" in outcome.text
