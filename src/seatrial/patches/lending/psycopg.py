"""psycopg's pools, which lend no connection that a test before has left its mark on."""

from __future__ import annotations

from collections.abc import Callable
from contextvars import ContextVar
from functools import partial
from types import ModuleType
from typing import Any
from weakref import WeakSet

from seatrial.core import wait
from seatrial.patches.lending.generations import Generations, Stamp, address_of
from seatrial.patches.lending.lent import Lent, psycopg_script, running_loop
from seatrial.patches.replacing import Changes, Replacing
from seatrial.resources.first_state import PATIENCE, Script, backend, begin_script


def stale_psycopg(generations: Generations) -> Replacing:
    """Psycopg's pools check each connection before they lend it, by the callback that they have for that.

    A callback of the app's own is asked as well. A stale connection does not fail the check: the pool would wait
    before it tries the next one, longer each time. It leads to the new database from then on, as the same object.
    Pools that were made meanwhile keep their callbacks.
    """
    return Replacing("psycopg pools: replace stale connections", "psycopg_pool", partial(_change, generations))


class _Harness:
    """What the pools' patches of one harness share; another one of this process counts its moments otherwise."""

    def __init__(self, generations: Generations) -> None:
        self.generations = generations
        """When databases were replaced."""
        self.given_back: WeakSet[Any] = WeakSet()
        """The connections of any pool that nobody has borrowed since."""
        self.before: ContextVar[int] = ContextVar("before a pool of psycopg connects")
        """The moment before a pool began to connect."""


def _change(generations: Generations, module: ModuleType, changes: Changes) -> None:
    ours = _Harness(generations)
    for name, checks in (("ConnectionPool", _checks), ("AsyncConnectionPool", _checks_async)):
        kind: Any = getattr(module, name)
        changes.replace(kind, "__init__", _changed_init(kind.__init__, partial(checks, ours)))
        changes.replace(kind, "_connect", _timed(kind._connect, ours))  # noqa: SLF001  # there is no public way to know when a pool connects
        changes.replace(kind, "_putconn", _noted(kind._putconn, ours))  # noqa: SLF001  # nor when it gets one back


def _checks(ours: _Harness, options: dict[str, Any]) -> dict[str, Any]:
    from psycopg.rows import tuple_row

    configure, check = options.get("configure"), options.get("check")
    stamps = _Stamps(ours)

    def stamping(connection: Any) -> None:
        stamps.add(connection)
        usual, connection.autocommit = connection.autocommit, True
        # A swap since it was opened shows here: the pool tries again. By a cursor: what a connection executes is told.
        connection.cursor().execute("SELECT 1")
        connection.autocommit = usual
        if configure is not None:
            configure(connection)

    def checking(connection: Any) -> None:
        if stamps.is_stale(connection):
            try:
                fresh = connection._pool._connect()  # noqa: SLF001  # no public way to have one more
            except BaseException:
                connection.close()  # the pool would else take it back: it can't see that it leads nowhere
                raise
            stamps.exchange(connection, fresh)
            fresh.close()
        if check is not None:
            check(connection)
        if stamps.watched(connection):
            if stamps.unknown(connection):
                with connection.cursor(row_factory=tuple_row) as cursor:  # whatever rows the app reads
                    rows = cursor.execute(ours.generations.first_state).fetchall()
                connection.rollback()
                stamps.know(connection, rows, _when_reset)
            stamps.lend(connection)

    return {**options, "configure": stamping, "check": checking}


def _when_reset(connection: Any, script: str) -> Script | None:
    """The pool's own `reset` runs in a thread of its own, when the connection was given back."""
    if not wait.until(partial(_is_in_pool, connection), timeout=PATIENCE, every=0.0005):
        raise TimeoutError("it is still being reset, or somebody has borrowed it again")
    return begin_script(connection, script)


async def _when_reset_async(connection: Any, script: str) -> None:
    import asyncio

    while not _is_in_pool(connection):  # noqa: ASYNC110  # a pool tells nobody when it has one back
        await asyncio.sleep(0.0005)
    await psycopg_script(connection, script)


def _is_in_pool(connection: Any) -> bool:
    """Or closed; a pool lets go of it then as well."""
    return connection._pool is None  # noqa: SLF001  # no public way to know


def _checks_async(ours: _Harness, options: dict[str, Any]) -> dict[str, Any]:
    from psycopg.rows import tuple_row

    configure, check = options.get("configure"), options.get("check")
    stamps = _Stamps(ours)

    async def stamping(connection: Any) -> None:
        stamps.add(connection)
        usual = connection.autocommit
        await connection.set_autocommit(True)  # the loop may pause here, and a transaction would be ended then
        await connection.cursor().execute("SELECT 1")  # as above
        await connection.set_autocommit(usual)
        if configure is not None:
            await configure(connection)

    async def checking(connection: Any) -> None:
        if stamps.is_stale(connection):
            try:
                fresh = await connection._pool._connect()  # noqa: SLF001  # no public way to have one more
            except BaseException:
                await connection.close()  # the pool would else take it back: it can't see that it leads nowhere
                raise
            stamps.exchange(connection, fresh)
            await fresh.close()
        if check is not None:
            await check(connection)
        if stamps.watched(connection):
            if stamps.unknown(connection):
                async with connection.cursor(row_factory=tuple_row) as cursor:  # as above
                    rows = await (await cursor.execute(ours.generations.first_state)).fetchall()
                await connection.rollback()
                stamps.know(connection, rows, _when_reset_async)
            stamps.lend(connection)

    return {**options, "configure": stamping, "check": checking}


class _Stamps:
    """The stamps of one psycopg pool's connections, kept for as long as these live."""

    def __init__(self, ours: _Harness) -> None:
        from weakref import WeakKeyDictionary

        self._ours, self._generations = ours, ours.generations
        self._stamps: WeakKeyDictionary[Any, Stamp] = WeakKeyDictionary()
        self._lent: WeakKeyDictionary[Any, Lent] = WeakKeyDictionary()
        self._spoilt: WeakKeyDictionary[Any, str] = WeakKeyDictionary()

    def add(self, connection: Any) -> None:
        where = address_of(connection)
        if where is not None:
            self._stamps[connection] = self._generations.stamp(
                *where, self._ours.before.get(self._generations.moment())
            )

    def is_stale(self, connection: Any) -> bool:
        stamp = self._stamps.get(connection)
        return connection in self._spoilt or (stamp is not None and self._generations.stale(stamp))

    def exchange(self, stale: Any, fresh: Any) -> None:
        """Each object gets what the other one was."""
        stale.__dict__, fresh.__dict__ = fresh.__dict__, stale.__dict__
        fresh._pool = None  # noqa: SLF001  # nobody's: it is closed
        self._stamps[stale] = self._stamps.pop(fresh)
        self._lent.pop(stale, None)
        self._spoilt.pop(stale, None)

    def watched(self, connection: Any) -> bool:
        stamp = self._stamps.get(connection)
        return stamp is not None and self._generations.watched(stamp)

    def unknown(self, connection: Any) -> bool:
        return connection not in self._lent

    def know(self, connection: Any, rows: list[Any], run: Callable[[Any, str], Any]) -> None:
        """What is asked of it is kept by nobody else: the references to it are weak."""
        from weakref import ref

        script, held = self._generations.restoring(rows), ref(connection)
        self._lent[connection] = Lent(
            lambda: run(held(), script),
            idle=lambda: held() is not None and held() in self._ours.given_back,
            spoil=lambda: self._spoilt.setdefault(held(), "held at check-in"),
            pid=backend(connection),
            loop=running_loop() if run is _when_reset_async else None,
        )

    def lend(self, connection: Any) -> None:
        self._ours.given_back.discard(connection)
        self._generations.lent(self._stamps[connection], self._lent[connection])


def _timed(connect: Callable[..., Any], ours: _Harness) -> Callable[..., Any]:
    """Let a pool of psycopg's note the moment before it connects: a worker of its may be in the midst of that."""

    def timed(pool: Any, *args: Any, **options: Any) -> Any:
        ours.before.set(ours.generations.moment())
        return connect(pool, *args, **options)

    return timed


def _noted(put: Callable[..., Any], ours: _Harness) -> Callable[..., Any]:
    """Let a pool of psycopg's note what it is given back: with a `reset`, it is in the pool only later."""

    def noted(pool: Any, connection: Any, *args: Any, **options: Any) -> Any:
        ours.given_back.add(connection)
        return put(pool, connection, *args, **options)

    return noted


def _changed_init(
    original: Callable[..., None], change: Callable[[dict[str, Any]], dict[str, Any]]
) -> Callable[..., None]:
    """An `__init__` that is called with changed keyword arguments."""

    def __init__(self: Any, *args: Any, **options: Any) -> None:  # noqa: N807  # it takes the place of one
        original(self, *args, **change(options))

    return __init__
