"""What the tests of S3 share: one server, its store, and what a bucket holds at the start."""

from __future__ import annotations

import contextlib

import pytest

from seatrial.resources.kinds.s3 import S3
from seatrial.resources.protocol import Requirements
from seatrial.resources.providers.embedded import Embedded


@pytest.fixture(scope="module")
def server(cache):
    """A server that runs."""
    server = Embedded().reserve(S3().spec(Requirements.of(project=cache)))
    server.start()
    yield server
    server.release()


@pytest.fixture
def store(server):
    """Its store."""
    with contextlib.closing(S3().open(server.endpoint, server.spec)) as store:
        yield store


def fill(target):
    """Three objects: plain, with all that can be told of one, and in a folder."""
    bucket = target.connect()
    bucket.put_object(Key="plain", Body=b"plain")
    bucket.put_object(Key="told", Body=b"{}", ContentType="application/json", Metadata={"by": "us"}, Tagging="a=1")
    bucket.put_object(Key="folder/deep", Body=b"deep")


@pytest.fixture
def copy(store):
    """A bucket with that."""
    store.build("key", "one", fill)
    yield store.checkout("key", "one")
    store.drop("one")
