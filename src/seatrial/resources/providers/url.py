"""A server that somebody else runs: nothing is started, nothing ended, and what is on it is sacred."""

from __future__ import annotations

import socket
from collections.abc import Collection, Mapping
from typing import ClassVar
from urllib.parse import unquote, urlsplit

from seatrial.core import wait
from seatrial.core.redact import redact
from seatrial.errors import ConfigError, ProviderError
from seatrial.resources.protocol import Address, Endpoint, Program, ServerSpec
from seatrial.resources.protocol.servers import URL_FORM
from seatrial.resources.providers.fit import satisfies

_PATIENCE = 10.0
"""Seconds for a server that is just coming up, as beside a service container on CI."""


class Url:
    """`protocol.Provider`: the server of the spec's `url`."""

    name: ClassVar[str] = "url"

    def probe(self, spec: ServerSpec) -> str | None:
        """Why there is no server to use, or None."""
        return None if spec.url else "the configuration has no `url`"

    def reserve(self, spec: ServerSpec, port: int = 0) -> UrlServer:  # noqa: ARG002 - the protocol's
        """Read the URL; the port is its own. Connects to nothing.

        Raises:
            ConfigError: it is not the URL of a server, or says what connections to others beside it would not know.
        """
        admin = parse(spec.url, spec.url_needs, spec.url_form)
        scheme = urlsplit(spec.url).scheme.partition("+")[0]
        if spec.url_schemes and scheme not in spec.url_schemes:
            raise ConfigError(
                redact(f"`url` is not the address of a {spec.kind} server: {spec.url}"),
                cause=f'it begins with "{scheme}"',
                fix=f"write it as {spec.url_form}, or change `kind`",
            )
        spec.url_check(spec.url)
        endpoint = Endpoint(kind=spec.kind, provider=self.name, version="", admin=admin, owned=False)
        return UrlServer(endpoint, spec)


class UrlServer:
    """`protocol.Server`: it runs, or it does not; that is not ours to change."""

    def __init__(self, endpoint: Endpoint, spec: ServerSpec) -> None:
        self._endpoint = endpoint
        self._spec = spec
        self._started = False

    @property
    def endpoint(self) -> Endpoint:
        """Where it answers; its version is known once it has."""
        return self._endpoint

    def start(self) -> bool:
        """Wait up to 10 s until it answers; always True, since it is not ours. Nobody waits for a name that is unknown.

        Raises:
            ProviderError: it does not, or it refuses us; in its own words.
        """
        program = self._spec.program
        assert program is not None, "a kind without a server needs no provider"
        if not self._started:
            patience = 0.0 if _is_unknown(self._endpoint.admin) else _PATIENCE
            wait.until(lambda: program.answers(self._endpoint), timeout=patience, every=0.05)
            self._endpoint = self._known(program)
            self._started = True
        return True

    def alive(self) -> bool:
        """Whether it has answered once; whether it still would takes a round trip."""
        return self._started

    def log_tail(self, since: int = 0) -> str:  # noqa: ARG002 - the protocol's
        """Empty: its log is out of our reach."""
        return ""

    def log_size(self) -> int:
        """Zero: its log is out of our reach."""
        return 0

    def release(self) -> None:
        """Nothing is held."""

    def _known(self, program: Program) -> Endpoint:
        admin, old = self._endpoint.admin, self._endpoint
        version = program.asked_version(old)
        if not satisfies(version, self._spec.version):
            raise ProviderError(
                redact(f"the server of `url` is {old.kind} {version}: {admin.url()}"),
                cause=f"the configuration asks for version {self._spec.version}",
                fix="take another server, or change `version`",
            )
        return Endpoint(kind=old.kind, provider=old.provider, version=version, admin=admin, owned=False)


def parse(url: str, needs: Collection[str] = ("host", "user", "database"), form: str = URL_FORM) -> Address:
    """The address in a URL; a driver in its scheme ("postgresql+asyncpg") is left out.

    Raises:
        ConfigError: one of `needs` (a host, a user, a database) is missing.
    """
    try:
        parts = urlsplit(url)
        port = parts.port or 0
    except ValueError:  # whose words may have half of the password in them
        raise _unreadable(url, form) from None
    if "@" in url and "@" not in parts.netloc:
        raise _unreadable(url, form)
    scheme = scheme_of(url)
    database = unquote(parts.path.lstrip("/"))
    missing = [
        name
        for name, value in (("host", parts.hostname), ("user", parts.username), ("database", database))
        if name in needs and not value
    ]
    if missing:
        raise ConfigError(redact(f"`url` has no {', no '.join(missing)}: {url}"), fix=f"write it as {form}")
    return Address(
        scheme=scheme,
        host=parts.hostname or "",
        port=port or _PORTS.get(scheme, 0),
        user=unquote(parts.username or ""),
        password=unquote(parts.password or ""),
        database=database,
    )


def _is_unknown(admin: Address) -> bool:
    """Whether the host's name leads nowhere. A name server that does not answer may do so later."""
    if not admin.host or admin.host.startswith("/"):
        return False
    try:
        socket.getaddrinfo(admin.host, admin.port)
    except socket.gaierror as error:
        return error.errno == socket.EAI_NONAME
    except (OSError, UnicodeError):
        return False
    return False


def scheme_of(url: str) -> str:
    """What a URL begins with, without a driver, by the name that our own addresses have; may be empty."""
    before, found, _ = url.partition("://")
    scheme = before.partition("+")[0].lower() if found else ""
    return _SCHEMES.get(scheme, scheme)


def _unreadable(url: str, form: str) -> ConfigError:
    return ConfigError(
        redact(f"`url` is not a URL: {url}"),
        cause="its port is no number, or its password has a character that ends a host",
        fix=f"write it as {form}; in a password / is written %2F, ? is %3F, # is %23, @ is %40",
    )


_SCHEMES: Mapping[str, str] = {"postgres": "postgresql", "mariadb": "mysql", "valkey": "redis", "valkeys": "rediss"}
_PORTS: Mapping[str, int] = {"postgresql": 5432, "mysql": 3306, "redis": 6379, "rediss": 6379}
