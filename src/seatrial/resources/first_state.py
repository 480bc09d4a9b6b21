"""What a test leaves in a PostgreSQL connection besides its transaction (settings, locks, ...), put back."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import suppress
from typing import Any

OWN = "seatrial_own"
"""A key in the `info` of SQLAlchemy's connections that are the test's own: the pools' patches leave them alone."""
FIRST = (
    "SELECT name, setting FROM pg_catalog.pg_settings WHERE source = 'session' UNION ALL "
    "SELECT 'role', pg_catalog.current_setting('role') WHERE pg_catalog.current_setting('role') <> 'none'"
)
FORGET = (
    "CLOSE ALL; RESET SESSION AUTHORIZATION; RESET ALL; UNLISTEN *; "
    "SELECT pg_catalog.pg_advisory_unlock_all(); DISCARD SEQUENCES; DISCARD TEMP"
)
"""DISCARD ALL without DEALLOCATE ALL: drivers go on to use the statements that they have prepared."""
IDLE = 0
"""PQTRANS_IDLE: connected, and in no transaction."""
DONE = (1, 2)
"""PGRES_COMMAND_OK and PGRES_TUPLES_OK, as libpq numbers them."""
PATIENCE = 1.0
"""Seconds that a thread of the app's gets to let go of a connection that it has given back."""


class FirstState:
    """How one PostgreSQL connection looked when it was opened: the settings that its opener made.

    RESET ALL goes back to what the server, the role and the URL say, and so would lose what a listener of
    the app's pool has SET; `restore` makes those again. One round trip.
    """

    def __init__(self, connection: Any, *, forget: str = FORGET) -> None:
        cursor = connection.cursor()
        try:
            cursor.execute(FIRST)
            rows = cursor.fetchall()
        finally:
            cursor.close()
            connection.rollback()
        self._script = restoring(rows, forget=forget)

    def restore(self, connection: Any) -> None:
        """Raises the driver's error where that fails: the connection is then of no more use."""
        self.begin_to_restore(connection)()

    def begin_to_restore(self, connection: Any) -> Callable[[], None]:
        """The same, without waiting for the server: what it returns does, and raises."""
        return begin_script(connection, self._script)


def begin_script(connection: Any, script: str) -> Callable[[], None]:
    """Send statements, some of which refuse a transaction, on an idle connection of a sync driver.

    Returns what waits for the answer: a connection of psycopg's is locked till then, those of other drivers are done by
    now. What is open is rolled back. Raises the driver's error, as does what is returned.
    """
    libpq = getattr(connection, "pgconn", None)
    if libpq is None:
        _run_by_cursor(connection, script)
        return _done
    if libpq.transaction_status != IDLE:
        connection.rollback()
    lock = connection.lock
    if not lock.acquire(timeout=PATIENCE):
        raise TimeoutError("somebody uses it")

    def wait() -> None:
        from psycopg import errors, generators

        try:
            found = connection.wait(generators.execute(libpq))
        finally:
            lock.release()
        for one in found:
            if one.status not in DONE:
                raise errors.error_from_result(one)

    if libpq.transaction_status != IDLE:
        lock.release()
        raise RuntimeError("somebody uses it again")
    try:
        # Without what a cursor costs, and a change of its autocommit.
        libpq.send_query(script.encode(connection.info.encoding))
        libpq.flush()
    except BaseException:
        lock.release()
        raise
    return wait


def finish(wait: Callable[[], None], otherwise: Callable[[], object]) -> None:
    """Call what `begin_script` has returned, and `otherwise` where that fails, or is broken off as by a time-out."""
    done = False
    try:
        with suppress(Exception):  # whatever the driver raises, a new connection is the answer
            wait()
            done = True
    finally:
        if not done:
            otherwise()


def _done() -> None:
    """Nothing is left to wait for."""


def _run_by_cursor(connection: Any, script: str) -> None:
    connection.rollback()
    before, connection.autocommit = connection.autocommit, True
    try:
        with connection.cursor() as cursor:
            cursor.execute(script)
    finally:
        connection.autocommit = before


def restoring(rows: Sequence[Any], *, forget: str = FORGET) -> str:
    """The statements that bring a connection back into the state of which `FIRST` gave these rows."""
    return "; ".join([forget, *(_set(name, setting) for name, setting in rows)])


def _set(name: str, value: str) -> str:
    return f"SELECT pg_catalog.set_config({_literal(name)}, {_literal(value)}, false)"


def _literal(text: str) -> str:
    escaped = text.replace("\\", "\\\\").replace("'", "''")
    return f"E'{escaped}'"
