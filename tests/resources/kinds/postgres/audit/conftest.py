"""A server, and databases on it that nothing but the audit looks at."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from itertools import count
from typing import Any

import psycopg
import pytest
from psycopg import sql

from seatrial.resources.kinds.postgres.audit import Audit, Difference
from seatrial.resources.protocol import Endpoint

NUMBERS = count()


class Databases:
    """Databases on one server."""

    def __init__(self, endpoint: Endpoint) -> None:
        self.endpoint = endpoint
        self._made: list[str] = []

    def connect(self, name: str = "", **options: Any) -> psycopg.Connection[Any]:
        admin = self.endpoint.admin
        return psycopg.connect(replace(admin, database=name or admin.database).url(), **{"autocommit": True} | options)

    def make(self, script: str = "", template: str = "") -> str:
        name = f"audited_{next(NUMBERS)}"
        self._made.append(name)
        with self.connect() as admin:
            query = sql.SQL("create database {} template {}")
            admin.execute(query.format(sql.Identifier(name), sql.Identifier(template or "template1")))
        if script:
            with self.connect(name) as connection:
                connection.execute(script.encode())
        return name

    def watch(self, script: str, *, reference: bool = True, server: str | None = None, roles: Any = ()) -> Watch:
        return Watch(self, script, reference=reference, server=server, roles=roles)

    def drop(self) -> None:
        with self.connect() as admin:
            query = "select gid, database from pg_prepared_xacts where database = any(%s)"
            for gid, name in admin.execute(query, (self._made,)).fetchall():
                with self.connect(name) as inside:
                    inside.execute(sql.SQL("rollback prepared {}").format(sql.Literal(gid)))
            for name in self._made:
                admin.execute(sql.SQL("drop database if exists {} with (force)").format(sql.Identifier(name)))
        self._made.clear()


class Watch:
    """A database whose baseline is known."""

    def __init__(self, databases: Databases, script: str, *, reference: bool, server: str | None, roles: Any) -> None:
        self.databases = databases
        self.template = databases.make(script)
        self.name = databases.make(template=self.template)
        self.audit = Audit(
            self.connect,
            reference=(lambda: databases.connect(self.template)) if reference else None,
            server=(lambda: databases.connect(server)) if server is not None else None,
            roles=roles,
            settle=0.5,
        )
        self.baseline = self.audit.baseline()

    def connect(self) -> psycopg.Connection[Any]:
        return self.databases.connect(self.name)

    def renew(self) -> Watch:
        """The same database, made anew."""
        with self.databases.connect() as admin:
            admin.execute(f"drop database if exists {self.name} with (force)".encode())
            admin.execute(f"create database {self.name} template {self.template}".encode())
        return self

    def run(self, *scripts: str) -> None:
        with self.connect() as connection:
            for script in scripts:
                connection.execute(script.encode())

    def differences(self) -> tuple[Difference, ...]:
        return self.audit.differences(self.baseline)

    def found(self) -> set[tuple[str, str]]:
        return {(found.kind, found.name) for found in self.differences()}


@pytest.fixture(scope="session", params=["embedded", "old"])
def endpoint(request: pytest.FixtureRequest) -> Endpoint:
    """What the catalogs are called differs between versions: the audit must know both."""
    return request.getfixturevalue(request.param)


@pytest.fixture
def databases(endpoint: Endpoint) -> Iterator[Databases]:
    made = Databases(endpoint)
    yield made
    made.drop()


@pytest.fixture(scope="module")
def shared(endpoint: Endpoint) -> Iterator[Databases]:
    """The same, for the whole module."""
    made = Databases(endpoint)
    yield made
    made.drop()
