"""One run of one worker for all of the hard cases, and the apps that are tested in it."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import pytest

from .apps import DRIVERS, JOINABLE, LONE, App, Loop
from .sea import Sea, Test

PATHS = {"reset": "log", "clone": "clone", "rollback": "rollback"}
"""How a test without DDL gets back to its baseline, by its isolation."""


@pytest.fixture(scope="package")
def sea(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Sea]:
    """A harness whose resources start when a test first needs them."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("SEATRIAL_CACHE", str(tmp_path_factory.mktemp("cache")))
        patch.setenv("SEATRIAL_IDLE", "1")
        made = Sea(tmp_path_factory.mktemp("project"))
        try:
            yield made
        finally:
            made.close()


@pytest.fixture(autouse=True)
def counted(request: pytest.FixtureRequest) -> Iterator[None]:
    """By which path each test was undone: `tests/conftest.py` counts them over all workers."""
    yield
    sea = request.node.funcargs.get("sea")
    if sea is not None:
        request.node.user_properties += [("undone", path) for path in sea.undone]
        sea.undone.clear()


@pytest.fixture(scope="package")
def app_loop() -> Iterator[Loop]:
    """The loop that async apps live on, for as long as the run lasts."""
    loop = Loop()
    yield loop
    loop.close()


@pytest.fixture(scope="package")
def app_of(sea: Sea, app_loop: Loop) -> Iterator[Callable[[str], App]]:
    """The app that uses a driver; its pool is made once, as an app's is."""
    made: dict[str, App] = {}

    def get(driver: str) -> App:
        if driver not in made:
            sea.start({"sqlalchemy": "db", "sqlalchemy-async": "adb"}.get(driver, "plain"))
            made[driver] = DRIVERS[driver](sea, app_loop)
        return made[driver]

    yield get
    for app in made.values():
        app.close()


@pytest.fixture(params=DRIVERS)
def app(request: pytest.FixtureRequest, app_of: Callable[[str], App]) -> App:
    """Each driver in its turn."""
    return app_of(request.param)


@pytest.fixture(params=LONE)
def lone(request: pytest.FixtureRequest, sea: Sea, app_loop: Loop, app_of: Callable[[str], App]) -> Iterator[App]:
    """Each driver with a pool of one connection, for this test alone."""
    app_of(request.param)
    made = LONE[request.param](sea, app_loop)
    yield made
    made.close()


@pytest.fixture(params=JOINABLE)
def joinable(request: pytest.FixtureRequest, app_of: Callable[[str], App]) -> App:
    """Each driver that rollback mode can hold."""
    return app_of(request.param)


@dataclass(frozen=True)
class Way:
    """A driver in an isolation that can hold it."""

    sea: Sea
    app: App
    isolation: str

    @contextmanager
    def one_test(self) -> Iterator[Test]:
        """A test that the app writes in: it is told nothing, and undone by the path that its isolation promises."""
        with self.sea.one_test(self.isolation, self.app.resource) as test:
            yield test
        assert test.told == []
        assert test.paths[self.app.resource].path == PATHS[self.isolation]


WAYS = [
    (driver, isolation) for driver in DRIVERS for isolation in PATHS if isolation != "rollback" or driver in JOINABLE
]


@pytest.fixture(params=WAYS, ids=" in ".join)
def way(request: pytest.FixtureRequest, sea: Sea, app_of: Callable[[str], App]) -> Way:
    """Each driver in each isolation that can hold it."""
    driver, isolation = request.param
    return Way(sea, app_of(driver), isolation)


@pytest.fixture(params=[way for way in WAYS if way[1] != "rollback"], ids=" in ".join)
def committing(request: pytest.FixtureRequest, sea: Sea, app_of: Callable[[str], App]) -> Way:
    """Each driver in each isolation in which a commit is a commit."""
    driver, isolation = request.param
    return Way(sea, app_of(driver), isolation)
