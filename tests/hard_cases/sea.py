"""A real harness on a real PostgreSQL, driven test by test, with an audit after each."""

from __future__ import annotations

import sys
import textwrap
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

import psycopg

from seatrial import events
from seatrial.config.load import load
from seatrial.errors import SeatrialError
from seatrial.harness.compose import compose
from seatrial.harness.run import Run
from seatrial.resources.kinds.postgres.audit import Audit, Difference, Snapshot

HERE = Path(__file__).parent
MARKER = ": run was"
"""In the comment on a copy stands who holds it: another store, where the server was restarted."""

CONFIGURATION = """
[resources.db]
kind = "postgres"
schema = "schema.sql"
extensions = ["hstore"]
override = "hard_cases_app:get_db"

[resources.adb]
kind = "postgres"
schema = "schema.sql"
extensions = ["hstore"]
override = "hard_cases_app:get_adb"
env = "ADB_URL"

[resources.plain]
kind = "postgres"
schema = "schema.sql"
extensions = ["hstore"]
env = "PLAIN_URL"

[resources.large]
kind = "postgres"
schema = "large.sql"
env = "LARGE_URL"
"""

APP = """
import os
from sqlalchemy import create_engine
from sqlalchemy.ext.asyncio import async_sessionmaker, create_async_engine
from sqlalchemy.orm import sessionmaker

engine = create_engine(os.environ["DATABASE_URL"].replace("://", "+psycopg://"))
async_engine = create_async_engine(os.environ["ADB_URL"].replace("://", "+asyncpg://"))
SessionLocal = sessionmaker(engine)
AsyncSessionLocal = async_sessionmaker(async_engine)

def get_db():
    with SessionLocal() as session:
        yield session

async def get_adb():
    async with AsyncSessionLocal() as session:
        yield session
"""


@dataclass
class Test:
    """One test, as the harness sees it, and what came of it."""

    id: str
    failed: bool = False
    told: list[SeatrialError] = field(default_factory=list)
    events: list[events.Event] = field(default_factory=list)
    paths: dict[str, events.CheckedIn] = field(default_factory=dict)

    def add_cleanup(self, cleanup: Callable[[], None]) -> None:
        raise NotImplementedError

    def log(self, title: str, text: str) -> None:
        raise NotImplementedError

    def seen(self, kind: type[events.Event]) -> list[Any]:
        """What was reported of one kind."""
        return [event for event in self.events if isinstance(event, kind)]


class Sea:
    """One worker of one run, whose tests are the blocks of `one_test`."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        (folder / "seatrial.toml").write_text(CONFIGURATION)
        (folder / "hard_cases_app.py").write_text(textwrap.dedent(APP))
        for name in ("schema.sql", "large.sql"):
            (folder / name).write_text((HERE / name).read_text())
        self._reported: list[events.Event] = []
        config = load(folder / "seatrial.toml", environ={})
        self.harness = compose(config, Run.new(folder), emit=self._reported.append)
        self.harness.open()
        self._audits: dict[str, tuple[Audit, Snapshot]] = {}
        self._number = 0
        self.undone: list[str] = []
        """The path of each check-in, by which it was undone: whoever reads it empties it."""

    @property
    def app(self) -> Any:
        """The project's module, imported when the harness has exported its environment."""
        return sys.modules["hard_cases_app"]

    def url(self, resource: str = "db") -> str:
        """What the app reads."""
        return self.harness.url(resource)

    def connect(self, resource: str = "db", **options: Any) -> psycopg.Connection[Any]:
        """A connection that belongs to no pool."""
        return psycopg.connect(self.url(resource), autocommit=True, **options)

    @contextmanager
    def one_test(
        self, isolation: str = "reset", resource: str = "db", *more: str, leaves: Mapping[str, str] | None = None
    ) -> Iterator[Test]:
        """A test begins and ends; the audit then finds nothing but what `leaves` names (kind -> a word of it)."""
        needs = (resource, *more)
        self.start(*needs)
        self._number += 1
        test = Test(f"test_{self._number}")
        del self._reported[:]
        self.harness.begin(test, dict.fromkeys(needs, isolation), needs)
        try:
            yield test
        except BaseException:
            test.failed = True
            self.harness.end()
            raise
        test.told = self.harness.end()
        test.events = list(self._reported)
        test.paths = {event.resource: event for event in test.seen(events.CheckedIn)}
        self.undone += [test.paths[name].path for name in needs if name in test.paths]
        for name in needs:
            self.compare(name, leaves)

    @contextmanager
    def layer(self, name: str, resource: str, write: Callable[[], object]) -> Iterator[None]:
        """What `write` writes is the baseline of the block, as a fixture of wider scope would have it."""
        self.start(resource)
        owner, below = object(), self._audits[resource]
        self.harness.wider.before_layer()
        write()
        self.harness.wider.lay(owner, name)
        self._audits[resource] = below[0], below[0].baseline()
        try:
            yield
        finally:
            self.harness.wider.lift(owner, name)
            self._audits[resource] = below
        self.compare(resource)

    def close(self) -> None:
        """The run is over."""
        self.harness.close()
        if (getattr(sys.modules.get("hard_cases_app"), "__file__", None) or "").startswith(str(self.folder)):
            del sys.modules["hard_cases_app"]
        if str(self.folder) in sys.path:
            sys.path.remove(str(self.folder))

    def admin(self, resource: str, *, of_server: bool = False) -> psycopg.Connection[Any]:
        """As the server's superuser, in the copy of a resource, or in the database that no test has any part of."""
        managed = self.harness.resources[resource]
        endpoint = managed.plan.server.endpoint.admin
        return psycopg.connect(
            application_name="seatrial",  # as an audit of our own: it is led nowhere else
            host=endpoint.host,
            port=endpoint.port,
            user=endpoint.user,
            password=endpoint.password,
            dbname=endpoint.database if of_server else managed.plan.address.database,
            autocommit=True,
        )

    def start(self, *needs: str) -> None:
        """Have these resources ready, and know what they hold."""
        missing = [name for name in needs if name not in self._audits]
        self.harness.start(missing)
        for name in missing:
            if self.harness.resources[name].failure:
                raise self.harness.resources[name].failure
            audit = Audit(partial(self.admin, name), server=partial(self.admin, name, of_server=True), roles=None)
            self._audits[name] = audit, audit.baseline()

    def compare(self, resource: str, leaves: Mapping[str, str] | None = None, *, joined: bool = False) -> None:
        """See that the copy is at its baseline, but for what `leaves` names, and for the transaction of a joined test."""
        leaves = leaves or {}
        audit, baseline = self._audits[resource]
        found = [one for one in audit.differences(baseline) if MARKER not in str(one)]
        found = [one for one in found if not (joined and one.kind == "open transaction")]
        unexpected = [one for one in found if not _is_named(one, leaves)]
        if unexpected:
            self._start_anew(resource)
        assert not unexpected, f"{resource}:\n" + "\n".join(map(str, unexpected))
        kinds = {one.kind for one in found}
        assert kinds == set(leaves), f"{sorted(leaves)} were to be left, and {sorted(kinds)} are"

    def _start_anew(self, resource: str) -> None:
        """A difference fails one test, not all that follow."""
        managed = self.harness.resources[resource]
        managed._copy.renew()
        managed.sessions.invalidate()


def _is_named(one: Difference, leaves: Mapping[str, str]) -> bool:
    return one.kind in leaves and leaves[one.kind] in str(one)
