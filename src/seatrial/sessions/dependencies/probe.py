"""Finds out what sessions the app's dependency yields, without opening a connection."""

from __future__ import annotations

import asyncio
import inspect
import sys
import threading
from collections.abc import Callable
from typing import Annotated, Any, get_args, get_origin

from seatrial.sessions.dependencies.style import Style
from seatrial.sessions.dependencies.wrap import flavour, signature

OPTIONS = ("expire_on_commit", "autoflush", "autobegin")
"""Options of a session that its object shows, and that its class takes, under the same name."""


def probe(dependency: Callable[..., Any]) -> Style:
    """What `dependency` yields or returns.

    It is driven to its first value and closed again: constructing a SQLAlchemy session does not connect. One
    that needs arguments (a request, other dependencies), or that fails, is judged by its annotation, and then
    by its flavour: an async one is taken to yield `AsyncSession`, any other `Session`.
    """
    if not _needs_arguments(dependency):
        try:
            return _look(dependency)
        except Exception as error:  # noqa: BLE001  # the app's own code may raise anything: then its annotation counts
            why = f"it raised {type(error).__name__} when it was tried"
    else:
        why = "it takes arguments"
    return _read_annotation(dependency, why)


def read(value: Any, how: str) -> Style:
    """The style of what a dependency yields."""
    session = actual_session(value)
    if session is None:
        return Style(
            sqlalchemy=False, is_async=_only_async(type(value)), how=f"{how}, which is a {type(value).__name__}"
        )
    sync = sync_session(session)
    options: dict[str, Any] = {name: getattr(sync, name) for name in OPTIONS if hasattr(sync, name)}
    is_async = sync is not session
    if is_async and type(sync) is not type(session).sync_session_class:
        options["sync_session_class"] = type(sync)
    return Style(
        sqlalchemy=True,
        is_async=is_async,
        session_class=type(session),
        options=options,
        bind=_engine(sync),
        routed=is_routed(sync),
        how=f"{how}, which {'makes' if is_factory(value) else 'is'} a {type(session).__name__}",
    )


def actual_session(value: Any) -> Any | None:
    """The Session or AsyncSession that `value` is, stands for, or makes; None for anything else."""
    orm = sys.modules.get("sqlalchemy.orm")
    if orm is None:
        return None
    aio = sys.modules.get("sqlalchemy.ext.asyncio")
    scoped = isinstance(value, orm.scoped_session) or (aio is not None and isinstance(value, aio.async_scoped_session))
    if scoped or is_factory(value):
        value = value()
    if isinstance(value, orm.Session) or (aio is not None and isinstance(value, aio.AsyncSession)):
        return value
    return None


def is_factory(value: Any) -> bool:
    """Whether it is a `sessionmaker` or an `async_sessionmaker`."""
    orm = sys.modules.get("sqlalchemy.orm")
    aio = sys.modules.get("sqlalchemy.ext.asyncio")
    return (orm is not None and isinstance(value, orm.sessionmaker)) or (
        aio is not None and isinstance(value, aio.async_sessionmaker)
    )


def sync_session(session: Any) -> Any:
    """The `Session` under an `AsyncSession`, or the session itself."""
    return getattr(session, "sync_session", session)


def engines_of(sync: Any) -> list[Any]:
    """The engines that a `Session` was given: its `bind`, and those of single mappers and tables."""
    # SQLAlchemy 2.1 shows the second kind as `binds`, 2.0 keeps it to itself.
    many = getattr(sync, "binds", None) or getattr(sync, "_Session__binds", None) or {}
    given = [bind.engine for bind in (sync.bind, *many.values()) if bind is not None]
    return list({id(engine): engine for engine in given}.values())


def picks_itself(sync: Any) -> bool:
    """Whether a `Session` has a `get_bind` of the app's, so that its engines can't be seen."""
    from sqlalchemy.orm import Session

    kinds = type(sync).__mro__
    return any("get_bind" in kind.__dict__ for kind in kinds[: kinds.index(Session)])


def is_routed(sync: Any) -> bool:
    """Whether a `Session` uses more than its `bind`."""
    return picks_itself(sync) or engines_of(sync) != ([sync.bind.engine] if sync.bind is not None else [])


def _engine(sync: Any) -> Any | None:
    bind = sync.bind
    return None if bind is None else bind.engine


def _needs_arguments(dependency: Callable[..., Any]) -> bool:
    gathered = (inspect.Parameter.VAR_POSITIONAL, inspect.Parameter.VAR_KEYWORD)
    for parameter in signature(dependency).parameters.values():
        if parameter.kind in gathered:
            continue
        if parameter.default is parameter.empty:
            return True
        if type(parameter.default).__module__.split(".")[0] == "fastapi":
            return True  # Depends(...), Query(...): a mark for the framework, not a value
    return False


def _look(dependency: Callable[..., Any]) -> Style:
    how = "found by running it"
    match flavour(dependency):
        case "generator":
            running = dependency()
            try:
                return read(next(running), how)
            finally:
                running.close()
        case "function":
            value = dependency()
            try:
                return read(value, how)
            finally:
                session = actual_session(value)
                if session is not None:
                    sync_session(session).close()  # it has not connected: an async one needs no loop either
        case _:
            return _on_a_private_loop(lambda: _look_async(dependency, how))


async def _look_async(dependency: Callable[..., Any], how: str) -> Style:
    if flavour(dependency) == "coroutine":
        value = await dependency()
        try:
            return read(value, how)
        finally:
            session = actual_session(value)
            if session is not None and sync_session(session) is not session:
                await session.close()
    running = dependency()
    try:
        return read(await running.__anext__(), how)
    finally:
        await running.aclose()


def _on_a_private_loop(work: Callable[[], Any]) -> Style:
    """Run `work()` where it can't meet a running loop, nor change which loop this thread has."""
    found: list[Style] = []
    raised: list[BaseException] = []

    def run() -> None:
        loop = asyncio.new_event_loop()
        try:
            found.append(loop.run_until_complete(work()))
            loop.run_until_complete(loop.shutdown_asyncgens())
        except BaseException as error:  # noqa: BLE001  # it is raised again, in the caller's thread
            raised.append(error)
        finally:
            loop.close()

    thread = threading.Thread(target=run, name="seatrial-probe")
    thread.start()
    thread.join()
    if raised:
        raise raised[0]
    return found[0]


def _read_annotation(dependency: Callable[..., Any], why: str) -> Style:
    named = _yielded(signature(dependency).return_annotation)
    orm = sys.modules.get("sqlalchemy.orm")
    aio = sys.modules.get("sqlalchemy.ext.asyncio")
    if isinstance(named, type):
        if aio is not None and issubclass(named, aio.AsyncSession):
            return Style(sqlalchemy=True, is_async=True, session_class=named, how=f"{why}; its annotation says so")
        if orm is not None and issubclass(named, orm.Session):
            return Style(sqlalchemy=True, is_async=False, session_class=named, how=f"{why}; its annotation says so")
        if named not in (object, Any):  # either says nothing
            told = f"{why}; it is annotated with {named.__name__}"
            return Style(sqlalchemy=False, is_async=_only_async(named), how=told)
    is_async = flavour(dependency) in ("coroutine", "async generator")
    # Its module has been imported: what it makes sessions with has, too.
    there = (aio if is_async else orm) is not None
    return Style(sqlalchemy=there, is_async=is_async, how=f"{why}, and has no annotation: taken by its flavour")


def _yielded(annotation: Any) -> Any:
    """`Session` from Session, Iterator[Session], AsyncGenerator[Session, None], Annotated[Session, ...]."""
    while True:
        annotation = getattr(annotation, "__value__", annotation)  # `type Alias = ...`
        origin = get_origin(annotation)
        if origin is None or not get_args(annotation):
            return annotation if annotation is not inspect.Signature.empty else None
        if origin is Annotated or (isinstance(origin, type) and hasattr(origin, "__iter__")) or _is_async_iter(origin):
            annotation = get_args(annotation)[0]
        else:
            return origin


def _only_async(kind: type) -> bool:
    """Whether a client is of use in coroutines only: it is entered by `async with`, and not by `with`."""
    return hasattr(kind, "__aenter__") and not hasattr(kind, "__enter__")


def _is_async_iter(origin: Any) -> bool:
    return isinstance(origin, type) and (hasattr(origin, "__aiter__") or hasattr(origin, "__await__"))
