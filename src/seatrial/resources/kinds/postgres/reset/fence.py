"""End what still runs when a test is over: connections in a transaction, and transactions that were prepared."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from seatrial.core import wait
from seatrial.resources.protocol import Ended

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from seatrial.resources.kinds.postgres.connection import Link

PATIENCE = 0.2
"""Seconds that a connection gets to finish what it does."""
POLL = 0.003
GONE = 5.0
"""Seconds that a connection may take to die once it was told to."""

BUSY = """(oid, int[]) as
select a.pid, coalesce(a.application_name, ''), coalesce(a.query, ''), coalesce(a.state, 'starting')
from pg_stat_get_activity(null) a
where a.datid = $1 and a.backend_type = 'client backend' and a.pid <> all($2) and a.state is distinct from 'idle'
"""
PREPARED = """
union all
select 0, '', p.gid, 'prepared' from pg_prepared_xact() p where p.dbid = $1
"""


class Fence:
    """Waits for, then ends, whatever holds a transaction in one database.

    Args:
        admin: a connection of ours to another database.
        database: the oid of the database.
        patience: seconds to wait before anything is ended.
        prepared: whether the server allows prepared transactions.
    """

    def __init__(self, admin: Link, database: int, *, patience: float = PATIENCE, prepared: bool = True) -> None:
        self.prepared: Mapping[str, str] = {"busy": BUSY + PREPARED if prepared else BUSY}
        """The statements that `script` executes."""
        self._admin = admin
        self._database = database
        self._patience = patience

    def script(self, own: Iterable[int]) -> str:
        """A statement that gives what is busy, besides `own`: connections, and prepared transactions with pid 0."""
        return f"EXECUTE busy({self._database}, '{{{','.join(map(str, own))}}}')"

    def settle(self, own: Sequence[int], busy: Sequence[tuple[Any, ...]]) -> tuple[Ended, ...]:
        """Give connections that are busy a moment, then end them. Returns what was ended."""
        until = wait.now() + self._patience
        while any(row[0] for row in busy) and wait.now() < until:
            wait.pause(POLL)
            busy = self._admin.rows(self.script(own), self.prepared)
        ended = tuple(_ended(row) for row in busy if row[0])
        if ended:
            self.end([one.pid for one in ended])
        return ended

    def idle(self, own: Sequence[int]) -> tuple[Ended, ...]:
        """End every other connection to the database, idle ones too."""
        rows = self._admin.rows(
            f"""select pid, coalesce(application_name, ''), coalesce(query, ''), coalesce(state, 'starting')
            from pg_stat_activity where datid = {self._database} and backend_type = 'client backend'
            and pid <> all('{{{",".join(map(str, own))}}}'::int[])"""
        )
        ended = tuple(_ended(row) for row in rows)
        if ended:
            self.end([one.pid for one in ended])
        return ended

    def end(self, pids: Sequence[int]) -> None:
        """End these connections, and wait until they are gone: only then are their locks."""
        listed = ",".join(map(str, pids))
        self._admin.run(f"select pg_terminate_backend(pid) from unnest('{{{listed}}}'::int[]) pid")
        until = wait.now() + GONE
        gone = f"select count(*) from pg_stat_get_activity(null) where pid = any('{{{listed}}}'::int[])"
        while self._admin.rows(gone)[0][0] and wait.now() < until:
            wait.pause(POLL)


def _ended(row: tuple[Any, ...]) -> Ended:
    pid, application, query, state = row
    return Ended(pid=pid, application=application, query=query, state=state)
