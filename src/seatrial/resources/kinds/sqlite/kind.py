"""SQLite as a kind of resource: its addresses, and the folders of its files."""

from __future__ import annotations

import secrets
import sqlite3
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from types import MappingProxyType
from typing import ClassVar
from urllib.parse import unquote, urlsplit

from seatrial.core import folders
from seatrial.errors import ConfigError, ProviderError
from seatrial.resources.kinds.sqlite.audit import Audit
from seatrial.resources.kinds.sqlite.places import Memory
from seatrial.resources.kinds.sqlite.store import MEMORY, SQLiteStore, memory_name
from seatrial.resources.prompts import SqlPrompt
from seatrial.resources.protocol import Address, Endpoint, Requirements, ServerSpec, Shell

_NAMED_MEMORY = (3, 36, 0)
"""The SQLite from which connections share a database in memory by its name (release notes of 3.36.0)."""


class SQLite:
    """Databases in files of our own by default; in a file or in memory where `at` says so.

    Args:
        cache: the folder that lasts from run to run; by default the user's.
    """

    name: ClassVar[str] = "sqlite"
    env: ClassVar[str] = "DATABASE_URL"
    drivers: ClassVar[Mapping[str, str]] = MappingProxyType({"sync": "pysqlite", "async": "aiosqlite"})

    def __init__(self, cache: Path | None = None) -> None:
        self._chosen_cache = cache

    def spec(self, requirements: Requirements) -> ServerSpec:
        """What is wanted. Raises `ConfigError` for what only a server has."""
        if requirements.url:
            raise ConfigError(
                "a SQLite resource can't use a `url`",
                cause="there is no server to use, and your own database file is never written to",
                fix=f'remove `url`; to have our copy at a path, write at = "{requirements.url}"',
            )
        if requirements.extensions:
            raise ConfigError(
                f"a SQLite resource has no `extensions` ({', '.join(requirements.extensions)})",
                cause="extensions of SQLite are loaded by each connection, not by the database",
                fix="remove `extensions`, and load them where your app connects",
            )
        spec = requirements.server(self.name)
        if not requirements.at:
            return spec
        return replace(spec, at=Address(scheme=self.name, database=_database(requirements.at, requirements.project)))

    def endpoint(self, spec: ServerSpec) -> Endpoint:
        """The library in this process, and a folder for the copies of one run, which is made by `open`.

        Raises `ProviderError` where the library is too old for `spec`.
        """
        if spec.version and not _satisfies(spec.version):
            raise ProviderError(
                f'this Python has SQLite {sqlite3.sqlite_version}, and version = "{spec.version}" is wanted',
                cause="SQLite is a part of Python's own build, so there is no other to choose from",
                fix="run the tests with a Python that has it, or change `version`",
            )
        if spec.at is not None and spec.at.database == MEMORY and sqlite3.sqlite_version_info < _NAMED_MEMORY:
            raise ProviderError(
                f"SQLite {sqlite3.sqlite_version} can't share a database in memory between connections",
                cause="it can from 3.36 on",
                fix="remove `at`: the database is then in a file of its own",
            )
        # Durable means: on a disk. Otherwise in memory, where there is room.
        root = self._cache() / "run" if spec.durable else folders.instance(folders.cache().path, self.name).path
        run = root / f"sqlite-{secrets.token_hex(4)}"
        return Endpoint(
            kind=self.name,
            provider="embedded",
            version=sqlite3.sqlite_version,
            admin=Address(scheme=self.name, database=str(run)),
        )

    def copy_address(self, endpoint: Endpoint, spec: ServerSpec, name: str, role: str = "") -> Address:
        """The path of the copy `name`, or its name in memory; all copies have one address where `at` is given."""
        del role  # `open` refuses one
        run = Path(endpoint.admin.database)
        if spec.at is None:
            return Address(scheme=self.name, database=str(run / f"{name}.db"))
        return Memory(memory_name(run, name)).address if spec.at.database == MEMORY else spec.at

    def open(self, endpoint: Endpoint, spec: ServerSpec, role: str = "") -> SQLiteStore:
        """Templates and copies. Raises `Refused` where another run serves its copy at the same `at`."""
        if role:
            raise ConfigError(
                f'a SQLite resource has no `role` ("{role}")',
                cause="SQLite has no users and no privileges",
                fix="remove `role`",
            )
        at = "" if spec.at is None else spec.at.database
        return SQLiteStore(cache=self._cache(), run=Path(endpoint.admin.database), at=at)

    def auditor(self, endpoint: Endpoint, address: Address, *, alone: bool) -> Audit:
        """The audit of the copy at `address`."""
        del endpoint, alone
        return Audit(address.database)

    def shell(self, address: Address) -> Shell:
        """sqlite3, or a prompt of our own; a database in memory is this process's, and only the latter reaches it."""
        path, uri = address.database, address.database.startswith("file:")
        return Shell(
            commands=() if uri else (("sqlite3", path),),
            prompt=lambda: SqlPrompt(lambda: sqlite3.connect(path, uri=uri, isolation_level=None), sqlite3.Error),
        )

    def _cache(self) -> Path:
        return self._chosen_cache or folders.room("sqlite")


def _database(at: str, project: Path) -> str:
    """The database of a URL as SQLAlchemy writes it: an absolute path, or `MEMORY`."""
    parts = urlsplit(at)
    path = unquote(parts.path.removeprefix("/"))
    if parts.scheme.partition("+")[0] != "sqlite" or parts.netloc or path.startswith("file:"):
        raise ConfigError(
            f'at = "{at}" is no address of a SQLite database',
            fix='write at = "sqlite:///test.db" for a file, or at = "sqlite://" for a database in memory',
        )
    if path in ("", MEMORY):
        return MEMORY
    return str((project / path).resolve().parent / Path(path).name)


def _satisfies(requirement: str) -> bool:
    from packaging.specifiers import SpecifierSet

    return sqlite3.sqlite_version in SpecifierSet(requirement)
