"""SQLAlchemy engines of our own: like the app's where it has one on this database, with pools of their own."""

from __future__ import annotations

import importlib.util
from collections.abc import Mapping
from pathlib import Path
from types import MappingProxyType
from typing import Any

from seatrial.core.ports import HERE
from seatrial.resources.first_state import OWN
from seatrial.resources.protocol import Address


def same_database(url: Any, address: Address) -> bool:
    """Whether a SQLAlchemy URL leads to the database at `address`, by whatever driver and role."""
    if _scheme(url) != address.scheme:
        return False
    if not address.host:
        return _file(url.database or "", url.query) == _file(address.database)
    host = url.host or _first(url.query.get("host", ""))
    port = url.port or int(_first(url.query.get("port", "")) or 0)
    if host.startswith("/"):
        host = ""
    same_host = host == address.host or (host in HERE and address.host in HERE)
    return same_host and (port or address.port) == address.port and (url.database or url.username) == address.database


def is_on(engine: Any, address: Address) -> bool:
    """Whether an engine (or None) connects to the database at `address`."""
    return engine is not None and same_database(engine.url, address)


def twin(engine: Any, pool: Any = None) -> Any:
    """An engine like `engine`: its dialect, its way to connect, its pool's listeners; a pool of its own.

    `pool` is that of `engine` where it has been set aside.

    Nothing is opened. Listeners for statements stay with the app's engine: what the test itself asks
    must not be counted as the app's.
    """
    from sqlalchemy.engine import Engine

    return Engine(
        (engine.pool if pool is None else pool).recreate(),
        engine.dialect,
        engine.url,
        echo=engine.echo,
        hide_parameters=engine.hide_parameters,
        execution_options={**engine.get_execution_options(), OWN: True},
    )


def engine_for(address: Address, drivers: Mapping[str, str], *, is_async: bool, like: Any = None) -> Any:
    """A sync `Engine` (for async drivers: the one inside an `AsyncEngine`) on `address`. Nothing is opened.

    `like` is an engine of the app's on some other database: its driver is taken if it is of the same kind.
    """
    url = address.url(_driver(address, drivers, is_async=is_async, like=like))
    if is_async:
        from sqlalchemy.ext.asyncio import create_async_engine

        return create_async_engine(url, execution_options={OWN: True}).sync_engine
    from sqlalchemy import create_engine

    return create_engine(url, execution_options={OWN: True})


def _driver(address: Address, drivers: Mapping[str, str], *, is_async: bool, like: Any) -> str:
    if like is not None and like.dialect.is_async == is_async and _scheme(like.url) == address.scheme:
        return str(like.dialect.driver)
    driver = drivers.get("async" if is_async else "sync", "")
    if is_async and driver == "asyncpg" and importlib.util.find_spec("asyncpg") is None:
        return drivers.get("sync", "")  # psycopg speaks both
    return driver


def _scheme(url: Any) -> str:
    """What the addresses of its database begin with: SQLAlchemy's "mariadb" speaks to a database of "mysql"."""
    name = str(url.get_backend_name())
    return "mysql" if name == "mariadb" else name


def _file(database: str, query: Mapping[str, Any] = MappingProxyType({})) -> str:
    """A key for a SQLite database: its URI without the scheme's noise, or its absolute path.

    SQLAlchemy takes the `query` of a URI off its `database`.
    """
    if database.startswith("file:"):
        name, _, more = database.removeprefix("file:").partition("?")
        asked = {*more.split("&"), *(f"{key}={value}" for key, value in query.items())}
        return f"{name}?{'memory' if asked & {'vfs=memdb', 'mode=memory'} else ''}"
    return str(Path(database).absolute()) if database not in ("", ":memory:") else ""


def _first(value: str | tuple[str, ...]) -> str:
    return value if isinstance(value, str) else value[0]
