"""A worker's share of a server's connections: a row of our own database, which counts while its run has its lock."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

from seatrial.errors import ProviderError
from seatrial.resources.kinds.mysql.connection import literal
from seatrial.resources.kinds.mysql.databases import ADOPTED, LIST, OURS, WORKERS
from seatrial.resources.kinds.mysql.locks import run_lock
from seatrial.resources.sharing.budget import Budget, Seen, read

if TYPE_CHECKING:
    from seatrial.resources.kinds.mysql.connection import Link
    from seatrial.resources.kinds.mysql.locks import Locks
    from seatrial.resources.protocol import Endpoint, ServerSpec

OWN = 3
"""What a worker of ours takes at most: for its databases, for the schema or the audit, for the fixture."""
_TURN = 90
"""Seconds to wait for others who ask: a machine that is lost while it asks is noticed within a minute."""
_ROOM = f"""
SELECT @@GLOBAL.max_connections, @@SESSION.max_user_connections,
  SUM(db = '{OURS}' OR db IN (SELECT name FROM {LIST} WHERE what <> '{ADOPTED}')),
  SUM(user = SUBSTRING_INDEX(USER(), '@', 1))
FROM information_schema.processlist
"""
"""What the server allows, what our account is allowed, who is with us, and who has our account."""


def budget(link: Link, locks: Locks, endpoint: Endpoint, spec: ServerSpec, run: str) -> Budget:
    """The share of the worker whose lock is that of `run`."""
    most, share = read(spec.data, OWN)
    return Budget(endpoint, partial(ask, link, locks, run), most=most, share=share)


def ask(link: Link, locks: Locks, run: str, share: int, most: int) -> Seen:
    """What there is; the share is taken if there are as many left of `most`."""
    if not locks.take("budget", _TURN):
        raise ProviderError(
            f"this worker waited {_TURN} s for its turn to count the connections that the workers of all machines have",
            cause="another worker has the lock for that count and hangs: its machine may be stopped or suspended",
            fix=f'look for a connection to the database "{OURS}" in SHOW PROCESSLIST, and end it with KILL',
        )
    try:
        others = link.rows(f"SELECT run, share FROM {WORKERS}")
        gone = locks.free([run_lock(one) for one, _ in others])
        lost = [one for (one, _), free in zip(others, gone, strict=True) if free]
        if lost:
            link.run(f"DELETE FROM {WORKERS} WHERE run IN ({', '.join(map(literal, lost))})")
        shares = [taken for one, taken in others if one not in lost]
        used, free = sum(shares), _free(link)
        fits = used + share <= min(most, free)
        if fits:
            take = f"REPLACE INTO {WORKERS} VALUES ({literal(run)}, {share})"
            link.run(take)
            link.lasting.append(take)
        return Seen(used=used, workers=len(shares), free=free, taken=fits)
    finally:
        locks.give_back("budget")


def _free(link: Link) -> int:
    """What the server leaves to us, all workers together."""
    (_, connected) = link.rows("SHOW GLOBAL STATUS LIKE 'Threads_connected'")[0]
    most, of_account, ours, with_account = map(int, link.rows(_ROOM)[0])
    free = most - (int(connected) - ours)
    return min(free, of_account - (with_account - ours)) if of_account else free
