"""PostgreSQL as a kind: what server it wants, where its copies are, and how to open its store."""

from __future__ import annotations

from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING, Any, ClassVar
from urllib.parse import unquote, urlsplit

from seatrial.errors import ConfigError
from seatrial.resources.kinds.postgres.places import encryption
from seatrial.resources.kinds.postgres.places.wheels import WHEELS
from seatrial.resources.protocol import Address, AdoptionCandidate, Requirements, ServerSpec, Shell
from seatrial.resources.sharing import budget

if TYPE_CHECKING:
    from collections.abc import Mapping

    import psycopg

    from seatrial.resources.kinds.postgres.audit import Audit
    from seatrial.resources.kinds.postgres.store import PostgresStore
    from seatrial.resources.protocol import Endpoint

SCHEME = "postgresql"
_SCHEMES = (SCHEME, "postgres")
OWNER = "test"
"""The role that apps connect as on a server of ours; a superuser, as the POSTGRES_USER of the Docker image is."""
PORT = 5432


class Postgres:
    """PostgreSQL 14 and later. Implements `Kind`."""

    name: ClassVar[str] = "postgres"
    env: ClassVar[str] = "DATABASE_URL"
    drivers: ClassVar[Mapping[str, str]] = {"sync": "psycopg", "async": "asyncpg"}
    options: ClassVar[Mapping[str, str]] = {"locale": "icu:de-DE", **budget.OPTIONS}

    def spec(self, requirements: Requirements) -> ServerSpec:
        """What server is wanted; `own` are the keys of `options`.

        Raises:
            ConfigError: `at` is not the address of a PostgreSQL database, `locale` names none, or a budget is too
                small for one worker.
        """
        from seatrial.resources.kinds.postgres.locale import chosen
        from seatrial.resources.kinds.postgres.places.images import images
        from seatrial.resources.kinds.postgres.program import PostgresProgram
        from seatrial.resources.kinds.postgres.sharing import shares

        budget.read(requirements.options, shares.OWN)
        chosen.read(requirements.options)
        return replace(
            requirements.server(self.name),
            version=requirements.version or ">=14",
            at=address_of(requirements.at, "at") if requirements.at else None,
            program=PostgresProgram(),
            # A budget is no matter of which server of ours it is.
            data={key: value for key, value in requirements.options.items() if requirements.url or key == "locale"},
            wheels=WHEELS,
            url_schemes=_SCHEMES,
            url_check=encryption.refuse_lost,
            images=images(durable=requirements.durable),
            folders=("/usr/lib/postgresql/*/bin", "/usr/pgsql-*/bin", "/opt/homebrew/opt/postgresql*/bin"),
        )

    def copy_address(self, endpoint: Endpoint, spec: ServerSpec, name: str, role: str = "") -> Address:
        """The address of the copy `name`: of the database of `at`, where that is given, whatever `name` says.

        `role` is the role that the app connects as where the schema belongs to another.
        """
        owner = self._owner(endpoint, spec)
        return Address(
            scheme=SCHEME,
            host=owner.host,
            port=owner.port,
            user=role or owner.user,
            password=owner.password,
            database=spec.at.database if spec.at else name,
        )

    def open(
        self, endpoint: Endpoint, spec: ServerSpec, role: str = "", *, run: str = "", patience: float | None = None
    ) -> PostgresStore:
        """Connect to a running server. `run` names this run in the markers; `patience` is the fence's, in seconds.

        Raises:
            ServerLost: it does not take connections.
            Refused: our role may not create databases on a server that is not ours.
        """
        from seatrial.resources.kinds.postgres.reset.fence import PATIENCE
        from seatrial.resources.kinds.postgres.store import PostgresStore

        return PostgresStore(
            endpoint,
            spec,
            address=lambda name: self.copy_address(endpoint, spec, name, role),
            owner=self._owner(endpoint, spec),
            role=role,
            run=run,
            patience=PATIENCE if patience is None else patience,
        )

    def auditor(self, endpoint: Endpoint, address: Address, *, alone: bool) -> Audit:
        """The audit of the copy at `address`; of the server's roles as well, where nobody else uses it (`alone`)."""
        from seatrial.resources.kinds.postgres.audit import Audit
        from seatrial.resources.kinds.postgres.connection import FIRST_WITH_QUIET, release

        admin, old = endpoint.admin, 0 < release(endpoint) < FIRST_WITH_QUIET
        connect = partial(
            _quietly,
            "-c statement_timeout=0" + ("" if old else " -c event_triggers=off -c transaction_timeout=0"),
            host=admin.host,
            port=admin.port,
            user=admin.user,
            password=admin.password,
            dbname=address.database,
            application_name="seatrial: audit",
        )
        roles = None if alone and endpoint.owned else ()
        return Audit(connect, server=partial(connect, dbname=admin.database), roles=roles)

    def shell(self, address: Address) -> Shell:
        """psql, or a prompt of our own on psycopg."""
        from seatrial.resources.kinds.postgres.by_hand.shell import shell

        return shell(address)

    def adoption_candidate(self, endpoint: Endpoint) -> AdoptionCandidate:
        """The database of the URL, looked at before it is adopted.

        Raises:
            ServerLost: the server does not take connections.
        """
        from seatrial.resources.kinds.postgres.by_hand.adopt import adoption_candidate

        return adoption_candidate(endpoint)

    @staticmethod
    def _owner(endpoint: Endpoint, spec: ServerSpec) -> Address:
        """Who owns the schema, and where: the role of `at`, of `url`, or ours with the server's random password."""
        admin = endpoint.admin
        if not endpoint.owned:
            user, password, host, port = admin.user, admin.password, admin.host, admin.port
        elif spec.at:
            user, password, host, port = spec.at.user or OWNER, spec.at.password, spec.at.host, spec.at.port
        else:
            user, password, host, port = OWNER, admin.password, admin.host, admin.port
        return Address(scheme=SCHEME, host=host, port=port, user=user, password=password)


def _quietly(options: str, **where: Any) -> psycopg.Connection[Any]:
    """A connection that calls no event trigger for logins, as far as the server has such and our role may."""
    import psycopg

    try:
        return psycopg.connect(**where, options=options)
    except psycopg.OperationalError as error:
        if "event_triggers" not in str(error):
            raise
        return psycopg.connect(**where)


def address_of(url: str, key: str) -> Address:
    """The parts of a URL, whatever driver it names.

    Raises:
        ConfigError: it is not a URL of a PostgreSQL database.
    """
    parts = urlsplit(url)
    scheme = parts.scheme.split("+")[0]
    if scheme not in _SCHEMES or not parts.hostname or not parts.path.strip("/"):
        raise ConfigError(
            f"`{key}` is not the address of a PostgreSQL database",
            cause="it needs a host and the name of a database",
            fix=f'{key} = "postgresql://test:test@localhost:5432/testdb"',
        )
    return Address(
        scheme=SCHEME,
        host=parts.hostname,
        port=parts.port or PORT,
        user=unquote(parts.username or ""),
        password=unquote(parts.password or ""),
        database=unquote(parts.path.lstrip("/")),
    )
