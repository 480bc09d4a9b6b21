"""SQLAlchemy's `Session` on one copy: the test's own, and the app's."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack
from typing import Any

from seatrial.resources.protocol import Copy
from seatrial.sessions.connections.engines import engine_for, is_on, twin
from seatrial.sessions.connections.kept import Kept
from seatrial.sessions.connections.own import Own
from seatrial.sessions.dependencies.make import make_anew, make_session
from seatrial.sessions.dependencies.probe import actual_session, engines_of
from seatrial.sessions.dependencies.rebind import goes_to, rebound, refuse_what_cannot_join
from seatrial.sessions.dependencies.style import Style
from seatrial.sessions.dependencies.wrap import wrap
from seatrial.sessions.joining.constraints import Constraints
from seatrial.sessions.joining.joined import joined_engine, joining
from seatrial.sessions.joining.outer import Outer, over
from seatrial.sessions.joining.turns import Threads
from seatrial.sessions.pools import Pools


class SyncSessions:
    """Sessions of SQLAlchemy's sync half, as the app's own dependency makes them.

    Args:
        drivers: SQLAlchemy's driver by style, for a copy that the app has no engine on.
        dependency: the app's dependency, or None.
        pools: the app's pools, told when their connections are stale; None where nobody watches them.
    """

    joinable = True

    def __init__(
        self,
        copy: Copy,
        drivers: Mapping[str, str],
        style: Style,
        dependency: Callable[..., Any] | None = None,
        pools: Pools | None = None,
    ) -> None:
        self._copy = copy
        self._drivers = drivers
        self._style = style
        self._dependency = dependency
        self._pools = pools
        self._own: Own | None = None
        self._elsewhere: Any = None
        self._constraints = Constraints()
        self._session: Any = None
        self._kept = Kept()
        self._outer: Outer | None = None
        self._joining = ExitStack()
        self._joined_engines: list[Any] = []

    def begin(self, *, joined: bool) -> None:
        """Begin a test's own part."""
        if not joined:
            return  # as the session is, it is good for a test
        engine = self._own_engine().engine
        sqlite = engine.dialect.name == "sqlite"
        self._outer = Outer(
            engine.raw_connection,
            Threads(),
            constraints=self._constraints if engine.dialect.name == "postgresql" else None,
            begins=("BEGIN",) if sqlite else (),
        )
        self._join(self._style.bind)
        self._make_anew()

    def session(self) -> Any:
        """Make the session, at first use; it stays the same object."""
        if self._session is None:
            self._session = make_session(self._style, self._engine())
        return self._session

    def settle(self, owner: object) -> None:
        """End the transaction of a wider fixture, and keep the objects that it committed or loaded."""
        if self._session is not None:
            found = self._kept.find(self._session, owner)
            self._session.rollback()
            self._kept.add(found, self._session)
            self._make_anew()
        self._tidy()

    def leave(self, owner: object) -> None:
        """Forget what a wider fixture left."""
        self._kept.drop(owner)
        self._make_anew()
        self._tidy()

    def dependency(self) -> Callable[..., Any] | None:
        """Replace the app's dependency where it has to be led here; None where it uses this database already."""
        if self._dependency is None or not self._style.sqlalchemy:
            return None
        if is_on(self._style.bind, self._copy.address) and not self._style.routed:
            return None  # it uses this database already; in rollback its engine has joined
        return wrap(self._dependency, self._adopt)

    def backends(self) -> Sequence[int]:
        """List the server process ids of our open connections."""
        return self._own.backends() if self._own is not None else ()

    def end(self) -> tuple[str, ...]:
        """Close the test's session, roll an outer transaction back, and say what it could not hold."""
        outer, self._outer = self._outer, None
        complaints: tuple[str, ...] = ()
        try:
            if outer is not None:
                complaints = outer.finish()
        finally:
            self._joining.close()
            self._joined_engines.clear()
            self._make_anew()
            self._tidy()
        return complaints

    def invalidate(self) -> None:
        """Take every connection to the copy for stale."""
        self._constraints.forget()
        if self._own is not None:
            self._own.invalidate()
        if self._elsewhere is not None:
            self._elsewhere.dispose()
        if self._pools is not None:
            self._pools.invalidate(self._copy.address)

    def close(self) -> None:
        """Close what is open."""
        self.end()
        if self._own is not None:
            self._own.invalidate()
        if self._elsewhere is not None:
            self._elsewhere.dispose()

    def _running(self) -> Outer:
        """The outer transaction, for engines that outlive it in somebody's hands."""
        if self._outer is None:
            raise over()
        return self._outer

    def _engine(self) -> Any:
        """What the session is bound to now."""
        engine = self._own_engine().engine
        return engine if self._outer is None else joined_engine(engine, self._running, by_test=True)

    def _make_anew(self) -> None:
        if self._session is not None:
            try:
                self._session.close()
            finally:  # a connection that broke may say so
                make_anew(self._session, self._style, self._engine())
                self._kept.give_back(self._session)

    def _tidy(self) -> None:
        if self._own is not None:
            self._own.tidy()
        if self._pools is not None:
            self._pools.restore(self._copy.address)

    def _own_engine(self) -> Own:
        if self._own is None:
            bind = self._style.bind
            if is_on(bind, self._copy.address) and not bind.dialect.is_async:
                self._own = Own(twin(bind))
            else:
                self._own = Own(engine_for(self._copy.address, self._drivers, is_async=False, like=bind))
        return self._own

    def _join(self, engine: Any) -> None:
        """Let an engine of the app's that is on this database join the outer transaction."""
        if not is_on(engine, self._copy.address) or any(engine is each for each in self._joined_engines):
            return
        self._joined_engines.append(engine)
        self._joining.enter_context(joining(engine, self._running))

    def _adopt(self, value: Any) -> Any:
        session = actual_session(value)
        if session is None:
            return value
        if self._outer is not None:
            refuse_what_cannot_join(session, owner=session)
        if goes_to(session, self._copy.address):
            if self._outer is not None:
                for engine in engines_of(session):
                    self._join(engine)
            return value
        return rebound(value, session, self._app_engine())

    def _app_engine(self) -> Any:
        if self._outer is not None:
            return joined_engine(self._own_engine().engine, self._running, by_test=False)
        if self._elsewhere is None:
            self._elsewhere = engine_for(self._copy.address, self._drivers, is_async=False, like=self._style.bind)
        return self._elsewhere
