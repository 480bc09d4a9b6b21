"""SQLAlchemy's `AsyncSession` on one copy: the test's own, and the app's."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping, Sequence
from contextlib import ExitStack, suppress
from typing import Any

from seatrial.resources.first_state import OWN, backend
from seatrial.resources.protocol import Copy
from seatrial.sessions.connections.elsewhere import LoopEngines
from seatrial.sessions.connections.engines import engine_for, is_on, twin
from seatrial.sessions.connections.home import Home, on_asyncio
from seatrial.sessions.connections.kept import Kept
from seatrial.sessions.connections.known import Engines
from seatrial.sessions.connections.on_loop import OnLoop
from seatrial.sessions.connections.uncommitted import pending, wrote_async
from seatrial.sessions.dependencies.make import make_anew, make_session
from seatrial.sessions.dependencies.probe import actual_session, engines_of, sync_session
from seatrial.sessions.dependencies.rebind import goes_to, rebound, refuse_what_cannot_join
from seatrial.sessions.dependencies.style import Style
from seatrial.sessions.dependencies.wrap import wrap
from seatrial.sessions.joining.joined import joined_engine, joining, joins, models
from seatrial.sessions.joining.outer import Outer, over
from seatrial.sessions.joining.schema import Schema
from seatrial.sessions.joining.turns import Tasks
from seatrial.sessions.pools import Pools

PATIENCE = 10.0
"""Seconds that a joined test's connection gets to be rolled back and closed."""


class AsyncSessions:
    """Sessions of SQLAlchemy's async half, as the app's own dependency makes them.

    The session has connections of its own in each test, and in each fixture of wider scope: they live in the
    loop of their first use and are closed there at the end. In rollback app and test share one: it lives on a loop of
    ours, and serves whichever loops ask.
    """

    joinable = True
    awaited = True

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
        self._model: Any = None
        self._guessed = False
        """Whether `_model` is made without an engine of the app's: none was there when it was wanted."""
        self._elsewhere = LoopEngines(self._new_engine)
        self._schema = Schema()
        self._session: Any = None
        self._kept = Kept(loads=False)
        self._test: _Test | None = None
        """What holds now: a test's own part, or before and after it the fixtures of wider scope."""
        self._joining = ExitStack()
        self._joined_engines: list[Any] = []
        self._home = Home()

    def begin(self, *, joined: bool) -> None:
        """Begin a test's own part."""
        found = self._found() if joined else []
        if self._test is not None and (joined or self._test.life.loop is not None):
            self._test.end()
            self._test = None
        if self._test is None:
            self._test = _Test(self._new_engine, self._schema, self._home if joined else None)
            self._make_anew()
        if joined:
            if self._engines is not None:
                self._joining.enter_context(self._engines.watched(self._join))
            for engine in (self._style.bind, *found):
                self._join(engine)

    def session(self) -> Any:
        """Make the session, at first use; it stays the same object."""
        if self._session is None:
            test = self._current()
            self._session = test.session = make_session(self._style, self._engine(test))
        return self._session

    def settle(self, owner: object) -> bool:
        """End the transaction of a wider fixture, and keep the objects that it committed or loaded."""
        if self._session is None or self._test is None:
            return False
        test, lost = self._test, pending(self._session.sync_session)
        if test.life.loop is not None:
            test.before_close = lambda session: self._keep(session, owner, lost=lost or test.lost)
        if lost or test.life.loop is not None:
            self.end()
        return lost or test.lost

    def leave(self, owner: object) -> None:
        """Forget what a wider fixture left."""
        self._kept.drop(owner)
        self.end()

    def dependency(self) -> Callable[..., Any] | None:
        """Replace the app's dependency where it has to be led here; None where it uses this database already."""
        if self._dependency is None or not self._style.sqlalchemy:
            return None
        if is_on(self._style.bind, self._copy.address) and not self._style.routed:
            return None  # it uses this database already; in rollback its engine has joined
        return wrap(self._dependency, self._adopt)

    def backends(self) -> Sequence[int]:
        """List the server process ids of our open connections."""
        return self._test.backends() if self._test is not None else ()

    def end(self, *, gather: bool = True) -> tuple[str, ...]:
        """Close the test's session, roll an outer transaction back, and say what it could not hold."""
        test, self._test = self._test, None
        self._joined_engines.clear()
        try:
            return test.end() if test is not None else ()
        finally:
            self._joining.close()
            self._pools.restore(self._copy.address)
            if gather:
                self.gather()
            self._make_anew()

    def returning(self) -> Sequence[int]:
        """List the server process ids of what `gather` is going to put back."""
        return self._pools.returning(self._copy.address)

    def send(self) -> None:
        """Have the server begin what `gather` waits for."""
        self._pools.send(self._copy.address)

    def gather(self) -> None:
        """Put connections back into their first state."""
        self._pools.gather(self._copy.address)

    def invalidate(self) -> None:
        """Take every connection to the copy for stale."""
        self._schema.forget()
        self._elsewhere.invalidate()
        self._pools.invalidate(self._copy.address)

    def close(self) -> None:
        """Close what is open."""
        self.end()
        self._elsewhere.close()
        self._home.close()

    def _current(self) -> _Test:
        if self._test is None:
            self._test = _Test(self._new_engine)
        return self._test

    def _engine(self, test: _Test) -> Any:
        """What the session is bound to now."""
        return test.engine if test.outer is None else joined_engine(test.engine, self._running, by_test=True)

    def _make_anew(self) -> None:
        """The session belongs to who comes next: a test, or a wider fixture."""
        if self._session is not None:
            test = self._current()
            make_anew(self._session, self._style, self._engine(test))
            self._kept.give_back(self._session.sync_session)
            test.session = self._session

    async def _keep(self, session: Any, owner: object, *, lost: bool) -> None:
        found = self._kept.find(session.sync_session, owner, lost=lost)
        await session.rollback()
        self._kept.add(found, session.sync_session)

    def _running(self) -> Outer:
        """The outer transaction. Raises `IsolationError` where its test is over."""
        if self._test is None or self._test.outer is None:
            raise over()
        return self._test.outer

    def _new_engine(self) -> Any:
        if self._model is None:
            bind = self._style.bind
            if is_on(bind, self._copy.address) and bind.dialect.is_async:
                self._model = bind
            else:
                self._model = engine_for(self._copy.address, self._drivers, is_async=True, like=bind)
                self._guessed = True
        # The app's pool may be the rollback's for now: what is wanted is one like its own.
        return twin(self._model)

    def _found(self) -> list[Any]:
        """The app's engines that are there. Where no dependency led to one, the test's is like the first of them."""
        found = self._engines.on(self._copy.address) if self._engines is not None else []
        alike = models(found, is_async=True)
        if alike and (self._model is None or self._guessed) and not is_on(self._style.bind, self._copy.address):
            self._model, self._guessed = twin(alike[0]), False
            if self._test is not None:
                self._test.end()
                self._test = None
        return found

    def _join(self, engine: Any) -> None:
        """Let an engine of the app's that is on this database join the outer transaction."""
        if not is_on(engine, self._copy.address) or any(engine is each for each in self._joined_engines):
            return
        mine, theirs = self._current().engine.dialect, engine.dialect
        if (mine.is_async, mine.driver) != (theirs.is_async, theirs.driver):
            return  # its connections can't be this one; what they commit is told at the test's end
        self._joined_engines.append(engine)
        self._joining.enter_context(joining(engine, joins(mine, theirs, self._running)))

    def _adopt(self, value: Any) -> Any:
        session = actual_session(value)
        if session is None:
            return value
        sync = sync_session(session)
        test = self._current()
        if test.outer is not None:
            refuse_what_cannot_join(sync, owner=session)
        if goes_to(sync, self._copy.address):
            if test.outer is not None:
                for engine in engines_of(sync):
                    self._join(engine)
            return value
        if test.outer is not None:
            return rebound(value, session, joined_engine(test.engine, self._running, by_test=False))
        return rebound(value, session, self._elsewhere.get())


class _Test:
    """What one test holds, and how it is closed on the loop where it lives."""

    def __init__(self, new_engine: Callable[[], Any], schema: Schema | None = None, home: Home | None = None) -> None:
        from sqlalchemy import event

        self.engine = new_engine()
        self.session: Any = None
        self.before_close: Callable[[Any], Awaitable[None]] | None = None
        self.life = OnLoop(self._close)
        self.lost = False
        """Whether a wider fixture had written something that it did not commit."""
        self.outer: Outer | None = None
        self._records: dict[int, Any] = {}
        self._complaints: tuple[str, ...] = ()
        event.listen(self.engine, "do_connect", lambda *_: on_asyncio())
        event.listen(self.engine.pool, "connect", self._on_connect)
        self._home = home
        if home is not None:
            dialect = self.engine.dialect.name
            self.outer = Outer(
                self.engine.raw_connection,
                Tasks(home),
                schema=schema if dialect == "postgresql" else None,
                begins=("BEGIN",) if dialect == "sqlite" else (),
            )

    def backends(self) -> Sequence[int]:
        return [
            pid
            for record in self._records.values()
            if record.dbapi_connection is not None and (pid := backend(record.driver_connection))
        ]

    def end(self) -> tuple[str, ...]:
        if self._home is not None and self._records:
            self._home.run(self._close(), PATIENCE)
        elif self.life.loop is None:
            if self.session is not None:
                self.session.sync_session.close()  # it never connected: nothing to wait for
        elif not self.life.finish():
            self._terminate()
        return self._complaints

    async def _close(self) -> None:
        """On the loop: the outer transaction is rolled back, the session closed, the connections with it."""
        from sqlalchemy.ext.asyncio import AsyncEngine, AsyncSession

        if self.outer is not None:
            outer = self.outer

            async with AsyncSession() as greenlet:
                self._complaints = await greenlet.run_sync(lambda _: outer.finish())
        if self.session is not None:
            if self.before_close is not None:
                self.lost = await self._wrote()
                await self.before_close(self.session)
            await self.session.close()
        await AsyncEngine(self.engine).dispose()

    async def _wrote(self) -> bool:
        for record in self._records.values():
            if record.in_use and await wrote_async(record.driver_connection):
                return True
        return False

    def _terminate(self) -> None:
        """The loop is gone, or busy with us: drop the connections without speaking to the server."""
        for record in self._records.values():
            with suppress(Exception):  # a loop that is closed can't even be told
                record.invalidate()

    def _on_connect(self, connection: Any, record: Any) -> None:  # noqa: ARG002  # SQLAlchemy's signature
        self._records[id(record)] = record
        record.info[OWN] = True
        if self._home is None:
            self.life.hold()
