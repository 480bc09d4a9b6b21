"""Makes the test's own session, and makes it as new: of the app's class, with the app's options, on our engine."""

from __future__ import annotations

from typing import Any

from seatrial.sessions.dependencies.style import Style

LIBRARIES = frozenset({"sqlalchemy", "sqlmodel"})


def make_session(style: Style, engine: Any) -> Any:
    """A new `Session` or `AsyncSession` on `engine` (always the sync one). Nothing is opened.

    A class of the app's whose `__init__` takes something else gives way to the library's class under it.
    """
    bind = _bind(style, engine)
    kind = style.session_class or _default(is_async=style.is_async)
    try:
        return kind(bind=bind, **style.options)
    except TypeError:
        theirs = next(each for each in kind.__mro__ if each.__module__.split(".")[0] in LIBRARIES)
        return theirs(bind=bind, **style.options)


def make_anew(session: Any, style: Style, engine: Any) -> None:
    """Let a session that is closed be what `make_session` would give, with its listeners and `info` gone."""
    vars(session).clear()
    session.__init__(bind=_bind(style, engine), **style.options)


def _bind(style: Style, engine: Any) -> Any:
    if not style.is_async:
        return engine
    from sqlalchemy.ext.asyncio import AsyncEngine

    return AsyncEngine(engine)


def _default(*, is_async: bool) -> type:
    if is_async:
        from sqlalchemy.ext.asyncio import AsyncSession

        return AsyncSession
    from sqlalchemy.orm import Session

    return Session
