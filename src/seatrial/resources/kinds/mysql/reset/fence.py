"""Who is still in a transaction on a database: given a moment, then ended, and named."""

from __future__ import annotations

import contextlib
import re

from seatrial.core import wait
from seatrial.resources.kinds.mysql.connection import Link, literal
from seatrial.resources.protocol import Ended

PATIENCE = 0.25
"""Seconds in which whoever is in a transaction may end it."""
_ACTIVE = re.compile(r"---TRANSACTION [^\n]*\bACTIVE\b.*?(?:MySQL|MariaDB) thread id (\d+)", re.DOTALL)
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
    rows = link.rows(
        f"SELECT id, user, COALESCE(info, ''), command FROM information_schema.processlist "
        f"WHERE id IN ({', '.join(pids)}) AND db = {literal(database)}"
    )
    return tuple(
        Ended(pid=int(pid), application=str(user), query=str(query), state=str(state))
        for pid, user, query, state in rows
    )


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


def kill(link: Link, pid: int) -> None:
    """End one connection, if it is still there."""
    import pymysql

    with contextlib.suppress(pymysql.err.MySQLError):
        link.run(f"KILL {pid}")


def end_all(link: Link, database: str) -> None:
    """End every connection to the database."""
    for (pid,) in link.rows(
        f"SELECT id FROM information_schema.processlist WHERE db = {literal(database)} AND id <> {link.pid}"
    ):
        kill(link, pid)
