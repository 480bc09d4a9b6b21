"""Picks the sessions of a resource: those of the app's dependency, SQLAlchemy's, or the driver's."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from importlib.util import find_spec
from typing import Any

from seatrial.errors import ConfigError
from seatrial.resources.protocol import Copy
from seatrial.sessions.connections.known import Engines
from seatrial.sessions.dependencies.probe import probe
from seatrial.sessions.dependencies.style import Style
from seatrial.sessions.detours import Detours
from seatrial.sessions.driver import DriverSessions
from seatrial.sessions.pools import Pools
from seatrial.sessions.protocol import Sessions


def open_sessions(
    copy: Copy,
    drivers: Mapping[str, str],
    dependency: Callable[..., Any] | None = None,
    *,
    uses_sqlalchemy: bool = False,
    is_async: bool = False,
    pools: Pools | None = None,
    detours: Detours | None = None,
    engines: Engines | None = None,
) -> Sessions:
    """The sessions of one copy. Opens no connection.

    Args:
        copy: the copy; its address is that of every later one in its place.
        drivers: `Kind.drivers`; empty for a kind that SQLAlchemy does not know.
        dependency: the app's own (`override`), which decides where it is given and yields a session.
        uses_sqlalchemy: whether the project uses SQLAlchemy (its `schema` is metadata, or a migration of it).
        is_async: whether the test's session is an `AsyncSession`, where no dependency tells.
        pools: the app's pools, to be told when their connections are stale.
        detours: where drivers are led that join a transaction; None where nobody leads them.
        engines: the app's engines that no dependency leads to; None where nobody is told of them.
    """
    style = Style(sqlalchemy=uses_sqlalchemy, is_async=is_async, how="no dependency is named")
    if dependency is not None:
        style = probe(dependency)
    if not (style.sqlalchemy and drivers):
        return DriverSessions(copy, pools, detours, is_async=style.is_async)
    if style.is_async:
        if find_spec("greenlet") is None:
            raise _no_greenlet(style)
        from seatrial.sessions.sqlalchemy_async import AsyncSessions

        return AsyncSessions(copy, drivers, style, dependency, pools, engines)
    from seatrial.sessions.sqlalchemy_sync import SyncSessions

    return SyncSessions(copy, drivers, style, dependency, pools, engines)


def _no_greenlet(style: Style) -> ConfigError:
    return ConfigError(
        "the test's session would be an AsyncSession of SQLAlchemy's, and greenlet is not installed",
        cause=f"SQLAlchemy's async half needs it; that the session is async was told by this: {style.how}",
        fix="pip install 'sqlalchemy[asyncio]'; where `override` names what yields no session of SQLAlchemy's, take it "
        "away",
    )
