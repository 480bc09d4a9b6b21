"""Four ways in which an app talks to PostgreSQL, each with a pool of its own that lasts from first test to last."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Awaitable, Callable, Coroutine
from typing import Any, Protocol

from sqlalchemy import create_engine
from sqlalchemy.ext.asyncio import create_async_engine

from .sea import Sea

Rows = list[tuple[Any, ...]]
ONE = {"pool_size": 1, "max_overflow": 0}


class Held(Protocol):
    """A connection that the app has taken from its pool, in a transaction."""

    def run(self, statement: str) -> Rows: ...

    def commit(self) -> None: ...

    def rollback(self) -> None: ...


class App(Protocol):
    """An app with a pool. None of the pools pings before it lends."""

    resource: str

    def commit(self, *statements: str) -> Rows:
        """Run statements in one transaction and commit it; returns the rows of the last."""
        ...

    def alone(self, *statements: str) -> Rows:
        """Run statements on one connection, each a transaction of its own; returns the rows of the last."""
        ...

    def hold(self) -> Held:
        """Begin a transaction, and keep it open."""
        ...

    def close(self) -> None: ...


class SqlAlchemy:
    """A SQLAlchemy engine with psycopg."""

    resource = "db"

    def __init__(self, engine: Any) -> None:
        self.engine = engine

    def commit(self, *statements: str) -> Rows:
        with self.engine.begin() as connection:
            return [_rows(connection.exec_driver_sql(one)) for one in statements][-1]

    def alone(self, *statements: str) -> Rows:
        with self.engine.connect() as connection:
            connection.execution_options(isolation_level="AUTOCOMMIT")
            return [_rows(connection.exec_driver_sql(one)) for one in statements][-1]

    def hold(self) -> Held:
        return _HeldAlchemy(self.engine.connect())

    def close(self) -> None:
        self.engine.dispose()


class _HeldAlchemy:
    def __init__(self, connection: Any) -> None:
        self._connection = connection

    def run(self, statement: str) -> Rows:
        return _rows(self._connection.exec_driver_sql(statement))

    def commit(self) -> None:
        with self._connection:
            self._connection.commit()

    def rollback(self) -> None:
        with self._connection:
            self._connection.rollback()


class Loop:
    """An event loop in a thread of its own: where an async app lives."""

    def __init__(self) -> None:
        self.loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self.loop.run_forever, name="the app's loop", daemon=True)
        self._thread.start()

    def run(self, work: Coroutine[Any, Any, Any]) -> Any:
        return asyncio.run_coroutine_threadsafe(work, self.loop).result(30)

    def close(self) -> None:
        self.run(self.loop.shutdown_asyncgens())
        self.loop.call_soon_threadsafe(self.loop.stop)
        self._thread.join()
        self.loop.close()


class AsyncSqlAlchemy:
    """A SQLAlchemy engine with asyncpg, on the app's loop."""

    resource = "adb"

    def __init__(self, engine: Any, loop: Loop) -> None:
        self.engine = engine
        self._loop = loop

    def commit(self, *statements: str) -> Rows:
        async def work() -> Rows:
            async with self.engine.begin() as connection:
                return [_rows(await connection.exec_driver_sql(one)) for one in statements][-1]

        return self._loop.run(work())

    def alone(self, *statements: str) -> Rows:
        async def work() -> Rows:
            async with self.engine.connect() as connection:
                await connection.execution_options(isolation_level="AUTOCOMMIT")
                return [_rows(await connection.exec_driver_sql(one)) for one in statements][-1]

        return self._loop.run(work())

    def hold(self) -> Held:
        async def begin() -> Any:
            return await self.engine.connect()

        return _HeldAsync(self._loop, self._loop.run(begin()))

    def close(self) -> None:
        self._loop.run(self.engine.dispose())


class _HeldAsync:
    def __init__(self, loop: Loop, connection: Any) -> None:
        self._loop = loop
        self._connection = connection

    def run(self, statement: str) -> Rows:
        async def work() -> Rows:
            return _rows(await self._connection.exec_driver_sql(statement))

        return self._loop.run(work())

    def commit(self) -> None:
        self._end(self._connection.commit)

    def rollback(self) -> None:
        self._end(self._connection.rollback)

    def _end(self, end: Callable[[], Awaitable[None]]) -> None:
        async def work() -> None:
            try:
                await end()
            finally:
                await self._connection.close()

        self._loop.run(work())


class Psycopg:
    """A pool of psycopg."""

    resource = "plain"

    def __init__(self, url: str, size: int = 10) -> None:
        from psycopg_pool import ConnectionPool

        self.pool = ConnectionPool(url, min_size=1, max_size=size, open=True, timeout=10)

    def commit(self, *statements: str) -> Rows:
        with self.pool.connection() as connection:
            return [_fetched(connection.execute(one)) for one in statements][-1]

    def alone(self, *statements: str) -> Rows:
        with self.pool.connection() as connection:
            connection.autocommit = True
            try:
                return [_fetched(connection.execute(one)) for one in statements][-1]
            finally:
                connection.rollback()
                connection.autocommit = False

    def hold(self) -> Held:
        return _HeldPsycopg(self.pool)

    def close(self) -> None:
        self.pool.close()


class _HeldPsycopg:
    def __init__(self, pool: Any) -> None:
        self._pool = pool
        self._connection = pool.getconn()

    def run(self, statement: str) -> Rows:
        return _fetched(self._connection.execute(statement))

    def commit(self) -> None:
        self._end(self._connection.commit)

    def rollback(self) -> None:
        self._end(self._connection.rollback)

    def _end(self, end: Callable[[], None]) -> None:
        try:
            end()
        finally:
            self._pool.putconn(self._connection)


class Asyncpg:
    """A pool of asyncpg, on the app's loop."""

    resource = "plain"

    def __init__(self, url: str, loop: Loop, size: int = 10) -> None:
        self._loop = loop
        self.pool = loop.run(self._open(url, size))

    async def _open(self, url: str, size: int) -> Any:
        import asyncpg

        return await asyncpg.create_pool(url, min_size=1, max_size=size)

    def commit(self, *statements: str) -> Rows:
        async def work() -> Rows:
            async with self.pool.acquire() as connection, connection.transaction():
                return [list(map(tuple, await connection.fetch(one))) for one in statements][-1]

        return self._loop.run(work())

    def alone(self, *statements: str) -> Rows:
        async def work() -> Rows:
            async with self.pool.acquire() as connection:
                return [list(map(tuple, await connection.fetch(one))) for one in statements][-1]

        return self._loop.run(work())

    def hold(self) -> Held:
        return _HeldAsyncpg(self._loop, self.pool)

    def close(self) -> None:
        async def work() -> None:
            try:
                await asyncio.wait_for(self.pool.close(), 5)
            except TimeoutError:  # it waits for a connection that asyncpg has lost track of
                self.pool.terminate()

        self._loop.run(work())


class _HeldAsyncpg:
    def __init__(self, loop: Loop, pool: Any) -> None:
        async def begin() -> tuple[Any, Any]:
            connection = await pool.acquire()
            transaction = connection.transaction()
            await transaction.start()
            return connection, transaction

        self._loop = loop
        self._pool = pool
        self._connection, self._transaction = loop.run(begin())

    def run(self, statement: str) -> Rows:
        async def work() -> Rows:
            return list(map(tuple, await self._connection.fetch(statement)))

        return self._loop.run(work())

    def commit(self) -> None:
        self._end(self._transaction.commit)

    def rollback(self) -> None:
        self._end(self._transaction.rollback)

    def _end(self, end: Callable[[], Awaitable[None]]) -> None:
        async def work() -> None:
            try:
                await end()
            finally:
                await self._pool.release(self._connection)

        self._loop.run(work())


def _rows(result: Any) -> Rows:
    return [tuple(row) for row in result] if result.returns_rows else []


def _fetched(cursor: Any) -> Rows:
    return cursor.fetchall() if cursor.description else []


DRIVERS: dict[str, Callable[[Sea, Loop], App]] = {
    "sqlalchemy": lambda sea, loop: SqlAlchemy(sea.app.engine),
    "sqlalchemy-async": lambda sea, loop: AsyncSqlAlchemy(sea.app.async_engine, loop),
    "psycopg": lambda sea, loop: Psycopg(sea.url("plain")),
    "asyncpg": lambda sea, loop: Asyncpg(sea.url("plain"), loop),
}
LONE: dict[str, Callable[[Sea, Loop], App]] = {
    "sqlalchemy": lambda sea, loop: SqlAlchemy(create_engine(sea.app.engine.url, **ONE)),
    "sqlalchemy-async": lambda sea, loop: AsyncSqlAlchemy(create_async_engine(sea.app.async_engine.url, **ONE), loop),
    "psycopg": lambda sea, loop: Psycopg(sea.url("plain"), 1),
    "asyncpg": lambda sea, loop: Asyncpg(sea.url("plain"), loop, 1),
}
"""The same with pools of one connection, which each test gets again."""
JOINED_BELOW_SQLALCHEMY = ("sqlalchemy", "sqlalchemy-async")
JOINED_ON_THE_WIRE = ("psycopg", "asyncpg")
JOINABLE = JOINED_BELOW_SQLALCHEMY + JOINED_ON_THE_WIRE
"""Those that rollback mode can hold."""
