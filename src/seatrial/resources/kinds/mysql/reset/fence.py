"""Who is still in a transaction on a database: given a moment, then ended, and named."""

from __future__ import annotations

import contextlib
import re
from collections.abc import Sequence
from typing import Any

from seatrial.core import wait
from seatrial.resources.kinds.mysql.connection import Link, literal
from seatrial.resources.protocol import Ended

PATIENCE = 0.25
"""Seconds in which whoever is in a transaction may end it."""
_ACTIVE = re.compile(r"---TRANSACTION [^\n]*\bACTIVE\b.*?(?:MySQL|MariaDB) thread id (\d+)", re.DOTALL)
_WHO = "id, user, COALESCE(info, ''), command FROM information_schema.processlist"
_AT_REST = "Sleep"
"""The command of a connection that waits for its client; what that client has sent last is not told."""
_SECTION = re.compile(r"(?=---TRANSACTION )")


def at_work(link: Link, database: str) -> tuple[Ended, ...]:
    """Connections to the database that are in a transaction now.

    InnoDB tells them in its status: information_schema.innodb_trx has what was true up to 100 ms ago.
    """
    (text,) = (row[2] for row in link.rows("SHOW ENGINE INNODB STATUS"))
    active = [found[1] for part in _SECTION.split(text) if (found := _ACTIVE.match(part))]
    pids = [pid for pid in active if int(pid) != link.pid]
    if not pids:
        return ()
    rows = link.rows(f"SELECT {_WHO} WHERE id IN ({', '.join(pids)}) AND db = {literal(database)}")
    return tuple(_named(row, at_rest="idle in transaction") for row in rows)


def settle(link: Link, database: str, patience: float = PATIENCE) -> tuple[Ended, ...]:
    """Wait for a moment, then end whoever is left. Returns whom."""
    left = at_work(link, database)
    if not left:
        return ()

    def gone() -> bool:
        nonlocal left
        left = at_work(link, database)
        return not left

    if wait.until(gone, timeout=patience):
        return ()
    for one in left:
        kill(link, one.pid)
    ended = left
    wait.until(gone, timeout=10 * patience)  # its transaction is being rolled back
    return ended


def kill(link: Link, pid: int) -> bool:
    """End one connection; False if it is no longer there, or is not ours to end."""
    import pymysql

    with contextlib.suppress(pymysql.MySQLError):
        link.run(f"KILL {pid}")
        return True
    return False


def roll_back(link: Link, branches: Sequence[str]) -> None:
    """Roll back branches of two-phase transactions that were prepared: they outlive their connections."""
    import pymysql

    for branch in branches:
        with contextlib.suppress(pymysql.MySQLError):  # it has ended meanwhile
            link.run(f"XA ROLLBACK {branch}")


def end_all(link: Link, database: str, own: Sequence[int] = ()) -> tuple[Ended, ...]:
    """End every connection to the database besides `own`, idle ones too. Returns whom."""
    rows = link.rows(f"SELECT {_WHO} WHERE db = {literal(database)}")
    found = [_named(row, at_rest="idle") for row in rows]
    return tuple(one for one in found if one.pid not in (link.pid, *own) and kill(link, one.pid))


def _named(row: tuple[Any, ...], at_rest: str) -> Ended:
    pid, user, query, command = row
    state = at_rest if command == _AT_REST else "active"
    return Ended(pid=int(pid), application=str(user), query=str(query), state=state)
