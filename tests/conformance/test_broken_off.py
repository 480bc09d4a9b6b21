"""A time-out of a test's, or Ctrl-C, may come at any moment of an undo: the next test starts from the baseline."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack, suppress
from functools import partial

import pytest
import redis
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from tests.fuse import EACH, UNRAISABLE, BrokenOff, Fuse

from seatrial.isolation import restore
from seatrial.resources.kinds.s3.connection import resource
from seatrial.resources.protocol import Address, Copy
from seatrial.testing import Sample
from seatrial.testing.sample import running

from .samples import BOTO, SAMPLES, mysql_do, on_nats, postgres_do, sqlite_do

STATEMENTS = ("update t set v = 'y'", "delete from t", "create table other (id int)", "alter table t add column w int")


def empty_redis(address: Address) -> None:
    with redis.Redis.from_url(address.url()) as app:
        app.flushall()


def empty_bucket(address: Address) -> None:
    resource(address, BOTO).Bucket(address.database).objects.all().delete()


WRITES = {
    "sqlite": [partial(sqlite_do, statement=one) for one in STATEMENTS],
    "postgres": [partial(postgres_do, statement=one) for one in (*STATEMENTS, "truncate t")],
    "redis": [empty_redis],
    "mariadb": [partial(mysql_do, statement=one) for one in (*STATEMENTS, "truncate t")],
    "nats": [lambda address: on_nats(address, lambda js: js.purge_stream("s"))],
    "s3": [empty_bucket],
}
"""What else an app may do, besides what each kind is tried with; Valkey and MySQL have the same code as another."""


@pytest.fixture(scope="module")
def copy_of(sample: Callable[[str], Sample]) -> Iterator[Callable[[str], Copy]]:
    """One copy of each kind, at its baseline."""
    made: dict[str, Copy] = {}
    with ExitStack() as running_ones:

        def get(name: str) -> Copy:
            if name not in made:
                bench = running_ones.enter_context(running(sample(name), "broken_off"))
                bench.store.build("b" * 64, bench.copy_name, bench.sample.fill)
                made[name] = bench.store.checkout("b" * 64, bench.copy_name)
                running_ones.callback(made[name].close)
            return made[name]

        yield get


@pytest.mark.filterwarnings(UNRAISABLE)
@pytest.mark.parametrize("name", WRITES)
@settings(max_examples=EACH, deadline=None, suppress_health_check=list(HealthCheck))
@given(data=st.data(), how=st.sampled_from([restore.undo, restore.undo, restore.renew]), share=st.floats(0, 1))
def test_the_next_test_starts_from_the_baseline(copy_of, name, data, how, share):
    copy, read = copy_of(name), SAMPLES[name]["read"]
    write = data.draw(st.sampled_from([SAMPLES[name]["write"], *WRITES[name]]))
    restore.ready(copy)
    before = read(copy.address)
    write(copy.address)
    with Fuse() as whole:
        how(copy)
    restore.ready(copy)
    write(copy.address)
    short = whole.part(share)
    with suppress(BrokenOff), short:
        how(copy)
    for _ in range(2):
        restore.ready(copy)
        assert read(copy.address) == before, short.where
        write(copy.address)
        restore.undo(copy)
        assert read(copy.address) == before, short.where
