"""What joined transactions must know of the database: its deferrable constraints, and functions that may write."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from typing import Any

from seatrial.sessions.joining.states import NOT_TO_DEFER, sqlstate

_ASIDE = "seatrial_aside"

QUERY = """
SELECT pg_catalog.count(*),
       pg_catalog.array_agg(
           pg_catalog.quote_ident(n.nspname) || '.' || pg_catalog.quote_ident(c.conname)
       ) FILTER (WHERE c.condeferred),
       (SELECT pg_catalog.array_agg(DISTINCT p.proname::pg_catalog.text)
        FROM pg_catalog.pg_proc AS p JOIN pg_catalog.pg_language AS l ON l.oid = p.prolang
             JOIN pg_catalog.pg_namespace AS s ON s.oid = p.pronamespace
        WHERE p.provolatile = 'v' AND p.prokind = 'f' AND l.lanname NOT IN ('internal', 'c')
              AND s.nspname NOT IN ('pg_catalog', 'information_schema'))
FROM pg_catalog.pg_constraint AS c JOIN pg_catalog.pg_namespace AS n ON n.oid = c.connamespace
WHERE c.condeferrable
"""


class Schema:
    """What one PostgreSQL database has, looked up when the first outer transaction is opened.

    What a test itself creates later is not seen: DDL belongs into a clone anyway.
    """

    def __init__(self) -> None:
        self._known = False
        self._any = False
        self._deferred: tuple[str, ...] = ()
        self._volatile: re.Pattern[str] | None = None

    def learn(self, connection: Any) -> None:
        """Look it up, over a DBAPI connection, unless it is known."""
        if self._known:
            return
        cursor = connection.cursor()
        try:
            cursor.execute(QUERY)
            count, deferred, volatile = cursor.fetchone()
        finally:
            cursor.close()
        self._any, self._deferred, self._known = bool(count), tuple(deferred or ()), True
        names = "|".join(map(re.escape, volatile or ()))
        self._volatile = re.compile(rf'\b({names})"?\s*\(', re.IGNORECASE) if names else None

    def forget(self) -> None:
        """The database was replaced."""
        self._known = False

    def may_write(self, text: str) -> bool:
        """Whether a statement calls a function of the schema's that is not declared STABLE or IMMUTABLE."""
        return self._volatile is not None and self._volatile.search(text) is not None

    def check(self, run: Callable[[str], None]) -> None:
        """Check what is pending, and put each constraint back to how it was declared. Raises the driver's error."""
        if not self._any:
            return
        run("SET CONSTRAINTS ALL IMMEDIATE")
        if not self._defer(run, self._deferred):
            for name in self._deferred:
                self._defer(run, [name])

    @staticmethod
    def _defer(run: Callable[[str], None], names: Sequence[str]) -> bool:
        """Have constraints wait for the next check; False where the test has dropped or altered one."""
        if not names:
            return True
        run(f"SAVEPOINT {_ASIDE}")
        there = True
        try:
            run(f"SET CONSTRAINTS {', '.join(names)} DEFERRED")
        except Exception as error:
            if sqlstate(error) not in NOT_TO_DEFER:
                raise
            there = False
            run(f"ROLLBACK TO SAVEPOINT {_ASIDE}")
        run(f"RELEASE SAVEPOINT {_ASIDE}")
        return there
