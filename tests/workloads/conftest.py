"""A server for workloads."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from seatrial.resources import registry
from seatrial.resources.protocol import Requirements

from .lab import Lab


@contextmanager
def laboratory(folders: pytest.TempPathFactory, provider: str) -> Iterator[Lab]:
    """A server with a cache of its own."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("SEATRIAL_CACHE", str(folders.mktemp("cache")))
        patch.setenv("SEATRIAL_IDLE", "1")
        made = Lab(folders.mktemp("project"), provider)
        yield made
        made.close()


@pytest.fixture(scope="session")
def lab(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Lab]:
    """The server of the wheel, whose log is read."""
    with laboratory(tmp_path_factory, "embedded") as made:
        yield made


@pytest.fixture(scope="session")
def machine_lab(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Lab]:
    """The server that this machine has, where it has one: before PostgreSQL 16 only a scan can tell."""
    spec = registry.kind("postgres").spec(Requirements.of(project=tmp_path_factory.mktemp("nothing")))
    if reason := registry.provider("binary").probe(spec):
        pytest.skip(reason)
    with laboratory(tmp_path_factory, "binary") as made:
        yield made
