"""SQLite: a small database in a file, in a file in WAL mode, and in memory; a process of its own for each."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from . import workloads
from .ours import Test, Watch
from .peer import Peer
from .places import Place

PLACES = ("file", "WAL", "memory")
TABLES = 20


@dataclass(frozen=True, slots=True, kw_only=True)
class Small:
    """A job: what a process has to make, before it waits for orders."""

    place: Place
    where: str

    def open(self, stack: ExitStack) -> tuple[str, list[Peer]]:
        """The title of its figures, and the peers."""
        from seatrial.core.importing import import_object

        name = f"sqlite_{self.where}"
        folder = self.place.root / name
        folder.mkdir()
        (folder / f"{name}.py").write_text(workloads.module(TABLES, 0))
        at = 'at = "sqlite://"\n' if self.where == "memory" else ""
        toml = f'[resources.db]\nkind = "sqlite"\nschema = "{name}:metadata"\n{at}'
        (folder / "seatrial.toml").write_text(toml)
        metadata = import_object(f"{name}:metadata", folder)
        peers = [self._ours(folder, stack)]
        if self.where != "memory":
            theirs = self.place.data() / f"peers_{name}"  # in memory or on disk, as ours
            theirs.mkdir()
            peers += _theirs(theirs, metadata, stack, wal=self.where == "WAL")
        return f"SQLite, {self.where}", peers

    def _ours(self, folder: Path, stack: ExitStack) -> Peer:
        from sqlalchemy import create_engine

        from seatrial.config.load import load
        from seatrial.harness.compose import compose
        from seatrial.harness.run import Run

        watch = Watch()
        stack.enter_context(self.place.entered())
        harness = compose(load(folder / "seatrial.toml", environ={}), Run(id="bench", root=folder), emit=watch)
        harness.open()
        stack.callback(harness.close)
        harness.require(["db"])
        app = create_engine(harness.resources["db"].plan.address.url("pysqlite"))
        stack.callback(app.dispose)

        def begin() -> None:
            harness.begin(Test(), {"db": "reset"}, ["db"])

        if self.where == "WAL":
            begin()
            _set_wal(app)
            harness.end()
        made = Peer(
            name="Seatrial reset",
            does="the app's pool writes and commits; on SQLite the template's pages are written over",
            before=begin,
            work=_by(app),
            after=harness.end,
        )
        made.settle = watch.paths.clear
        made.checked_in = lambda: watch.milliseconds
        made.tidy = lambda: made.paths.update(watch.paths)
        return made


def _theirs(folder: Path, metadata: Any, stack: ExitStack, *, wal: bool) -> list[Peer]:
    """Those of PostgreSQL's that make sense."""
    from sqlalchemy import create_engine

    found = []
    for name in ("delete", "create"):
        engine = create_engine(f"sqlite:///{folder / name}.db")
        stack.callback(engine.dispose)
        if wal:
            _set_wal(engine)
        found.append(engine)
    deleting, creating = found
    metadata.create_all(deleting)
    script = [f"delete from {table.name}" for table in metadata.sorted_tables]

    def delete() -> None:
        with deleting.begin() as connection:
            for statement in script:
                connection.exec_driver_sql(statement)

    return [
        Peer(
            name="DELETE of all tables",
            does="DELETEs in one transaction; ids run on",
            work=_by(deleting),
            after=delete,
            tests=5,
        ),
        Peer(
            name="create_all, drop_all",
            does="SQLAlchemy's, around each test",
            before=lambda: metadata.create_all(creating),
            work=_by(creating),
            after=lambda: metadata.drop_all(creating),
            tests=1,
        ),
    ]


def _set_wal(engine: Any) -> None:
    with engine.connect() as connection:
        connection.exec_driver_sql("pragma journal_mode = wal")  # the file keeps it


def _by(engine: Any) -> Callable[[], None]:
    def work() -> None:
        with engine.begin() as connection:
            workloads.six(connection.exec_driver_sql)

    return work
