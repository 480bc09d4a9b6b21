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
        script = self.begin_to_restore(connection)
        if script is not None:
            script.wait()

    def begin_to_restore(self, connection: Any) -> Script | None:
        """The same, as `begin_script` does it."""
        return begin_script(connection, self._script)


class Script:
    """Statements, some of which refuse a transaction, for an idle connection of psycopg's.

    From when this is made until `wait` is over nobody else can use the connection. What is open is rolled back.

    Raises:
        TimeoutError: somebody uses it; it can't be had.
        RuntimeError: somebody has begun to use it meanwhile.
    """

    def __init__(self, connection: Any, text: str) -> None:
        self._connection = connection
        self._text = text
        self._sent = False
        if connection.pgconn.transaction_status != IDLE:
            connection.rollback()
        self._lock = connection.lock
        if not self._lock.acquire(timeout=PATIENCE):
            raise TimeoutError("somebody uses it")
        if connection.pgconn.transaction_status != IDLE:
            self._lock.release()
            raise RuntimeError("somebody uses it again")

    def send(self) -> None:
        """Have the server begin. What goes wrong is raised by `wait`."""
        with suppress(Exception):  # whatever the driver raises
            self._send()

    def wait(self) -> None:
        """Wait until the server has done it. Raises the driver's error."""
        from psycopg import errors, generators

        try:
            self._send()
            found = self._connection.wait(generators.execute(self._connection.pgconn))
        finally:
            self._lock.release()
        for one in found:
            if one.status not in DONE:
                raise errors.error_from_result(one)

    def _send(self) -> None:
        """Once. What was broken off in the midst, as by a time-out, can't be sent again: libpq refuses."""
        if not self._sent:
            libpq = self._connection.pgconn
            # Without what a cursor costs, and a change of its autocommit.
            libpq.send_query(self._text.encode(self._connection.info.encoding))
            libpq.flush()
            self._sent = True


def begin_script(connection: Any, script: str) -> Script | None:
    """Statements for an idle connection of a sync driver; those for another driver than psycopg are done by now: None.

    Raises the driver's error, and what `Script` does.
    """
    if hasattr(connection, "pgconn"):
        return Script(connection, script)
    _run_by_cursor(connection, script)
    return None


def finish(script: Script, otherwise: Callable[[], object]) -> bool:
    """Wait for the script, and call `otherwise` where it fails, or is broken off as by a time-out.

    Returns whether it was done.
    """
    done = False
    try:
        with suppress(Exception):  # whatever the driver raises, a new connection is the answer
            script.wait()
            done = True
    finally:
        if not done:
            otherwise()
    return done


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


def backend(connection: Any) -> int:
    """The server's process id behind a driver's connection (psycopg, psycopg2, asyncpg); 0 where it does not tell."""
    if hasattr(connection, "get_server_pid"):
        return int(connection.get_server_pid())
    return int(getattr(getattr(connection, "info", None), "backend_pid", 0) or 0)
