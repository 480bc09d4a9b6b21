"""Servers lent to suites that were written for other tools: each its own, gone when it is given back."""

from __future__ import annotations

import secrets
from typing import TYPE_CHECKING
from urllib.parse import quote

from seatrial.core import ports
from seatrial.resources import registry
from seatrial.resources.protocol import Requirements, Server, SupportsVacant
from seatrial.resources.resolve import resolve

if TYPE_CHECKING:
    from seatrial.adapters.protocol import Wanted
    from seatrial.config.model import Config

HOST = "127.0.0.1"


class Loans:
    """Lends servers of the kinds that the configuration has, or could have.

    Args:
        config: its first resource of a kind says version, provider and extensions.
    """

    def __init__(self, config: Config) -> None:
        self._config = config
        self._lent: list[Lent] = []

    def lend(self, wanted: Wanted) -> Lent:
        """A server with this user and this empty database.

        Raises:
            ProviderError: no server of the kind can be had.
        """
        kind = registry.kind(wanted.kind)
        like = next((each for each in self._config.resources if each.kind == wanted.kind), None)
        held = ports.choose(secrets.token_hex(8), ())
        login = f"{quote(wanted.user, safe='')}:{quote(wanted.password, safe='')}"
        requirements = Requirements(
            project=self._config.root,
            version=like.version if like else "",
            extensions=like.extensions if like else (),
            durable=like.durable if like else False,
            at=f"{wanted.scheme}://{login}@{HOST}:{held.port}/{quote(wanted.database, safe='')}",
            idle=0,
        )
        spec = kind.spec(requirements)
        try:
            server = resolve(spec, name=like.provider if like else "").provider.reserve(spec)
        finally:
            held.close()  # not before: the server holds it, too, now
        try:
            server.start()
            store = kind.open(server.endpoint, spec)
            try:
                if isinstance(store, SupportsVacant) and wanted.database != server.endpoint.admin.database:
                    store.vacant(wanted.database)
            finally:
                store.close()
        except BaseException:
            server.release()
            raise
        lent = Lent(server, held.port, wanted)
        self._lent.append(lent)
        return lent

    def close(self) -> None:
        """Take back what nobody has given back."""
        while self._lent:
            self._lent.pop().close()


class Lent:
    """One server that is lent. Implements `Loan`."""

    def __init__(self, server: Server, port: int, wanted: Wanted) -> None:
        self.host = HOST
        self.port = port
        self._wanted = wanted
        self._server: Server | None = server

    def run(self, sql: str, database: str) -> None:
        """Run a statement there."""
        import psycopg

        wanted = self._wanted
        with psycopg.connect(
            host=self.host, port=self.port, user=wanted.user, password=wanted.password, dbname=database,
            autocommit=True,
        ) as connection:  # fmt: skip
            connection.execute(sql.encode())

    def log(self) -> str:
        """The end of the server's log."""
        return self._server.log_tail() if self._server is not None else ""

    def close(self) -> None:
        """Give it back."""
        server, self._server = self._server, None
        if server is not None:
            server.release()
