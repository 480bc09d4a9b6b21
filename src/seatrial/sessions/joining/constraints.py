"""Deferred constraints, checked where a savepoint stands for a commit."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

QUERY = """
SELECT pg_catalog.count(*),
       pg_catalog.string_agg(
           pg_catalog.quote_ident(n.nspname) || '.' || pg_catalog.quote_ident(c.conname), ', '
       ) FILTER (WHERE c.condeferred)
FROM pg_catalog.pg_constraint AS c JOIN pg_catalog.pg_namespace AS n ON n.oid = c.connamespace
WHERE c.condeferrable
"""


class Constraints:
    """The deferrable constraints of one PostgreSQL database, looked up at the first commit.

    Those that a test itself creates later are not seen: DDL belongs into a clone anyway.
    """

    def __init__(self) -> None:
        self._known = False
        self._any = False
        self._deferred = ""

    def learn(self, connection: Any) -> None:
        """Look them up, over a DBAPI connection, unless they are known."""
        if self._known:
            return
        cursor = connection.cursor()
        try:
            cursor.execute(QUERY)
            count, deferred = cursor.fetchone()
        finally:
            cursor.close()
        self._any, self._deferred, self._known = bool(count), deferred or "", True

    def forget(self) -> None:
        """The database was replaced."""
        self._known = False

    def check(self, run: Callable[[str], None]) -> None:
        """Check what is pending, and put each constraint back to how it was declared. Raises the driver's error."""
        if not self._any:
            return
        run("SET CONSTRAINTS ALL IMMEDIATE")
        if self._deferred:
            run(f"SET CONSTRAINTS {self._deferred} DEFERRED")
