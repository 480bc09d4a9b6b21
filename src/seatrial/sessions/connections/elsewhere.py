"""Engines of ours for an app whose own lead elsewhere: one a loop, whose stale connections are not lent again."""

from __future__ import annotations

import asyncio
import weakref
from collections.abc import Callable
from typing import Any

from seatrial.sessions.connections.on_loop import OnLoop

GENERATION = "seatrial_generation"


class LoopEngines:
    """One async engine for each event loop that asks."""

    def __init__(self, make: Callable[[], Any]) -> None:
        self._make = make
        self._engines: weakref.WeakKeyDictionary[asyncio.AbstractEventLoop, tuple[Any, OnLoop]] = (
            weakref.WeakKeyDictionary()
        )
        self._generation = 0

    def get(self) -> Any:
        """The engine (the sync one) of the running loop."""
        loop = asyncio.get_running_loop()
        if loop not in self._engines:
            self._engines[loop] = self._open()
        return self._engines[loop][0]

    def invalidate(self) -> None:
        """Connections that exist now are replaced when they are next asked for, on their own loop."""
        self._generation += 1

    def close(self) -> None:
        """Close every engine on its own loop, where that can still be done."""
        for _, life in list(self._engines.values()):
            life.finish()
        self._engines.clear()

    def _open(self) -> tuple[Any, OnLoop]:
        from sqlalchemy import event, exc
        from sqlalchemy.ext.asyncio import AsyncEngine

        engine = self._make()
        life = OnLoop(AsyncEngine(engine).dispose)

        def on_connect(connection: Any, record: Any) -> None:  # noqa: ARG001  # SQLAlchemy's signature
            record.info[GENERATION] = self._generation
            life.hold()

        def on_checkout(connection: Any, record: Any, proxy: Any) -> None:  # noqa: ARG001  # SQLAlchemy's signature
            if record.info.get(GENERATION) != self._generation:
                raise exc.DisconnectionError("the database behind this connection was replaced")

        event.listen(engine.pool, "connect", on_connect)
        event.listen(engine.pool, "checkout", on_checkout)
        return engine, life
