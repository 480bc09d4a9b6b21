"""A client of redis-py's that stays the same object from first test to last, and is as new for each of them."""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING, Any

from seatrial.errors import ConfigError

if TYPE_CHECKING:
    import redis
    import redis.asyncio


class RedisClient:
    """A `redis.Redis`; its pool is a new one for each test: no connection keeps a database, a channel or a MULTI."""

    def __init__(self, url: str) -> None:
        self._url = url
        self.value: redis.Redis = _library().Redis.from_url(url)

    def settle(self) -> None:
        """There are no transactions that a fixture could leave open."""

    def renew(self) -> None:
        """As new. `__init__` may be called again."""
        self.value.connection_pool.disconnect()
        pool = _library().ConnectionPool.from_url(self._url)
        self.value.__init__(connection_pool=pool)  # type: ignore[misc]  # the same object, on purpose

    replace = renew

    def close(self) -> None:
        """Close its connections."""
        self.value.connection_pool.disconnect()


class AsyncRedisClient:
    """A `redis.asyncio.Redis`; each test has its own loop, and so its own pool."""

    def __init__(self, url: str) -> None:
        _library()
        import redis.asyncio

        self._url = url
        self.value: redis.asyncio.Redis = redis.asyncio.Redis.from_url(url)

    def settle(self) -> None:
        """There are no transactions that a fixture could leave open."""

    def renew(self) -> None:
        """As new. `__init__` may be called again."""
        import redis.asyncio

        self.close()
        pool = redis.asyncio.ConnectionPool.from_url(self._url)
        self.value.__init__(connection_pool=pool)  # type: ignore[misc]  # the same object, on purpose

    replace = renew

    def close(self) -> None:
        """Close its connections. Their loop may be closed by now, and can't be waited for."""
        pool: Any = self.value.connection_pool
        for connection in (*pool._available_connections, *pool._in_use_connections):  # noqa: SLF001 - the pool shows its connections nowhere else
            _drop(connection)
        pool.reset()


def _drop(connection: Any) -> None:
    writer = connection._writer  # noqa: SLF001 - only coroutines close it in public
    connection._reader = connection._writer = None  # noqa: SLF001 - the same
    if writer is None:
        return
    transport = writer.transport
    with contextlib.suppress(RuntimeError):  # its loop is closed: the transport can't say goodbye to it
        transport.abort()
        return
    sock = getattr(transport, "_sock", None)  # asyncio's own; it would be closed by the loop
    if sock is not None:
        sock.close()
        transport._sock = None  # noqa: SLF001 - otherwise it warns that nobody has closed it


def _library() -> Any:
    try:
        import redis
    except ImportError as error:
        raise ConfigError(
            "redis-py, which the fixture of a Redis resource is a client of, can't be imported",
            cause=str(error),
            fix="pip install 'seatrial[redis]'",
        ) from error
    return redis
