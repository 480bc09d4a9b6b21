"""One case of the benchmark: so many tables and seeded rows, here or there; a server for Seatrial, one for its peers."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psycopg

from seatrial.resources import resolve
from seatrial.resources.kinds.postgres import Postgres
from seatrial.resources.protocol import Address, Endpoint, Requirements

from . import workloads
from .places import DISK, Place

MAIN = "main"
"""The process that makes what the workers of a scene share; it must be ready before they start."""
PLAIN = "plain"
"""A database with the schema, and the seeded rows, that peers clone."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Scene:
    """Where the peers of one case work."""

    place: Place
    tables: int
    rows: int
    folder: Path
    """The project."""
    server: Endpoint
    """The peers': the same binaries and settings, and a log of its own, which our reading is spared."""
    metadata: Any
    run: str = "bench"
    worker: str = MAIN

    @property
    def column(self) -> str:
        """The title of its figures."""
        rows = f", {self.rows:,} rows" if self.rows else ""
        return f"{self.tables} tables{rows}{', on disk' if self.place.name == DISK else ''}"

    def address(self, database: str) -> Address:
        """A database on the peers' server."""
        admin = self.server.admin
        login = {"user": admin.user, "password": admin.password}
        return Address(scheme="postgresql", host=admin.host, port=admin.port, database=database, **login)

    def connect(self, database: str) -> psycopg.Connection[Any]:
        """A connection that commits by itself."""
        return psycopg.connect(self.address(database).url(), autocommit=True)

    def own(self, peer: str) -> str:
        """A database of one peer's own, made like `PLAIN`; returns its name."""
        name = f"{peer}_{self.worker}"
        with self.connect("postgres") as admin:
            admin.execute(f"drop database if exists {name} with (force)")
            admin.execute(f"create database {name} template {PLAIN} strategy file_copy")
        return name


@contextmanager
def scene(place: Place, tables: int, rows: int, *, project: str = "", worker: str = MAIN) -> Iterator[Scene]:
    """Write the project, start the peers' server, make their database; a worker finds these.

    Args:
        place: where the data is.
        tables: without the seeded one.
        rows: of the seeded table.
        project: tells projects of the same size apart: each has servers of its own.
        worker: which process of the run this is.
    """
    from seatrial.core.importing import import_object

    name = f"tables_{tables}_{rows}_{place.name.replace(' ', '_')}_{project}".strip("_")
    folder, theirs = place.root / name, place.root / f"{name}_peers"
    with ExitStack() as stack:
        if worker == MAIN:
            _write(folder, name, tables, rows)
            theirs.mkdir()
        with place.entered():
            spec = Postgres().spec(Requirements.of(project=theirs))
            server = resolve.resolve(spec).provider.reserve(spec)
            stack.callback(server.release)
            server.start()
        made = Scene(
            place=place,
            tables=tables,
            rows=rows,
            folder=folder,
            server=server.endpoint,
            metadata=import_object(f"{name}:metadata", folder),
            worker=worker,
        )
        if worker == MAIN:
            _fill(made)
        yield made


def _write(folder: Path, name: str, tables: int, rows: int) -> None:
    folder.mkdir()
    (folder / f"{name}.py").write_text(workloads.module(tables, rows))
    (folder / "seed.sql").write_text(workloads.SEED.format(rows=rows))
    seed = 'seed = "seed.sql"\n' if rows else ""
    (folder / "seatrial.toml").write_text(f'[resources.db]\nkind = "postgres"\nschema = "{name}:metadata"\n{seed}')


def _fill(scene: Scene) -> None:
    from sqlalchemy import create_engine

    with scene.connect("postgres") as admin:
        admin.execute(f"create database {PLAIN}")
    engine = create_engine(scene.address(PLAIN).url("psycopg"))
    scene.metadata.create_all(engine)
    if scene.rows:
        with engine.begin() as connection:
            connection.exec_driver_sql(workloads.SEED.format(rows=scene.rows))
    engine.dispose()
    with scene.connect(PLAIN) as connection:
        connection.execute("vacuum (freeze, analyze)")
