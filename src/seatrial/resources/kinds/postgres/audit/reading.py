"""The audit's own connection: settings under which equal values always have equal text."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import closing, contextmanager
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import psycopg

SETTINGS: Mapping[str, str] = {
    # What the text of a value depends on.
    "bytea_output": "hex",
    "client_encoding": "UTF8",
    "datestyle": "ISO, YMD",
    "extra_float_digits": "3",
    "intervalstyle": "postgres",
    "lc_monetary": "C",
    "lc_numeric": "C",
    "lc_time": "C",
    "quote_all_identifiers": "off",
    "search_path": "pg_catalog, pg_temp",
    "timezone": "UTC",
    "xmlbinary": "base64",
    # What may be hidden: rows by a policy (this makes it an error), rows that an index does not know.
    "enable_bitmapscan": "off",
    "enable_indexonlyscan": "off",
    "enable_indexscan": "off",
    "row_security": "off",
    # What a test may have set for the whole database.
    "default_transaction_deferrable": "off",
    "idle_in_transaction_session_timeout": "0",
    "jit": "off",
    "lock_timeout": "10s",
    "max_parallel_workers_per_gather": "0",
    "statement_timeout": "0",
    "transaction_timeout": "0",
}
"""Set on the connection, whatever role, database or server say, as far as the server knows them."""


@contextmanager
def reading(connect: Callable[[], psycopg.Connection[Any]]) -> Iterator[psycopg.Connection[Any]]:
    """A new connection in one read-only transaction: everything is read at the same moment.

    It is closed at the end. A lock that is held for more than ten seconds ends as `psycopg.errors.LockNotAvailable`.
    """
    import psycopg

    with closing(connect()) as connection:
        connection.rollback()
        connection.autocommit = True
        connection.execute(
            "select set_config(name, value, false) from unnest(%s::text[], %s::text[]) as wanted(name, value) "
            "where current_setting(name, true) is not null",
            (list(SETTINGS), list(SETTINGS.values())),
        )
        connection.autocommit = False
        connection.read_only = True
        connection.isolation_level = psycopg.IsolationLevel.REPEATABLE_READ
        yield connection
        connection.rollback()


def ask(
    connection: psycopg.Connection[Any], query: str, parameters: Mapping[str, Any] | None = None
) -> list[tuple[Any, ...]]:
    """Every row of `query`, which is SQL of ours with identifiers that the server has quoted."""
    from psycopg.rows import tuple_row

    with connection.cursor(row_factory=tuple_row) as cursor:
        return cursor.execute(query.encode(), parameters).fetchall()
