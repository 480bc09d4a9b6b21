"""What a seed function gets for its parameter: told by the annotation, else by the name."""

from __future__ import annotations

import contextlib
import inspect
from collections.abc import AsyncIterator, Callable, Iterator, Mapping
from typing import Any, get_type_hints

from seatrial.core import wait
from seatrial.errors import ConfigError
from seatrial.resources.first_state import OWN
from seatrial.resources.protocol import Target

_BY_NAME: Mapping[str, str] = {
    "session": "Session",
    "db": "Session",
    "db_session": "Session",
    "conn": "Connection",
    "connection": "Connection",
    "engine": "Engine",
    "url": "str",
    "dsn": "str",
    "db_url": "str",
    "database_url": "str",
}
_ASYNC: Mapping[str, str] = {"Session": "AsyncSession", "Connection": "AsyncConnection", "Engine": "AsyncEngine"}
_SQLALCHEMY = ("sqlalchemy", "sqlmodel")


def call(function: Callable[..., Any], target: Target, drivers: Mapping[str, str]) -> None:
    """Call `function` with what it asks for, and wait for it if it is asynchronous.

    For a kind that SQLAlchemy does not know (no `drivers`) that is the URL, or the kind's plain client.
    What it wrote to a session or a connection of ours and did not commit is committed.
    Raises `ConfigError` for parameters that say nothing to us, and whatever the function raises.
    """
    kind, library = _wanted(function, plain=not drivers)
    if kind.startswith("Async"):
        wait.finish(_call_with_async(function, kind, target.address.url(drivers["async"])))
        return
    with _supply(kind, library, target, drivers) as given:
        result = function(*given)
        if inspect.isawaitable(result):
            wait.finish(result)
            if given and hasattr(given[0], "commit"):
                given[0].commit()


def _wanted(function: Callable[..., Any], *, plain: bool = False) -> tuple[str, str]:
    """The name of the type to give, and the library that it is from; empty for none. `plain`: a client, or the URL."""
    required = [
        parameter
        for parameter in inspect.signature(function).parameters.values()
        if parameter.default is parameter.empty
        and parameter.kind not in (parameter.VAR_POSITIONAL, parameter.VAR_KEYWORD)
    ]
    if not required:
        return "", ""
    if len(required) == 1:
        parameter = required[0]
        try:
            hint = get_type_hints(function).get(parameter.name)
        except Exception:  # noqa: BLE001 - a name that only a type checker knows: the annotation's text must do
            hint = None
        kind = getattr(hint, "__name__", "") or str(parameter.annotation).rpartition(".")[2].strip("'\"")
        library = (getattr(hint, "__module__", "") or "").partition(".")[0]
        if plain:
            return ("str" if "str" in (kind, _BY_NAME.get(parameter.name)) else "Connection"), ""
        if kind in {*_BY_NAME.values(), *_ASYNC.values()}:
            return kind, library
        kind = _BY_NAME.get(parameter.name, "")
        if kind:
            return (_ASYNC.get(kind, kind) if inspect.iscoroutinefunction(function) else kind), ""
    names = ", ".join(parameter.name for parameter in required)
    raise ConfigError(
        f"the seed function {function.__name__}({names}) has parameters that Seatrial can't fill in",
        cause="it may have one parameter at most, whose annotation (Session, AsyncSession, Connection, Engine, str) or "
        "name (session, db, connection, engine, url) says what to pass",
        fix=f"write def {function.__name__}(session): ...",
    )


@contextlib.contextmanager
def _supply(kind: str, library: str, target: Target, drivers: Mapping[str, str]) -> Iterator[tuple[Any, ...]]:
    address = target.address
    if not kind:
        yield ()
    elif kind == "str":
        yield (address.url(),)
    elif kind == "Connection" and library not in _SQLALCHEMY:
        connection = target.connect()
        with contextlib.closing(connection) if hasattr(connection, "close") else contextlib.nullcontext():
            yield (connection,)
            if hasattr(connection, "commit"):
                connection.commit()
    else:
        from sqlalchemy import NullPool, create_engine

        engine = create_engine(address.url(drivers["sync"]), poolclass=NullPool, execution_options={OWN: True})
        try:
            if kind == "Engine":
                yield (engine,)
            elif kind == "Connection":
                with engine.connect() as connected:
                    yield (connected,)
                    connected.commit()
            else:
                with _session_class(library)(engine) as session:
                    yield (session,)
                    session.commit()
        finally:
            engine.dispose()


async def _call_with_async(function: Callable[..., Any], kind: str, url: str) -> None:
    async with _supply_async(kind, url) as given:
        await function(given)


@contextlib.asynccontextmanager
async def _supply_async(kind: str, url: str) -> AsyncIterator[Any]:
    from sqlalchemy import NullPool
    from sqlalchemy.ext.asyncio import AsyncSession, create_async_engine

    engine = create_async_engine(url, poolclass=NullPool, execution_options={OWN: True})
    try:
        if kind == "AsyncEngine":
            yield engine
        elif kind == "AsyncConnection":
            async with engine.connect() as connection:
                yield connection
                await connection.commit()
        else:
            async with AsyncSession(engine) as session:
                yield session
                await session.commit()
    finally:
        await engine.dispose()


def _session_class(library: str) -> Any:
    """SQLModel's own Session has `exec`; a function that is annotated with it uses that."""
    if library == "sqlmodel":
        import sqlmodel

        return sqlmodel.Session
    from sqlalchemy.orm import Session

    return Session
