"""What runs that were killed have done to the whole of a server of ours: who comes next puts it back.

A server that lasts keeps a record: which databases each run's copies were, and, since nobody had one, what there was
besides databases. The log tells what was written from within those of a run that is gone.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from seatrial.errors import IsolationError
from seatrial.resources.kinds.postgres.connection import literal
from seatrial.resources.kinds.postgres.finding.log import FOUND, HUB, Written
from seatrial.resources.kinds.postgres.naming import lock_number
from seatrial.resources.kinds.postgres.shared.rows import RESTORED, Row, Rows, read
from seatrial.resources.kinds.postgres.shared.state import Ours, SharedState

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from seatrial.resources.kinds.postgres.connection import Link

_RECORD = """
create table if not exists seatrial_copies (oid oid, name text, run text, since pg_lsn);
create table if not exists seatrial_before (found jsonb)
"""
_LOCK = lock_number("leftovers")
_NO_DATABASE = 2**32 - 1
"""The copies of runs that are gone are gone as well, with what was only theirs."""


class Leftovers:
    """The record of one server of ours.

    Args:
        admin: our connection to the maintenance database, which has the record.
        reader: our connection that reads the log.
        run: our own.
        able: whether the server is ours, and its log tells in which database a transaction ran; if not, nothing is
            recorded, and nothing is put back.
    """

    def __init__(self, admin: Link, reader: Link, run: str, *, able: bool) -> None:
        self._admin = admin
        self._reader = reader
        self._run = run
        self._able = able

    def clear(self, lives: Callable[[str], bool]) -> None:
        """Put back what the runs that do not live have left; one after the other, where several begin at once."""
        if not self._able:
            return
        self._admin.run(f"SELECT pg_advisory_lock({_LOCK}); {_RECORD}")
        try:
            noted = self._admin.rows("select oid::bigint, run, since::text from seatrial_copies order by since")
            living = {run: lives(run) for run in {run for _, run, _ in noted}}
            dead = [(oid, since) for oid, run, since in noted if not living[run]]
            if dead:
                if not self._put_back([oid for oid, _ in dead], dead[0][1]) and any(living.values()):
                    return  # who comes when they have ended tries again
                listed = ",".join(str(oid) for oid, _ in dead)
                self._admin.run(f"DELETE FROM seatrial_copies WHERE oid = any('{{{listed}}}'::oid[])")
            if not any(living.values()):
                self._record()
        finally:
            self._admin.run(f"SELECT pg_advisory_unlock({_LOCK})")

    def note(self, name: str, oid: int) -> int:
        """The copy `name` of our run is this database from here on, which is returned."""
        if self._able:
            self._admin.run(
                f"INSERT INTO seatrial_copies VALUES ({oid}, {literal(name)}, {literal(self._run)}, "
                "pg_current_wal_insert_lsn())"
            )
        return oid

    def dropped(self, name: str) -> None:
        """The copy `name` of our run has come to its end, and nothing is left of it."""
        if self._able:
            self._admin.run(f"DELETE FROM seatrial_copies WHERE (name, run) = ({literal(name)}, {literal(self._run)})")

    def kept(self, name: str) -> None:
        """The database `name` outlives our run: what is done from within it is somebody's own affair."""
        if self._able:
            own = f"select oid from pg_database where datname = {literal(name)}"
            self._admin.run(f"DELETE FROM seatrial_copies WHERE oid = ({own})")

    def _put_back(self, copies: Sequence[int], since: str) -> bool:
        """False where it may be done later: somebody stands in the way now."""
        import psycopg

        [found] = self._admin.rows("select max(found::text) from seatrial_before")
        if found[0] is None:
            return True
        state = SharedState(self._admin, self._reader, _NO_DATABASE, "SELECT", Ours(clones={*copies}))
        try:
            written = self._written(since)
            told = state.ends(written)
            if told is None:
                return True
            state.recall(_read(found[0]), written)
        except psycopg.Error:
            return True  # the log is gone, and nobody is there who could be told
        try:
            state.restore_after(written, told, _NO_DATABASE)
        except (IsolationError, psycopg.Error):
            return False
        return True

    def _written(self, since: str) -> Written:
        flushed = self._reader.run("BEGIN; SELECT pg_logical_emit_message(true, 'seatrial', '')::text; COMMIT")
        written = Written(since=since, until=flushed[1].rows[0][0])
        part = {"since": f"{literal(since)}::pg_lsn", "until": f"{literal(written.until)}::pg_lsn"}
        rows = self._reader.rows(FOUND.format(blocks=HUB, database=0, own="'{}'::xid[]", **part))
        written.shared |= {-node: set(writers) for node, _, writers in rows}
        return written

    def _record(self) -> None:
        now = literal(_text(read(self._admin, RESTORED, _NO_DATABASE)))
        same = f"SELECT FROM seatrial_before WHERE found = {now}::jsonb"
        self._admin.run(
            f"""DELETE FROM seatrial_before WHERE NOT EXISTS ({same});
            INSERT INTO seatrial_before SELECT {now}::jsonb WHERE NOT EXISTS ({same})"""
        )


def _text(found: dict[str, Rows]) -> str:
    return json.dumps(
        {name: [(row.values, row.writer, row.place) for row in rows.values()] for name, rows in found.items()}
    )


def _read(text: str) -> dict[str, Rows]:
    found: dict[str, list[tuple[dict[str, Any], int, str]]] = json.loads(text)
    return {
        name: {
            tuple(values[column] for column in RESTORED[name]): Row(values=values, writer=writer, place=place)
            for values, writer, place in rows
        }
        for name, rows in found.items()
    }
