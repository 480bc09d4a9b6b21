"""Drivers of PostgreSQL that are led to another socket, while the connections of a test are joined."""

from __future__ import annotations

from collections.abc import Callable
from types import ModuleType
from typing import Any, Protocol

from seatrial.patches.when_imported import WhenImported

PORT = 5432


class Ways(Protocol):
    """Where a connection to a database has to go."""

    def find(self, host: str, port: int, database: str, application: str = "") -> tuple[str, int] | None:
        """Give a socket's folder and port; None to let the connection be."""
        ...


class _Led:
    """What the three have in common: changed when their library is imported, and changed back."""

    name: str
    _module: str

    def __init__(self, ways: Ways) -> None:
        self._ways = ways
        self._watch = WhenImported(self._module, self._patch)
        self._undo: list[Callable[[], None]] = []

    def apply(self) -> None:
        """Change how the driver connects now, or as soon as it is imported."""
        if not self._undo:
            self._watch.install()

    def undo(self) -> None:
        """Leave the driver as it was found."""
        self._watch.remove()
        while self._undo:
            self._undo.pop()()

    def _patch(self, module: ModuleType) -> None:
        raise NotImplementedError

    def _lead(self, parameters: dict[str, Any]) -> dict[str, Any]:
        """Parameters as libpq has them, for the socket where there is one."""
        database = str(parameters.get("dbname") or parameters.get("user") or "")
        host, port = str(parameters.get("host") or ""), int(parameters.get("port") or PORT)
        way = self._ways.find(host, port, database, str(parameters.get("application_name") or ""))
        if way is None:
            return parameters
        left = {name: value for name, value in parameters.items() if name != "hostaddr"}
        return {**left, "host": way[0], "port": way[1]}


class LedPsycopg(_Led):
    """psycopg asks a method of the connection's class for its parameters, right before it connects."""

    name = "psycopg: connections of a rollback test join its transaction"
    _module = "psycopg"

    def _patch(self, module: Any) -> None:
        sync, asynchronous = module.Connection, module.AsyncConnection
        first = sync.__dict__["_get_connection_params"]
        second = asynchronous.__dict__["_get_connection_params"]

        def led(cls: Any, /, conninfo: str, **kwargs: Any) -> dict[str, Any]:
            return self._lead_one(first.__func__(cls, conninfo, **kwargs))

        async def led_async(cls: Any, /, conninfo: str, **kwargs: Any) -> dict[str, Any]:
            return self._lead_one(await second.__func__(cls, conninfo, **kwargs))

        sync._get_connection_params = classmethod(led)  # noqa: SLF001  # there for subclasses to change
        asynchronous._get_connection_params = classmethod(led_async)  # noqa: SLF001  # as above
        self._undo += [
            lambda: setattr(sync, "_get_connection_params", first),
            lambda: setattr(asynchronous, "_get_connection_params", second),
        ]

    def _lead_one(self, parameters: dict[str, Any]) -> dict[str, Any]:
        several = "," in str(parameters.get("host") or "") or "," in str(parameters.get("port") or "")
        return parameters if several else self._lead(parameters)


class LedAsyncpg(_Led):
    """asyncpg makes addresses and parameters from its arguments, in one function."""

    name = "asyncpg: connections of a rollback test join its transaction"
    _module = "asyncpg.connect_utils"

    def _patch(self, module: Any) -> None:
        parse = module._parse_connect_arguments  # noqa: SLF001  # the one place that all ways to connect pass

        def led(**arguments: Any) -> Any:
            addresses, parameters, *rest = parse(**arguments)
            first = addresses[0]
            host, port = ("", int(first.rpartition(".")[2])) if isinstance(first, str) else first[:2]
            way = self._ways.find(str(host), int(port), str(parameters.database or parameters.user or ""))
            if way is not None:
                addresses = [f"{way[0]}/.s.PGSQL.{way[1]}"]
            return (addresses, parameters, *rest)

        module._parse_connect_arguments = led  # noqa: SLF001  # as above
        self._undo.append(lambda: setattr(module, "_parse_connect_arguments", parse))


class LedPsycopg2(_Led):
    """psycopg2 makes one string of its arguments, and hands it to a function of its C half."""

    name = "psycopg2: connections of a rollback test join its transaction"
    _module = "psycopg2"

    def _patch(self, module: Any) -> None:
        connect = module._connect  # noqa: SLF001  # the one place that all ways to connect pass

        def led(dsn: str, *args: Any, **kwargs: Any) -> Any:
            asked = module.extensions.parse_dsn(dsn)
            parameters = self._lead(asked)
            return connect(dsn if parameters is asked else module.extensions.make_dsn(**parameters), *args, **kwargs)

        module._connect = led  # noqa: SLF001  # as above
        self._undo.append(lambda: setattr(module, "_connect", connect))
