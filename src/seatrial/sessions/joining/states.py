"""What a server's errors say of a transaction: SQLSTATEs of PostgreSQL, whichever driver raises them."""

from __future__ import annotations

LOST = ("3B001", "25P01")
"""No such savepoint; no transaction: the outer transaction is not there any more."""
FAILED = "25P02"
"""The transaction has failed: all but a rollback is refused."""
NOT_TO_DEFER = ("42704", "3F000", "42809")
"""No such constraint; no such schema; one that is not deferrable: that was altered, or dropped."""


def sqlstate(error: BaseException) -> str:
    """The five letters of the SQL standard, from any driver's error; empty where there are none."""
    return str(getattr(error, "sqlstate", None) or getattr(error, "pgcode", None) or "")
