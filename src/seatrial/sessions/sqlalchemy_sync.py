"""SQLAlchemy's `Session` on one copy: the test's own, and the app's."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack
from typing import Any

from seatrial.resources.protocol import Copy
from seatrial.sessions.connections.engines import engine_for, is_on, twin
from seatrial.sessions.connections.kept import Kept
from seatrial.sessions.connections.known import Engines
from seatrial.sessions.connections.own import Own
from seatrial.sessions.connections.uncommitted import pending
from seatrial.sessions.dependencies.make import make_anew, make_session
from seatrial.sessions.dependencies.probe import actual_session, engines_of
from seatrial.sessions.dependencies.rebind import goes_to, rebound, refuse_what_cannot_join
from seatrial.sessions.dependencies.style import Style
from seatrial.sessions.dependencies.wrap import wrap
from seatrial.sessions.joining.joined import joined_engine, joining, joins, models
from seatrial.sessions.joining.outer import Outer, over
from seatrial.sessions.joining.schema import Schema
from seatrial.sessions.joining.turns import Threads
from seatrial.sessions.pools import Pools


class SyncSessions:
    """Sessions of SQLAlchemy's sync half, as the app's own dependency makes them.

    Args:
        drivers: SQLAlchemy's driver by style, for a copy that the app has no engine on.
        dependency: the app's dependency, or None.
        pools: the app's pools, told when their connections are stale; None where nobody watches them.
        engines: the app's engines, whoever made them; None where only those of the dependency are known.
    """

    joinable = True
    awaited = False

    def __init__(
        self,
        copy: Copy,
        drivers: Mapping[str, str],
        style: Style,
        dependency: Callable[..., Any] | None = None,
        pools: Pools | None = None,
        engines: Engines | None = None,
    ) -> None:
        self._copy = copy
        self._drivers = drivers
        self._style = style
        self._dependency = dependency
        self._pools = pools or Pools()
        self._engines = engines
        self._own: Own | None = None
        self._guessed = False
        """Whether `_own` is made without an engine of the app's: none was there when it was wanted."""
        self._model: tuple[Any, Any] | None = None
        """An engine of the app's, and its own pool, that `_own` will be like once it is wanted."""
        self._elsewhere: Any = None
        self._schema = Schema()
        self._session: Any = None
        self._kept = Kept(loads=True)
        self._outer: Outer | None = None
        self._joining = ExitStack()
        self._joined_engines: list[Any] = []

    def begin(self, *, joined: bool) -> None:
        """Begin a test's own part."""
        if not joined:
            return  # as the session is, it is good for a test
        found = self._engines.on(self._copy.address) if self._engines is not None else []
        self._be_like(found)
        dialect = self._own_engine().engine.dialect.name
        self._outer = Outer(
            self._connect,
            Threads(),
            schema=self._schema if dialect == "postgresql" else None,
            begins=("BEGIN",) if dialect == "sqlite" else (),
        )
        if self._engines is not None:
            self._joining.enter_context(self._engines.watched(self._made))
        for engine in (self._style.bind, *found):
            self._join(engine)
        self._make_anew()

    def session(self) -> Any:
        """Make the session, at first use; it stays the same object."""
        if self._session is None:
            self._session = make_session(self._style, self._engine())
        return self._session

    def settle(self, owner: object) -> bool:
        """End the transaction of a wider fixture, and keep the objects that it committed or loaded."""
        lost = False
        if self._session is not None:
            lost = pending(self._session) or (self._own is not None and self._own.wrote())
            found = self._kept.find(self._session, owner, lost=lost)
            self._session.rollback()
            self._kept.add(found, self._session)
            self._make_anew()
        self._tidy()
        return lost

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

    def end(self, *, gather: bool = True) -> tuple[str, ...]:
        """Close the test's session, roll an outer transaction back, and say what it could not hold."""
        outer, self._outer = self._outer, None
        complaints: tuple[str, ...] = ()
        try:
            if outer is not None:
                complaints = outer.finish()
        finally:
            self._joining.close()
            self._joined_engines.clear()
            try:
                self._make_anew()
            finally:
                self._tidy(gather=gather)
        return complaints

    def returning(self) -> Sequence[int]:
        """List the server process ids of what `gather` is going to put back."""
        own = self._own.returning() if self._own is not None else ()
        return (*own, *self._pools.returning(self._copy.address))

    def send(self) -> None:
        """Have the server begin what `gather` waits for."""
        if self._own is not None:
            self._own.send()
        self._pools.send(self._copy.address)

    def gather(self) -> None:
        """Put connections back into their first state."""
        if self._own is not None:
            self._own.gather()
        self._pools.gather(self._copy.address)

    def invalidate(self) -> None:
        """Take every connection to the copy for stale."""
        self._schema.forget()
        if self._own is not None:
            self._own.invalidate()
        if self._elsewhere is not None:
            self._elsewhere.dispose()
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
        engine = self._like()
        return engine if self._outer is None else joined_engine(engine, self._running, by_test=True)

    def _like(self) -> Any:
        """An engine with the dialect of the test's own connection: that one's own, or its model."""
        return self._model[0] if self._model is not None and self._outer is not None else self._own_engine().engine

    def _make_anew(self) -> None:
        if self._session is not None:
            try:
                self._session.close()
            finally:  # a connection that broke may say so
                make_anew(self._session, self._style, self._engine())
                self._kept.give_back(self._session)

    def _tidy(self, *, gather: bool = True) -> None:
        if self._own is not None:
            self._own.tidy()
        self._pools.restore(self._copy.address)
        if gather:
            self.gather()

    def _own_engine(self) -> Own:
        if self._own is None:
            bind, model, self._model = self._style.bind, self._model, None
            self._guessed = False
            if model is not None:
                self._own = Own(twin(*model))
            elif is_on(bind, self._copy.address) and not bind.dialect.is_async:
                self._own = Own(twin(bind))
            else:
                self._own = Own(engine_for(self._copy.address, self._drivers, is_async=False, like=bind))
                self._guessed = True
        return self._own

    def _connect(self) -> Any:
        """Open what app and test share. Which engine it is like is settled by now."""
        return self._own_engine().engine.raw_connection()

    def _be_like(self, engines: Sequence[Any]) -> None:
        """Where no dependency led to an engine of the app's: be as one of these, of whichever driver."""
        engines = models(engines, is_async=False)
        if not engines or is_on(self._style.bind, self._copy.address):
            return
        if self._own is not None:
            mine = self._own.engine.dialect.driver
            if not self._guessed and any(engine.dialect.driver == mine for engine in engines):
                return
            self._own.invalidate()
            self._own = None
        self._model = engines[0], engines[0].pool

    def _made(self, engine: Any) -> None:
        """The running test, or its app, has made an engine."""
        outer = self._outer
        if outer is None or not is_on(engine, self._copy.address):
            return
        if self._guessed and not outer.opened:
            self._be_like([engine])
            if self._session is not None:
                self._session.bind = self._engine()
        self._join(engine)

    def _join(self, engine: Any) -> None:
        """Let an engine of the app's that is on this database join the outer transaction."""
        if not is_on(engine, self._copy.address) or any(engine is each for each in self._joined_engines):
            return
        if engine.dialect.is_async:
            return  # its connections can't be this one; what they commit is told at the test's end
        self._joined_engines.append(engine)
        outer = joins(self._like().dialect, engine.dialect, self._running)
        self._joining.enter_context(joining(engine, outer))

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
