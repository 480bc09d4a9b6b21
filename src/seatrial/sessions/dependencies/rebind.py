"""Sends what the app has made, a session or a factory, to another engine, or says why that can't be."""

from __future__ import annotations

from copy import copy
from typing import Any

from seatrial.errors import IsolationError
from seatrial.resources.protocol import Address
from seatrial.sessions.connections.engines import is_on
from seatrial.sessions.dependencies.probe import engines_of, is_factory, is_routed, picks_itself, sync_session


def goes_to(sync: Any, address: Address) -> bool:
    """Whether every engine that a `Session` was given uses the database at `address` already."""
    engines = engines_of(sync)
    return bool(engines) and all(is_on(engine, address) for engine in engines)


def rebound(value: Any, session: Any, engine: Any) -> Any:
    """What the app gets for `value`: its own session, or a factory like its own, that uses `engine` from now on.

    Args:
        value: what the app's dependency yields.
        session: the session that it is, stands for, or makes.
        engine: always the sync one.

    Raises:
        IsolationError: where the session picks its engines itself, so that a new one would not be asked.
    """
    sync = sync_session(session)
    if is_routed(sync):
        raise IsolationError(
            f"the app's {type(session).__name__} picks among several engines, and can't be sent to the test's database",
            cause="it has `binds` for its mappers, or a `get_bind` of its own, and its engines lead elsewhere",
            fix="let its engines read their URL from the environment that the test run exports",
        )
    bind = engine
    if session is not sync:
        from sqlalchemy.ext.asyncio import AsyncEngine

        bind = AsyncEngine(engine)
    if is_factory(value):
        ours = copy(value)  # the app's own serves other tests, and other databases
        ours.kw = {**value.kw, "bind": bind}
        return ours
    sync.bind = engine
    session.bind = bind
    return value


def refuse_what_cannot_join(sync: Any, *, owner: Any) -> None:
    """Raise `IsolationError` for a session of the app's that an outer transaction can't hold."""
    if sync.twophase:
        raise IsolationError(
            f"the app's {type(owner).__name__} commits in two phases, and rollback mode can't hold that",
            cause="PREPARE TRANSACTION would end the outer transaction of the test",
            fix='mark the test with @pytest.mark.seatrial(NAME="reset")',
        )
    if picks_itself(sync):
        raise IsolationError(
            f"the app's {type(owner).__name__} picks its engine by a `get_bind` of its own",
            cause="rollback mode can't see whether all of these engines use the test's one connection",
            fix='mark the test with @pytest.mark.seatrial(NAME="reset")',
        )
