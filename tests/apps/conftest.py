"""Apps under test are opened through one fixture, which ends them."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import pytest

from seatrial.apps.inprocess import InProcess


@pytest.fixture
def serve() -> Iterator[Callable[..., InProcess]]:
    """`serve(app)`: an app in this process, ended with the test."""
    running: list[InProcess] = []

    def start(app, interface="asgi", **options) -> InProcess:
        running.append(InProcess(app, interface, **options))
        return running[-1]

    yield start
    for each in running:
        each.close()
