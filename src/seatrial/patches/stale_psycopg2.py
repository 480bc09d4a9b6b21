"""Pools of psycopg2 that lend no connections to a database that was replaced."""

from __future__ import annotations

from functools import partial
from types import ModuleType
from typing import Any

from seatrial.patches.lending.generations import Generations, Stamp, address_of
from seatrial.patches.replacing import Changes, Replacing


def stale_psycopg2(generations: Generations) -> Replacing:
    """Each connection of a pool is stamped when it is opened; stale ones are closed when one is asked for."""
    return Replacing("psycopg2 pools: replace stale connections", "psycopg2.pool", partial(_change, generations))


def _change(generations: Generations, module: ModuleType, changes: Changes) -> None:
    from weakref import WeakKeyDictionary

    kind: Any = module.AbstractConnectionPool
    connect, lend = kind._connect, kind._getconn  # noqa: SLF001  # its subclasses' only ways to a connection
    stamps: WeakKeyDictionary[Any, Stamp] = WeakKeyDictionary()

    def stamping(pool: Any, key: Any = None) -> Any:
        moment = generations.moment()
        connection = connect(pool, key)
        where = address_of(connection)
        if where is not None:
            stamps[connection] = generations.stamp(*where, moment)
        return connection

    def checking(pool: Any, key: Any = None) -> Any:
        idle = pool._pool  # noqa: SLF001  # as above
        for connection in [each for each in idle if each in stamps and generations.stale(stamps[each])]:
            idle.remove(connection)
            connection.close()
        return lend(pool, key)

    changes.replace(kind, "_connect", stamping)
    changes.replace(kind, "_getconn", checking)
