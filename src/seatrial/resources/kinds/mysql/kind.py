"""MySQL and MariaDB as kinds: what server they want, where its copies are, and how to open their store."""

from __future__ import annotations

import importlib.util
from collections.abc import Mapping
from dataclasses import dataclass, replace
from types import MappingProxyType
from typing import TYPE_CHECKING, ClassVar
from urllib.parse import unquote, urlsplit

from seatrial.errors import ConfigError
from seatrial.resources.kinds.mysql.connection import OWNER, SCHEME, SYSTEM
from seatrial.resources.kinds.mysql.places import encryption
from seatrial.resources.protocol import Address, AdoptionCandidate, Requirements, ServerSpec, Shell
from seatrial.resources.sharing import budget

if TYPE_CHECKING:
    from seatrial.resources.kinds.mysql.audit import Audit
    from seatrial.resources.kinds.mysql.store import MySQLStore
    from seatrial.resources.protocol import Endpoint

PORT = 3306
_SCHEMES = ("mysql", "mariadb")
_FOLDERS = (
    "/usr/sbin",
    "/usr/local/sbin",
    "/usr/libexec",
    "/usr/local/mysql/bin",
    "/opt/homebrew/opt/m*/bin",
    "/usr/local/opt/m*/bin",
)
_LIBRARIES = MappingProxyType(
    {"sync": {"pymysql": "pymysql", "mysqldb": "MySQLdb"}, "async": {"asyncmy": "asyncmy", "aiomysql": "aiomysql"}}
)
"""SQLAlchemy's drivers by style, the best first, each with the module that it needs."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Brand:
    """What MySQL and MariaDB differ in, as kinds; what their servers differ in, these tell themselves."""

    name: str
    executables: tuple[str, ...]
    clients: tuple[str, ...]
    """Programs that somebody talks to it with, the best first."""


MYSQL = Brand(name="mysql", executables=("mysqld", "mariadbd"), clients=("mysql", "mariadb"))
MARIADB = Brand(name="mariadb", executables=("mariadbd", "mysqld"), clients=("mariadb", "mysql"))


class MySQL:
    """MySQL 8.0 and later, or MariaDB 10.5 and later. Implements `Kind`."""

    env = "DATABASE_URL"
    options: ClassVar[Mapping[str, str]] = budget.OPTIONS
    impossible: ClassVar[Mapping[str, str]] = MappingProxyType(
        {"rollback": "the commits of MySQL's drivers can't be intercepted"}
    )

    def __init__(self, brand: Brand = MYSQL) -> None:
        self._brand = brand
        self.name = brand.name
        self.drivers: Mapping[str, str] = MappingProxyType({style: _installed(style) for style in _LIBRARIES})

    def spec(self, requirements: Requirements) -> ServerSpec:
        """What server is wanted.

        Raises:
            ConfigError: `at` is not the address of a database, or a budget is too small for one worker.
        """
        from seatrial.resources.kinds.mysql.program import MySQLProgram
        from seatrial.resources.kinds.mysql.sharing import shares

        budget.read(requirements.options, shares.OWN)
        if requirements.extensions:
            raise ConfigError(
                f"a {self.name} resource has no `extensions` ({', '.join(requirements.extensions)})",
                cause="they are a matter of PostgreSQL",
                fix="remove `extensions`",
            )
        return replace(
            requirements.server(self.name),
            at=_at(requirements.at) if requirements.at else None,
            program=MySQLProgram(self._brand.executables, self.name),
            folders=_FOLDERS,
            url_needs=("host", "user"),
            url_form="mysql://USER:PASSWORD@HOST:PORT",
            url_schemes=_SCHEMES,
            url_check=encryption.refuse_lost,
            # On a server of our own there is no budget, and so nothing that makes one differ from another.
            data=requirements.options if requirements.url else {},
        )

    def copy_address(self, endpoint: Endpoint, spec: ServerSpec, name: str, role: str = "") -> Address:
        """The address of the copy `name`: of the database of `at`, where that is given, whatever `name` says."""
        del role  # `open` refuses one
        admin, at = endpoint.admin, spec.at
        user, password, host, port = OWNER, admin.password, admin.host, admin.port
        if not endpoint.owned:
            user = admin.user
        elif at is not None:
            host, port = at.host, at.port
            user, password = (at.user, at.password) if at.user else (OWNER, admin.password)
        return Address(
            scheme=SCHEME,
            host=host,
            port=port,
            user=user,
            password=password,
            database=at.database if at else name,
        )

    def open(self, endpoint: Endpoint, spec: ServerSpec, role: str = "") -> MySQLStore:
        """Connect to a running server."""
        from seatrial.resources.kinds.mysql.store import MySQLStore

        if role:
            raise ConfigError(
                f'a {self.name} resource has no `role` ("{role}")',
                cause="an app that connects as another user than its migrations is not built for MySQL and MariaDB yet",
                fix="remove `role`",
            )
        return MySQLStore(endpoint, spec, lambda name: self.copy_address(endpoint, spec, name))

    def auditor(self, endpoint: Endpoint, address: Address, *, alone: bool) -> Audit:
        """The audit of the copy at `address`."""
        from seatrial.resources.kinds.mysql.audit import Audit

        del alone  # the state of the whole server is not read
        return Audit(endpoint, address.database)

    def shell(self, address: Address) -> Shell:
        """Its client, or a prompt of our own on PyMySQL."""
        from seatrial.resources.kinds.mysql.by_hand.shell import shell

        return shell(address, self._brand.clients)

    def adoption_candidate(self, endpoint: Endpoint) -> AdoptionCandidate:
        """The database of the URL, looked at before it is adopted.

        Raises:
            ServerLost: the server does not take connections.
        """
        from seatrial.resources.kinds.mysql.by_hand.adopt import adoption_candidate

        return adoption_candidate(endpoint)


def mariadb() -> MySQL:
    """MariaDB, by its own name and version."""
    return MySQL(MARIADB)


def _installed(style: str) -> str:
    """The first of its drivers that can be imported; where there is none, the first, for the error to name."""
    drivers = _LIBRARIES[style]
    found = (driver for driver, module in drivers.items() if importlib.util.find_spec(module) is not None)
    return next(found, next(iter(drivers)))


def _at(url: str) -> Address:
    parts = urlsplit(url)
    database = unquote(parts.path.strip("/"))
    scheme = parts.scheme.partition("+")[0]
    causes = {
        f'it begins with "{scheme}"': scheme not in _SCHEMES,
        "it needs a host and the name of a database": not parts.hostname or not database,
        f'the server itself needs the database "{database}"': database in SYSTEM,
    }
    for cause, there in causes.items():
        if there:
            raise ConfigError(
                "`at` is not the address of a MySQL or MariaDB database for tests",
                cause=cause,
                fix='at = "mysql://test:test@localhost:3306/testdb"',
            )
    return Address(
        scheme=SCHEME,
        host=parts.hostname or "",
        port=parts.port or PORT,
        user=unquote(parts.username or ""),
        password=unquote(parts.password or ""),
        database=database,
    )
