"""Whether an open transaction has written something, before it is rolled back: the connection knows, at little cost."""

from __future__ import annotations

from contextlib import suppress
from typing import Any

_IN_TRANSACTION = 2
"""PQTRANS_INTRANS: idle, within a transaction block that has not failed."""
_ASK = "select 1 where pg_current_xact_id_if_assigned() is not null"
"""One row where the transaction has a number, which PostgreSQL gives to the first that it writes (or locks a row)."""


def wrote(connection: Any) -> bool:
    """Whether a driver's connection (sqlite3, psycopg, psycopg2) would lose something by a rollback.

    One round trip where a transaction of PostgreSQL's is open, none otherwise. False where the driver can't tell.
    """
    with suppress(Exception):  # a connection that broke has lost it already, and says so itself
        if hasattr(connection, "total_changes"):  # of SQLite: also where somebody has sent BEGIN and only read
            return bool(connection.in_transaction and connection.total_changes)
        if getattr(connection, "info", None) is None or connection.info.transaction_status != _IN_TRANSACTION:
            return False
        if hasattr(connection, "pgconn"):  # below psycopg, whose adapters and factories are the fixture's own
            return bool(connection.pgconn.exec_(_ASK.encode()).ntuples)  # within a pipeline it refuses
        with connection.cursor() as cursor:
            cursor.execute(_ASK)
            return cursor.fetchone() is not None
    return False


async def wrote_async(connection: Any) -> bool:
    """The same for those of async drivers (asyncpg, aiosqlite, psycopg), on their loop."""
    if not hasattr(connection, "is_in_transaction"):
        return wrote(connection)
    with suppress(Exception):
        return connection.is_in_transaction() and await connection.fetchval(_ASK) is not None
    return False


def pending(session: Any) -> bool:
    """Whether a (sync) session of SQLAlchemy's has objects that it would write at the next flush."""
    return bool(session.new or session.deleted or any(session.is_modified(one) for one in session.dirty))
