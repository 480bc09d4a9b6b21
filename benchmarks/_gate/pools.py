"""The point about the app's pools: they outlive the end of their connections, behind the same URL."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from _isolation.ours import Test
from _isolation.places import Place

from seatrial import events

from .figure import Broken, Figure, in_turn, timed

PROJECT = '[resources.db]\nkind = "postgres"\nschema = "schema.sql"\n'
SCHEMA = "create table t (id serial primary key, v text);"


def pools(place: Place, rounds: int) -> Figure:
    """The first query of a test on the app's own pool, without `pre_ping`, after what the test before has caused."""
    from sqlalchemy import NullPool, create_engine

    from seatrial.config.load import load
    from seatrial.harness.compose import compose
    from seatrial.harness.run import Run

    folder = Path(place.root) / "gate"
    folder.mkdir()
    (folder / "seatrial.toml").write_text(PROJECT)
    (folder / "schema.sql").write_text(SCHEMA)
    heard: list[Any] = []
    with place.entered():
        harness = compose(load(folder / "seatrial.toml", environ={}), Run(id="gate", root=folder), emit=heard.append)
        harness.open()
        try:
            harness.require(["db"])
            url = harness.resources["db"].plan.address.url("psycopg")
            app, alone = create_engine(url, pool_size=3), create_engine(url, poolclass=NullPool)
            asked = 0

            def first(engine: Any) -> float:
                nonlocal asked

                def query() -> None:
                    with engine.connect() as connection:
                        if connection.exec_driver_sql("select count(*) from t").scalar():
                            raise Broken("the test did not begin with the baseline")

                harness.begin(Test(), {}, ["db"])
                milliseconds = timed(query)
                asked += 1
                harness.end()
                return milliseconds

            def after(what: str) -> float:
                harness.begin(Test(), {"db": "clone"} if what == "swap" else {}, ["db"])
                several = [app.connect() for _ in range(3)]
                for connection in several:
                    connection.exec_driver_sql("insert into t (v) values ('x')")
                for connection in several[what == "fence" :]:
                    connection.commit()
                    connection.close()
                heard.clear()
                harness.end()  # with what == "fence" one connection is still in its transaction
                _check(what, heard)
                milliseconds = first(app)
                if what == "fence":
                    several[0].invalidate()
                    several[0].close()
                return milliseconds

            times = in_turn(
                rounds,
                {
                    "after a swap": lambda: after("swap"),
                    "after a fence": lambda: after("fence"),
                    "after neither": lambda: after("nothing"),
                    "on a new connection": lambda: first(alone),
                },
            )
            app.dispose()
        finally:
            harness.close()
    return Figure(
        point="pools without `pre_ping` survive a fence and a swap of the database behind the same URL",
        over="after a swap",
        under="on a new connection",
        times=times,
        counted=f"the first query of {asked} tests: none failed",
    )


def _check(what: str, heard: list[Any]) -> None:
    """What was to happen has happened."""
    ended = [event for event in heard if isinstance(event, events.ConnectionEnded)]
    path = next(event.path for event in heard if isinstance(event, events.CheckedIn))
    expected = {"swap": ("clone", 0), "fence": ("log", 1), "nothing": ("log", 0)}[what]
    if (path, len(ended)) != expected:
        raise Broken(f"{what}: undone by {path}, {len(ended)} connections ended")
