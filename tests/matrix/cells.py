"""What a server lets each role do, tried out: an app writes and commits, and the copy gets back to its baseline."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psycopg
import psycopg2
from psycopg import sql
from tests.hard_cases.apps import Asyncpg, AsyncSqlAlchemy, Loop, Psycopg, Rows, SqlAlchemy
from tests.hard_cases.sea import APP, Test

from seatrial import events
from seatrial.config.load import load
from seatrial.errors import SeatrialError
from seatrial.harness.compose import compose
from seatrial.harness.run import Run
from seatrial.resources.kinds.postgres.naming import Marker
from seatrial.resources.protocol import Endpoint

OURS = "seatrial"
"""The database that Seatrial keeps for itself on a server that it did not start."""
DRIVERS = ("SQLAlchemy, psycopg", "SQLAlchemy, asyncpg", "psycopg", "psycopg2", "asyncpg")
MODES = ("reset", "rollback", "clone")
ROLES = ("superuser", "GRANTs", "CREATEDB")
SCHEMA = """
create table seeded (id serial primary key, v text);
insert into seeded (v) select 'v' || g from generate_series(1, 50) g;
create table empty (id int generated always as identity primary key, seeded_id int references seeded);
"""
WRITES = (
    "update seeded set v = 'changed' where id = 7",
    "delete from seeded where id = 9",
    "insert into seeded (v) values ('new')",
    "insert into empty (seeded_id) select max(id) from seeded returning id",
)
SEEN = "select string_agg(id || ' ' || v, ',' order by id), (select count(*) from empty) from seeded"
CONFIGURATION = """
[resources.{name}]
kind = "postgres"
url = "{url}"
schema = "schema.sql"
isolation = "reset"
env = "{variable}"
"""
RESOURCES = {"db": ("DATABASE_URL", "get_db"), "adb": ("ADB_URL", "get_adb"), "plain": ("PLAIN_URL", "")}
MODULE = "matrix_app"


@dataclass(frozen=True, slots=True, kw_only=True)
class Cell:
    """What was found for one role, mode and driver."""

    role: str
    mode: str
    driver: str
    path: str
    """"log", "scan", "clone", "rollback", or why it was refused."""


class Psycopg2:
    """A connection of psycopg2's for each piece of work."""

    def __init__(self, url: str) -> None:
        self._url = url

    def commit(self, *statements: str) -> Rows:
        connection = psycopg2.connect(self._url)
        try:
            with connection, connection.cursor() as cursor:
                for one in statements:
                    cursor.execute(one)
                return cursor.fetchall()
        finally:
            connection.close()

    def close(self) -> None: ...


def roles(endpoint: Endpoint) -> dict[str, str]:
    """A URL by role; those that are missing on the server are made, with the GRANTs that `seatrial doctor` prints."""
    admin = endpoint.admin
    made = {"superuser": admin.url()}
    with psycopg.connect(admin.url(), autocommit=True) as connection:
        version = connection.info.server_version
        connection.execute(sql.SQL("create database {}").format(sql.Identifier(OURS)))
        adopted = Marker(what="admin").text()
        connection.execute(sql.SQL("comment on database {} is {}").format(sql.Identifier(OURS), adopted))
        for name in ("granted", "plain"):
            home = f"{name}_home"
            connection.execute(f"create role {name} login createdb password 'secret'")
            connection.execute(f"create database {home} owner {name}")
            made["GRANTs" if name == "granted" else "CREATEDB"] = (
                f"postgresql://{name}:secret@{admin.host}:{admin.port}/{home}"
            )
        connection.execute("grant pg_read_server_files, pg_signal_backend to granted")
        if version >= 150000:
            connection.execute("grant set on parameter session_replication_role to granted")
    if version >= 150000:
        with psycopg.connect(admin.url().rpartition("/")[0] + f"/{OURS}", autocommit=True) as connection:
            connection.execute("create extension pg_walinspect")
    return made


def cells(role: str, url: str, folder: Path) -> Iterator[Cell]:
    """All drivers in all modes, as one role."""
    folder.mkdir()
    reported: list[Any] = []
    with _running(url, folder, reported) as harness:
        loop = Loop()
        apps = _apps(harness, loop)
        try:
            for driver, (resource, make) in apps.items():
                yield from _of_driver(harness, role, driver, resource, make, reported)
        finally:
            loop.close()


def _apps(harness: Any, loop: Loop) -> dict[str, tuple[str, Callable[[], Any]]]:
    url = harness.url("plain")
    return {
        "SQLAlchemy, psycopg": ("db", lambda: SqlAlchemy(sys.modules[MODULE].engine)),
        "SQLAlchemy, asyncpg": ("adb", lambda: AsyncSqlAlchemy(sys.modules[MODULE].async_engine, loop)),
        "psycopg": ("plain", lambda: Psycopg(url)),
        "psycopg2": ("plain", lambda: Psycopg2(url)),
        "asyncpg": ("plain", lambda: Asyncpg(url, loop)),
    }


@contextmanager
def _running(url: str, folder: Path, reported: list[Any]) -> Iterator[Any]:
    text = ""
    for name, (variable, dependency) in RESOURCES.items():
        text += CONFIGURATION.format(name=name, url=url, variable=variable)
        text += f'override = "{MODULE}:{dependency}"\n' if dependency else ""
    (folder / "seatrial.toml").write_text(text)
    (folder / "schema.sql").write_text(SCHEMA)
    (folder / f"{MODULE}.py").write_text(APP)
    harness = compose(load(folder / "seatrial.toml", environ={}), Run.new(folder), emit=reported.append)
    harness.open()
    try:
        yield harness
    finally:
        harness.close()
        sys.modules.pop(MODULE, None)
        if str(folder) in sys.path:
            sys.path.remove(str(folder))


def _of_driver(
    harness: Any, role: str, driver: str, resource: str, make: Callable[[], Any], reported: list[Any]
) -> Iterator[Cell]:
    harness.start([resource])
    failure = harness.resources[resource].failure
    if failure is not None:
        for mode in MODES:
            yield Cell(role=role, mode=mode, driver=driver, path=f"refused: {failure.what}")
        return
    app = make()
    try:
        before = app.commit(SEEN)
        for mode in MODES:
            path = _one(harness, resource, mode, app, reported)
            after = app.commit(SEEN)
            assert after == before, f"{role}, {mode}, {driver}: {before} became {after}"
            yield Cell(role=role, mode=mode, driver=driver, path=path)
    finally:
        app.close()


def _one(harness: Any, resource: str, mode: str, app: Any, reported: list[Any]) -> str:
    """Two tests, so that the second one proves where the first one has left the sequences."""
    paths = set()
    for _ in range(2):
        del reported[:]
        test = Test(f"test_{mode}")
        try:
            harness.begin(test, {resource: mode}, [resource])
        except SeatrialError as error:
            return f"refused: {error.what}"
        try:
            assert app.commit(*WRITES) == [(1,)], "a sequence does not start anew"
        finally:
            told = harness.end()
        assert told == [], f"{mode}: {told}"
        (checked,) = [one for one in reported if isinstance(one, events.CheckedIn) and one.resource == resource]
        assert checked.isolation == mode, checked.reason
        paths.add(checked.path)
    (path,) = paths
    return str(path)
