"""Pools of SQLAlchemy and asyncpg that lend no connection which a test before has left its mark on.

One that leads to a database that was replaced is not lent again; one that a test has used is put back into its first
state at check-in (session settings, LISTENs, advisory locks, temporary tables). SQLAlchemy's pools lend none to another
event loop than its own: app and test may share an engine, and each has a loop.
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from functools import partial, wraps
from types import ModuleType
from typing import Any

from seatrial.patches.lending.generations import Generations, Stamp, address_of
from seatrial.patches.lending.lent import Lent, psycopg_script, running_loop
from seatrial.patches.replacing import Changes, Replacing
from seatrial.resources.first_state import backend, begin_script

STAMP = "seatrial_stamp"
LENT = "seatrial_lent"
SPOILT = "seatrial_spoilt"
ASKED = "seatrial_asked"
"""Where SQLAlchemy told a driver to connect: those of MySQL and SQLite do not tell it themselves."""
EXPIRED = -1
"""A generation that no asyncpg pool has: its holder then opens a new connection by itself."""


def stale_sqlalchemy(generations: Generations) -> Replacing:
    """Each pooled connection of SQLAlchemy is stamped when it is opened, and checked when it is lent.

    A stale one is replaced by the pool itself, on the thread and loop of who asks for it: SQLAlchemy's own way
    for listeners to say that a connection is gone (`DisconnectionError` in `checkout`). No round trip. And so is one
    of another event loop than the one that asks.
    """

    def change(sqlalchemy: ModuleType, changes: Changes) -> None:
        from sqlalchemy import event
        from sqlalchemy.pool import Pool
        from sqlalchemy.pool.base import _ConnectionRecord

        listeners = _Listeners(generations)
        for name in ("get_connection", "close"):  # no event comes before the pool's ping, or can keep it from closing
            changes.replace(_ConnectionRecord, name, _leaving(generations, getattr(_ConnectionRecord, name)))
        changes.also(listeners.close)
        for name, listener in (("connect", listeners.on_connect), ("checkout", listeners.on_checkout)):
            event.listen(Pool, name, listener)
            changes.also(partial(event.remove, Pool, name, listener))
        event.listen(sqlalchemy.Engine, "do_connect", listeners.on_asking)
        changes.also(partial(event.remove, sqlalchemy.Engine, "do_connect", listeners.on_asking))

    return Replacing("SQLAlchemy pools: replace stale connections", "sqlalchemy", change)


class _Listeners:
    """What SQLAlchemy's pools call when they open a connection, and when they lend one."""

    def __init__(self, generations: Generations) -> None:
        from weakref import WeakSet

        self._generations = generations
        self._records: WeakSet[Any] = WeakSet()
        """Pooled connections of sync drivers, while they live."""

    def close(self) -> None:
        """Connections that were opened meanwhile are closed: their databases are gone by now."""
        while self._records:
            self._records.pop().close()

    def on_asking(self, dialect: Any, record: Any, arguments: Any, named: Any) -> None:
        if dialect.name == "sqlite" and record is not None and arguments:
            record.info[ASKED] = ("", 0, str(arguments[0]))
        host, port, database = named.get("host"), named.get("port"), named.get("database") or named.get("db")
        if record is not None and host and port and database:
            record.info[ASKED] = (str(host), int(port), str(database))

    def on_connect(self, connection: Any, record: Any) -> None:
        driver = getattr(record, "driver_connection", None) or connection
        where: tuple[str, int, str] | None = address_of(driver) or record.info.get(ASKED)
        if where is not None:
            if driver is connection and where[1]:  # one of an async driver is closed on its own loop; a file's may stay
                self._records.add(record)
            record.info[STAMP] = self._generations.stamp(*where, self._generations.moment())

    def on_checkout(self, connection: Any, record: Any, proxy: Any) -> None:
        del proxy
        stamp = record.info.get(STAMP)
        if stamp is None:
            return
        if SPOILT in record.info or self._generations.stale(stamp):
            from sqlalchemy.exc import DisconnectionError

            raise DisconnectionError("the database behind this connection was replaced")
        if self._generations.own not in record.info and self._generations.watched(stamp):
            if LENT not in record.info:
                record.info[LENT] = self._first_lent(connection, record)
            self._generations.lent(stamp, record.info[LENT])

    def _first_lent(self, connection: Any, record: Any) -> Lent:
        """Before the app's own listeners for `checkout`, after those for `connect`."""
        if address_of(record.driver_connection) is None:
            return _replaced_after_use(record)
        cursor = connection.cursor()
        cursor.execute(self._generations.first_state)
        script = self._generations.restoring(cursor.fetchall())
        cursor.close()
        connection.rollback()
        driver, loop = record.driver_connection, running_loop() if hasattr(connection, "run_async") else None

        def restore() -> Any:
            if loop is None:
                return begin_script(driver, script)
            return driver.execute(script) if hasattr(driver, "fetchval") else psycopg_script(driver, script)

        return Lent(
            restore,
            idle=lambda: not record.in_use and record.driver_connection is driver,
            spoil=lambda: _spoil(record, driver, "held at check-in"),
            pid=backend(driver),
            loop=loop,
        )


def _leaving(generations: Generations, method: Callable[[Any], Any]) -> Callable[[Any], Any]:
    """A method of a pool's record that does not meet a connection of another loop."""

    @wraps(method)
    def leaving(record: Any) -> Any:
        stamp = record.info.get(STAMP)
        if stamp is not None and generations.own not in record.info and generations.watched(stamp):
            _leave_to_its_loop(record)
        return method(record)

    return leaving


def _leave_to_its_loop(record: Any) -> None:
    """A connection that another loop than the running one has opened is closed there; the pool opens another here."""
    loop, here = getattr(record.driver_connection, "_loop", None), running_loop()
    if loop is None or loop is here or record.in_use:  # asyncpg, aiomysql and asyncmy are bound to one
        return
    end, record.dbapi_connection = record.dbapi_connection.terminate, None
    try:
        loop.call_soon_threadsafe(end)
    except RuntimeError:  # it has ended
        import asyncio

        ending = partial(_end_without_loop, loop, end)
        if not isinstance(loop, asyncio.BaseEventLoop):
            return  # uvloop has freed what is below the connection: whoever touches that crashes the interpreter
        if here is None:
            ending()
        else:
            here.call_soon(ending)  # within SQLAlchemy's greenlet `terminate` would wait for the server


def _end_without_loop(loop: Any, end: Callable[[], None]) -> None:
    """What a loop that has ended is asked to call is called at once: the socket would be open until it is collected."""
    with suppress(Exception):  # it is closed already
        loop.call_soon = lambda callback, *args, **_: callback(*args)
        try:
            end()
        finally:
            del loop.call_soon


def _spoil(record: Any, driver: Any, why: str) -> None:
    """The pool opens another in its place; if it has done so already, that one is as good as new."""
    if record.driver_connection is driver:
        record.info.setdefault(SPOILT, why)


def _replaced_after_use(record: Any) -> Lent:
    """Its pool opens another one for the next test: that is all that such a server knows as putting it back."""
    driver = record.driver_connection

    def restore() -> None:
        raise NotImplementedError

    return Lent(
        restore,
        idle=lambda: not record.in_use and record.driver_connection is driver,
        spoil=lambda: _spoil(record, driver, "used by a test"),
    )


def stale_asyncpg(generations: Generations) -> Replacing:
    """Asyncpg's pools close a stale connection when its turn comes, and open a new one in its place."""
    return Replacing("asyncpg pools: replace stale connections", "asyncpg.pool", partial(_change_asyncpg, generations))


def _change_asyncpg(generations: Generations, module: ModuleType, changes: Changes) -> None:
    from weakref import WeakKeyDictionary

    kind: Any = module.PoolConnectionHolder
    connect, acquire = kind.connect, kind.acquire
    stamps: WeakKeyDictionary[Any, Stamp] = WeakKeyDictionary()
    lent: WeakKeyDictionary[Any, Lent] = WeakKeyDictionary()

    async def stamping(holder: Any) -> None:
        moment = generations.moment()
        await connect(holder)
        where = address_of(holder._con)  # noqa: SLF001  # the holder has no public way to look at what it holds
        if where is not None:
            stamp = stamps[holder._con] = generations.stamp(*where, moment)  # noqa: SLF001  # as above
            if generations.watched(stamp):
                lent[holder._con] = await _first_lent(generations, holder)  # noqa: SLF001  # as above

    async def checking(holder: Any) -> Any:
        stamp = stamps.get(holder._con) if holder._con is not None else None  # noqa: SLF001  # as above
        if stamp is not None and generations.stale(stamp):
            holder._generation = EXPIRED  # noqa: SLF001  # what `expire_connections` does to all of a pool
        connection = await acquire(holder)
        if holder._con in lent:  # noqa: SLF001  # as above
            generations.lent(stamps[holder._con], lent[holder._con])  # noqa: SLF001  # as above
        return connection

    changes.replace(kind, "connect", stamping)
    changes.replace(kind, "acquire", checking)


async def _first_lent(generations: Generations, holder: Any) -> Lent:
    """After the pool's `init`, before its `setup`."""
    from weakref import ref

    connection = holder._con  # noqa: SLF001  # the holder has no public way to look at what it holds
    rows = await connection.fetch(generations.first_state)
    script, held = generations.restoring([tuple(row) for row in rows]), ref(connection)

    def restore() -> Any:
        connection = held()
        return None if connection is None else connection.execute(script)

    return Lent(
        restore,
        idle=lambda: holder._con is held() and holder._in_use is None,  # noqa: SLF001  # as above
        spoil=lambda: setattr(holder, "_generation", EXPIRED),
        pid=backend(connection),
        loop=running_loop(),
    )
