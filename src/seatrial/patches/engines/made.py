"""Each engine of SQLAlchemy's is told of when it is made, so that one that nobody names can join a test, too."""

from __future__ import annotations

from types import ModuleType
from typing import Any, Protocol

from seatrial.patches.replacing import Changes, Replacing


class Listener(Protocol):
    """Who wants to know."""

    def made(self, engine: Any) -> None:
        """Hear of an engine that is there from now on; perhaps twice."""
        ...


def made_engines(listener: Listener) -> Replacing:
    """`create_engine` calls a hook of the dialect at its end, for the sync half of an `AsyncEngine` as well.

    None of SQLAlchemy's events tells of it: the first that names an engine comes when it has connected.
    """

    def change(module: ModuleType, changes: Changes) -> None:
        dialect: Any = module.Dialect
        hook = dialect.__dict__["engine_created"]

        def telling(cls: Any, engine: Any) -> None:
            hook.__get__(None, cls)(engine)
            listener.made(engine)

        changes.replace(dialect, "engine_created", classmethod(telling))

    return Replacing(
        "SQLAlchemy engines: join the transaction of a rollback test", "sqlalchemy.engine.interfaces", change
    )
