"""Seatrial as its users have it: a harness made from a project's configuration, and an app with a pool."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

from seatrial import events

from . import workloads
from .peer import Peer, one_test
from .scene import Scene


@dataclass(slots=True, kw_only=True)
class Test:
    """What the harness asks of a test."""

    id: str = "test_six"
    failed: bool = False

    def add_cleanup(self, cleanup: Callable[[], None]) -> None: ...
    def log(self, title: str, text: str) -> None: ...


@dataclass(slots=True)
class Watch:
    """Hears of each check-in."""

    milliseconds: float = 0.0
    paths: Counter[str] = field(default_factory=Counter)

    def __call__(self, event: Any) -> None:
        if isinstance(event, events.CheckedIn):
            self.milliseconds = event.milliseconds
            self.paths[event.path] += 1


@contextmanager
def seatrial(scene: Scene) -> Iterator[list[Peer]]:
    """Its modes. One harness, one copy and one app for all of them, as in a project whose tests have markers."""
    from sqlalchemy import create_engine

    from seatrial.config.load import load
    from seatrial.harness.compose import compose
    from seatrial.harness.run import Run

    watch = Watch()
    with scene.place.entered():
        config = load(scene.folder / "seatrial.toml", environ={})
        run = Run(id=scene.run, root=scene.folder, worker=scene.worker)
        harness = compose(config, run, emit=watch)
        harness.open()
        app = None
        try:
            harness.start(["db"])
            if harness.resources["db"].failure is not None:
                raise harness.resources["db"].failure
            app = create_engine(harness.resources["db"].plan.address.url("psycopg"), pool_size=1, max_overflow=0)
            yield _modes(scene, harness, app, watch)
        finally:
            if app is not None:
                app.dispose()
            harness.close()


def _modes(scene: Scene, harness: Any, app: Any, watch: Watch) -> list[Peer]:
    def begin(isolation: str = "reset") -> Callable[[], None]:
        return lambda: harness.begin(Test(), {"db": isolation}, ["db"])

    def settle() -> None:
        harness.begin(Test(), {"db": "reset"}, ["db"])
        harness.end()

    def by_app() -> None:
        with app.begin() as connection:
            workloads.six(connection.exec_driver_sql)

    def by_session() -> None:
        from sqlalchemy import text

        session = harness.session("db")
        workloads.six(lambda statement: session.execute(text(statement)))
        session.commit()

    def reconnect() -> None:
        with app.connect():
            pass

    def peer(name: str, does: str, isolation: str, work: Callable[[], None], **more: Any) -> Peer:
        made = Peer(name=f"Seatrial {name}", does=does, before=begin(isolation), work=work, after=harness.end, **more)
        made.settle = lambda: (settle(), watch.paths.clear())
        made.checked_in = lambda: watch.milliseconds
        made.tidy = lambda: made.paths.update(watch.paths)
        return made

    found = [
        peer("reset", "the app's pool writes and commits; the log tells what to undo", "reset", by_app),
        peer("reset, `db` used", "the test's own session writes and commits", "reset", by_session),
        peer("rollback", "the test's own session; its commits are savepoints", "rollback", by_session),
        peer("clone", "a fresh clone, waited for", "clone", by_app, reconnect=reconnect, tests=1),
    ]
    waited = found[-1]
    waited.settle = lambda: (settle(), one_test(waited), watch.paths.clear())  # which takes the one that may be ready
    pause = 1 + scene.rows / 5e5
    does = f"the same, {pause:.1f} s after the one before"
    ready = peer("clone, one ready", does, "clone", by_app, reconnect=reconnect, tests=1)
    ready.settle = lambda: (settle(), time.sleep(pause), watch.paths.clear())
    found.append(ready)
    if scene.rows:
        found.append(_seeded(scene, peer, app))
    return found


def _seeded(scene: Scene, peer: Callable[..., Peer], app: Any) -> Peer:
    numbers = iter(range(10**9))

    def write() -> None:
        with app.begin() as connection:
            workloads.thirty(connection.exec_driver_sql, next(numbers), scene.rows)

    def checksum() -> object:
        with app.connect() as connection:
            return connection.exec_driver_sql(workloads.CHECKSUM).one()

    before = checksum()

    def compare() -> None:
        if checksum() != before:
            raise SystemExit("the seeded table is not what it was: this is a bug of Seatrial's")
        note()

    found = peer("reset, seed rows", "10 seeded rows updated, 10 deleted, 10 inserted", "reset", write, tests=5)
    note, found.tidy = found.tidy, compare
    return found
