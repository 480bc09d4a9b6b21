"""Steps are tried on a real SQLite and on a real PostgreSQL, at the address that the project would see."""

from __future__ import annotations

import contextlib
import itertools
import sys
import textwrap
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from seatrial.migrators.choose import Setting, choose, steps
from seatrial.resources.kinds.postgres import Postgres
from seatrial.resources.kinds.sqlite import SQLite
from seatrial.resources.protocol import Kind, Migrator, Requirements, Store, Target
from seatrial.resources.resolve import resolve

NUMBERS = itertools.count()


@dataclass
class Bench:
    """A project's folder, and a store in which its templates are built."""

    root: Path
    kind: Kind
    store: Store
    monkeypatch: pytest.MonkeyPatch
    notes: list[str]
    scheme: str
    inputs: tuple[str, ...] = ()
    run: str = ""

    def write(self, files: dict[str, str]) -> Bench:
        for name, text in files.items():
            path = self.root / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(textwrap.dedent(text).lstrip("\n"))
        return self

    def step(self, text: str, key: str = "schema") -> Migrator:
        return choose(text, self._setting(), key=key)

    def hash(self, *schema: str, seed: tuple[str, ...] = ()) -> str:
        return " ".join(step.hash() for step in steps(schema, seed, self._setting()))

    def _setting(self) -> Setting:
        return Setting(
            root=self.root,
            scheme=self.scheme,
            drivers=self.kind.drivers,
            inputs=self.inputs,
            run=self.run,
            note=self.notes.append,
        )

    def build(self, *steps: Migrator) -> Callable[[str], list[tuple[Any, ...]]]:
        """Make a template and a copy of it as a harness does; returns what runs a query on the copy."""
        number = next(NUMBERS)
        key, name = f"{number:064x}", f"db_{number}"

        def fill(target: Target) -> None:
            self.monkeypatch.setenv("DATABASE_URL", target.address.url())
            for step in steps:
                step.migrate(target)

        assert self.store.build(key, name, fill)
        copy = self.store.checkout(key, name)

        def query(sql: str) -> list[tuple[Any, ...]]:
            with contextlib.closing(copy.connect()) as connection:
                return connection.execute(sql).fetchall()

        return query

    def tables(self, *steps: Migrator) -> set[str]:
        catalog = {"sqlite": "sqlite_master where type = 'table'"}.get(
            self.scheme, "pg_tables where schemaname not in ('pg_catalog', 'information_schema')"
        )
        column = "name" if self.scheme == "sqlite" else "tablename"
        return {name for (name,) in self.build(*steps)(f"select {column} from {catalog}")}


@pytest.fixture(scope="session")
def cache(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    folder = tmp_path_factory.mktemp("cache")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("SEATRIAL_CACHE", str(folder))
        patch.setenv("SEATRIAL_IDLE", "1")
        yield folder


@pytest.fixture(scope="session")
def postgres_store(cache: Path) -> Iterator[Store]:
    kind = Postgres()
    spec = kind.spec(Requirements.of(project=cache))
    server = resolve(spec).provider.reserve(spec)
    server.start()
    store = kind.open(server.endpoint, spec)
    yield store
    store.close()
    server.release()


@pytest.fixture
def clean_imports(tmp_path: Path) -> Iterator[None]:
    """The modules of a made-up project are gone after its test."""
    before, path = set(sys.modules), list(sys.path)
    yield
    sys.path[:] = path
    for name, module in list(sys.modules.items()):
        if name not in before and (getattr(module, "__file__", None) or "").startswith(str(tmp_path)):
            del sys.modules[name]


@pytest.fixture
def sqlite(tmp_path: Path, cache: Path, monkeypatch: pytest.MonkeyPatch, clean_imports: None) -> Iterator[Bench]:
    kind = SQLite()
    spec = kind.spec(Requirements.of(project=tmp_path))
    with contextlib.closing(kind.open(kind.endpoint(spec), spec)) as store:
        yield Bench(tmp_path, kind, store, monkeypatch, [], "sqlite")


@pytest.fixture
def postgres(tmp_path: Path, postgres_store: Store, monkeypatch: pytest.MonkeyPatch, clean_imports: None) -> Bench:
    return Bench(tmp_path, Postgres(), postgres_store, monkeypatch, [], "postgresql")


@pytest.fixture(params=["sqlite", "postgres"])
def bench(request: pytest.FixtureRequest) -> Bench:
    return request.getfixturevalue(request.param)
