"""End what still runs when a test is over: connections in a transaction, and transactions that were prepared."""

from __future__ import annotations

from contextlib import suppress
from typing import TYPE_CHECKING, Any

from seatrial.core import wait
from seatrial.resources.kinds.postgres.connection import MAY_END, literal
from seatrial.resources.protocol import Ended

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from seatrial.resources.kinds.postgres.connection import Link

PATIENCE = 0.2
"""Seconds that a connection gets to finish what it does."""
SOON, POLL = 0.0003, 0.003
"""Seconds until it is asked again: twice as long each time, from the first to the second."""
GONE = 5.0
"""Seconds that a connection may take to die once it was told to."""

BUSY = """
select a.pid, coalesce(a.application_name, ''), coalesce(a.query, ''), coalesce(a.state, 'starting')
from pg_stat_get_activity(null) a
where a.datid = {database} and a.backend_type = 'client backend' and a.pid <> all({own})
  and a.pid <> pg_backend_pid() and a.state is distinct from 'idle'
"""
ANY = """
select a.pid from pg_stat_get_activity(null) a
where a.datid = {database} and a.pid <> all({own}) and a.pid <> pg_backend_pid()
  and (a.xact_start is not null or a.state = 'idle in transaction (aborted)')
"""
"""The same without words, and with the server's own workers: for who sees everybody.

A transaction that has failed, and waits for its ROLLBACK, has no start any more. (To ask for each backend by the
`pg_stat_get_backend_` functions takes 35 us in place of 55, but none of them tells the state.)
"""
PREPARED_ANY = """
union all
select 0 from pg_prepared_xact() p where p.dbid = {database}
"""
PREPARED = """
union all
select 0, '', p.gid, 'prepared' from pg_prepared_xact() p where p.dbid = {database}
"""
SLOTS_ANY = """
union all
select coalesce(s.active_pid, 0) from pg_get_replication_slots() s
where s.datoid = {database} and not s.temporary and s.slot_name <> all({slots})
"""
SLOTS = """
union all
select coalesce(s.active_pid, 0), '', concat(case when s.active then 'START_REPLICATION SLOT ' end, s.slot_name), 'slot'
from pg_get_replication_slots() s
where s.datoid = {database} and not s.temporary and s.slot_name <> all({slots})
"""
"""Logical replication slots that a test has made. The log says nothing of them."""

DROP_SLOT = """
select pg_drop_replication_slot(slot_name) from pg_replication_slots
where slot_name = {} and not temporary and not active
"""
"""One that is gone by now, or is used again, is no error: the next question finds it."""


class Fence:
    """Waits for, then ends, whatever holds a transaction in one database.

    Args:
        admin: a connection of ours to another database.
        database: the oid of the database.
        patience: seconds to wait before anything is ended.
        prepared: whether the server allows prepared transactions.
        sees: whether our role is told what anybody does.
        slots: whether there can be logical replication slots, and our role may drop them.
    """

    def __init__(
        self,
        admin: Link,
        database: int,
        *,
        patience: float = PATIENCE,
        prepared: bool = True,
        sees: bool = False,
        slots: bool = False,
    ) -> None:
        busy, anybody = (BUSY + PREPARED, ANY + PREPARED_ANY) if prepared else (BUSY, ANY)
        self._slots: list[str] | None = None
        """Slots that were there when the test began."""
        if slots:
            self._slots = []
            busy, anybody = busy + SLOTS, anybody + SLOTS_ANY
        self.anybody = anybody if sees else busy
        """Who is busy, besides {own} and those of {slots}, in {database}: to be put into a statement."""
        self._busy = {"busy": self._prepare(busy)}
        self.prepared: Mapping[str, str] = {"anybody": self._prepare(anybody)} if sees else self._busy
        """The statement that `question` executes."""
        self._admin = admin
        self._database = database
        self._patience = patience

    def question(self, own: Iterable[int]) -> str:
        """A statement, for any connection of ours: no rows if nobody is busy, besides `own`; else ask `busy`."""
        (name,) = self.prepared
        return self._execute(name, own)

    def busy(self, own: Iterable[int]) -> list[tuple[Any, ...]]:
        """What is busy, besides `own`: connections, and prepared transactions with pid 0."""
        return self._admin.rows(self._execute("busy", own), self._busy)

    def begin(self) -> None:
        """A test begins: the replication slots that are there now are not its own."""
        if self._slots is not None:
            rows = self._admin.rows("select slot_name::text from pg_replication_slots where slot_type = 'logical'")
            self._slots = [name for (name,) in rows]

    def clear(self, own: Sequence[int], inside: Link) -> tuple[tuple[Ended, ...], list[str]]:
        """End what is busy, roll back what was prepared, by `inside`, and drop slots; returns notes, too."""
        busy = self.busy(own)
        if not busy:
            return (), []
        ended = self.settle(own, busy)
        busy = self.busy(own)
        notes = self.roll_back(busy, inside)
        for pid, _, name, state in busy:
            if not pid and state == "slot" and self._admin.rows(DROP_SLOT.format(literal(name))):
                notes.append(f'the replication slot "{name}" was dropped')
        return ended, notes

    @staticmethod
    def roll_back(busy: Sequence[tuple[Any, ...]], inside: Link) -> list[str]:
        """Roll back what was prepared, of what is `busy`, and was not ended meanwhile; returns notes."""
        import psycopg

        notes = []
        for pid, _, name, state in busy:
            if not pid and state == "prepared":
                with suppress(psycopg.errors.UndefinedObject):
                    inside.run(f"ROLLBACK PREPARED {literal(name)}")
                    notes.append(f'the prepared transaction "{name}" was rolled back')
        return notes

    def settle(self, own: Sequence[int], busy: Sequence[tuple[Any, ...]]) -> tuple[Ended, ...]:
        """Give connections that are busy a moment, then end them. Returns what was ended."""
        until, soon = wait.now() + self._patience, SOON
        while any(row[0] for row in busy) and wait.now() < until:
            wait.pause(soon)
            soon = min(2 * soon, POLL)
            busy = self.busy(own)
        ended = tuple(_ended(row) for row in busy if row[0])
        if ended:
            self.end([one.pid for one in ended])
        return ended

    def used(self, own: Sequence[int], *, since: str = "") -> tuple[Ended, ...]:
        """The other connections to the database; those which, `since` a time of the server's, ran something then."""
        then = (
            f" and greatest(backend_start, xact_start, query_start) >= {literal(since)}::timestamptz" if since else ""
        )
        rows = self._admin.rows(
            f"""select pid, coalesce(application_name, ''), coalesce(query, ''), coalesce(state, 'starting')
            from pg_stat_activity where datid = {self._database} and backend_type = 'client backend'
            and pid <> all('{{{",".join(map(str, own))}}}'::int[]){then}"""
        )
        return tuple(_ended(row) for row in rows)

    def idle(self, own: Sequence[int]) -> tuple[Ended, ...]:
        """End every other connection to the database that our role may end, idle ones too."""
        found = self.used(own)
        if not found:
            return ()
        listed = ",".join(str(one.pid) for one in found)
        may = self._admin.rows(
            f"""select a.pid from pg_stat_activity a join pg_roles r on r.oid = a.usesysid
            where a.pid = any('{{{listed}}}') and {MAY_END}"""
        )
        ended = tuple([one for one in found if (one.pid,) in may])
        if ended:
            self.end([one.pid for one in ended])
        return ended

    def excused(self, own: Iterable[int]) -> str:
        """Of the question, as SQL: our own processes, and the slots that are nobody's affair."""
        slots = ",".join(self._slots or ())  # of a-z, 0-9 and _
        return f"'{{{','.join(map(str, own))}}}', '{{{slots}}}'"

    def _execute(self, name: str, own: Iterable[int]) -> str:
        return f"EXECUTE {name}({self._database}, {self.excused(own)})"

    @staticmethod
    def _prepare(question: str) -> str:
        return f"(oid, int[], name[]) as {question.format(database='$1', own='$2', slots='$3')}"

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
