"""Read from the server's write-ahead log which relations of one database were written to, whoever wrote."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from seatrial.resources.kinds.postgres.connection import literal

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence

    from seatrial.resources.kinds.postgres.connection import Link, Result

FIRST_WITH_BLOCKS = 160000
"""pg_get_wal_block_info came with PostgreSQL 16."""
FIRST_WITH_FLUSH = 170000
"""pg_logical_emit_message flushes the log by itself since PostgreSQL 17; before, a commit does it."""

INDEXES = ("Btree", "Hash", "Gin", "Gist", "SPGist", "BRIN")
"""Resource managers that say nothing which the heap's own records do not say."""

HARMLESS = (
    "FPI_FOR_HINT",  # a reader set a hint bit, with checksums on
    "VISIBLE",  # VACUUM, in the visibility map
    "INPLACE",  # statistics and horizons in pg_class and pg_database
    "LOCK",  # SELECT FOR UPDATE, and the key share locks of foreign keys
    "LOCK_UPDATED",
    "PRUNE",  # 16: a reader or VACUUM removed row versions that nobody sees
    "VACUUM",  # 16
    "FREEZE_PAGE",  # 16
    "PRUNE_ON_ACCESS",  # 17 and later
    "PRUNE_VACUUM_SCAN",
    "PRUNE_VACUUM_CLEANUP",
)
"""Records that leave every row as it is. A type that is not known here counts as a write."""


def _words(names: Iterable[str]) -> str:
    return ", ".join(literal(name) for name in names)


_NODE = "case when reldatabase = 0 then -relfilenode::bigint else relfilenode::bigint end"
_RECORDS = f"""
  from {{blocks}}({{since}}, {{until}}, false)
  where relforknumber = 0 and reldatabase in (0, {{database}}) and resource_manager not in ({_words(INDEXES)})
    and record_type not in ({_words(HARMLESS)}) and xid <> all({{own}})
"""
FOUND = f"""
  select {_NODE}, array_agg(distinct relblocknumber),
    array_agg(distinct xid::text::bigint) filter (where reldatabase = 0) {_RECORDS} group by 1
"""
"""What was written between two positions: filenodes (those of the whole server negative), blocks, transactions."""
FOUND_AS_TEXT = f"""
  select string_agg(concat_ws(',', node, block, writer), ';'), array_agg(distinct node), count(*) from (
    select distinct {_NODE} as node, relblocknumber as block, case when reldatabase = 0 then xid::text end as writer
    {_RECORDS}) f
"""
"""The same in one row: as text, as `LogReader.through` takes it; the filenodes; and how many blocks there are."""
COMMITTED = f"""
  select from (
    select distinct xid::text::bigint as id from {{blocks}}({{since}}, {{until}}, false)
    where reldatabase in ({{databases}}) and relforknumber = 0 and xid::text <> '0'
      and resource_manager not in ({_words(INDEXES)}) and record_type not in ({_words(HARMLESS)})
  ) t, (select pg_snapshot_xmax(pg_current_snapshot())::text::bigint >> 32 << 32 as epoch) e
  where pg_xact_status((e.epoch + t.id)::text::xid8) <> 'aborted'
"""
"""A row where any transaction that wrote to the databases between two positions has committed, or still may.

Database 0 is what belongs to the whole server.
"""

_FOUND = FOUND.format(blocks="{blocks}", since="$1", until="u.lsn", database="$2", own="$3")
READ = f"""(pg_lsn, oid, xid[]) as
with until as materialized (
  select case when pg_current_wal_insert_lsn() = $1 then null
    else pg_logical_emit_message(false, 'seatrial', '', true) end as lsn)
select u.lsn::text, f.* from until u left join lateral ({_FOUND}) f on u.lsn is not null
"""
"""One statement: nothing where nothing was logged since $1, else flush and read on."""

FLUSH = (
    "BEGIN",
    "SELECT set_config('seatrial.until', pg_logical_emit_message(true, 'seatrial', '')::text, false)",
    "COMMIT",
)
"""For PostgreSQL 16: a commit flushes what was logged before it, and the session knows where a record of ours ends.

`pg_current_wal_flush_lsn()` may lie within somebody's record: that one would be in no piece of the log.
"""
READ_FLUSHED = f"""(pg_lsn, oid, xid[]) as
with until as materialized (select current_setting('seatrial.until')::pg_lsn as lsn)
select u.lsn::text, f.* from until u left join lateral ({_FOUND}) f on true
"""
"""The same, after `FLUSH`."""


HUB = "pg_get_wal_block_info"
"""What reads the log, where the extension pg_walinspect is."""
NEAR = "pg_temp.seatrial_blocks"
"""The same, declared for one connection."""
DECLARE = f"""CREATE FUNCTION {NEAR}(begins pg_lsn, ends pg_lsn, show_data bool,
  out start_lsn pg_lsn, out end_lsn pg_lsn, out prev_lsn pg_lsn, out block_id int2,
  out reltablespace oid, out reldatabase oid, out relfilenode oid, out relforknumber int2, out relblocknumber int8,
  out xid xid, out resource_manager text, out record_type text, out record_length int4, out main_data_length int4,
  out block_data_length int4, out block_fpi_length int4, out block_fpi_info text[], out description text,
  out block_data bytea, out block_fpi_data bytea
) RETURNS SETOF record AS '$libdir/pg_walinspect', 'pg_get_wal_block_info' LANGUAGE C STRICT"""
"""A temporary function: one connection to a copy then reads the log and undoes, and no second process wakes up.

Its columns are those of pg_walinspect 1.1, which came with PostgreSQL 16.
"""
DECLARED = f"SELECT xmin::text FROM pg_catalog.pg_proc WHERE oid = '{NEAR}'::regproc"
"""The transaction that has declared it."""


@dataclass(slots=True)
class Written:
    """What was written: blocks by filenode of the database, transactions by filenode of the whole server."""

    blocks: dict[int, set[int]] = field(default_factory=dict)
    shared: dict[int, set[int]] = field(default_factory=dict)
    since: str = ""
    """Where in the log the reading began that found the first of `shared`."""
    until: str = ""
    """Where in the log the reading ended; empty where nothing was logged."""
    bytes: int = 0
    """How much of the log was read, whoever wrote it."""

    def __bool__(self) -> bool:
        return bool(self.blocks or self.shared)

    def add(self, other: Written) -> None:
        """Take in what was read later."""
        for filenode, blocks in other.blocks.items():
            self.blocks.setdefault(filenode, set()).update(blocks)
        for filenode, transactions in other.shared.items():
            self.shared.setdefault(filenode, set()).update(transactions)
        self.since = self.since or other.since
        self.until = other.until or self.until
        self.bytes += other.bytes

    def told(self) -> str:
        """What was read, in words."""
        blocks, relations = sum(map(len, self.blocks.values())), len(self.blocks) + len(self.shared)
        found = f"{blocks} blocks of {relations} relations" if relations else "nothing that was written here"
        return f"{self.bytes} bytes of the log: {found}"


class LogReader:
    """Reads the log piece by piece: each asks for what came since the last that was `taken`, without gap or overlap.

    Each piece begins where the one before ended, not after our own undo: whoever wrote while we undid is
    found in the next piece. Our own transactions are told by their ids (`own`).

    Args:
        hub: our connection to a database that has pg_walinspect.
        database: the oid of the database that is looked at.
        start: where to begin, as `pg_current_wal_insert_lsn()` gave it.
        near: our connection to the database that is looked at, where we may declare a function in it. It is asked
            from when it is open, as it is after the first undo, until it is lost; the hub before and afterwards.
        flushes: whether the server can flush its log by a function.
        declare: statements that declare functions of others, for `through`, where ours is declared.
    """

    def __init__(
        self, hub: Link, database: int, start: str, *, near: Link | None, flushes: bool, declare: Sequence[str] = ()
    ) -> None:
        self._hub = hub
        self._declare = "; ".join([DECLARE, *declare, DECLARED])
        self._near = near
        self._database = database
        self.position = start
        """Where the next piece begins."""
        self._name, self._text = ("log", READ) if flushes else ("log16", READ_FLUSHED)
        self._before = () if flushes else FLUSH
        self._own: list[str] = []
        self._ask_at(hub, HUB)

    def read(self, more: str = "", prepared: Mapping[str, str] | None = None) -> tuple[Written, list[Result]]:
        """What was written since the last time; and what the statements `more` give, run right after.

        Raises:
            psycopg.Error: the log can't be read: the database is gone, or what was not read yet.
            ServerLost: the server is gone.
        """
        import psycopg

        if more:
            self._go_near()  # at a test's begin or end; in its midst that would look like a commit of its own
        self._leave_lost()
        script = [*self._before, f"EXECUTE {self._name}({self._since()})"]
        if more:
            script.append(more)
        try:
            results = self._link.run("; ".join(script), {**self._prepared, **(prepared or {})})
        except (psycopg.errors.UndefinedFunction, psycopg.errors.InvalidSchemaName):  # it went with its connection
            if self._link is self._hub:
                raise
            self._ask_at(self._hub, HUB)
            return self.read(more, prepared)
        found, *others = results[len(self._before) :]
        written = Written()
        for _, node, blocks, writers in found.rows:
            if node is not None and node < 0:
                written.shared[-node] = set(writers)
            elif node is not None:
                written.blocks[node] = set(blocks)
        return self._piece(found.rows[0][0], written), others

    def through(
        self, statement: str, more: str, prepared: Mapping[str, str], *, meanwhile: Callable[[], None]
    ) -> tuple[Written, list[str]] | None:
        """What was written since the last time, as a statement of the near connection tells it, and what else it tells.

        Args:
            statement: takes what `READ` does, and then `more`. It returns one text of fields with "|" between them:
                where the piece ends, anything else, and last what `FOUND_AS_TEXT` has found.
            more: further arguments, as SQL.
            prepared: the statement by name, and those that it executes by name.
            meanwhile: called while the server works, if it does.

        Returns:
            None where there is no such statement (yet): `read` can be asked.

        Raises:
            psycopg.Error: as `read`, or because the statement failed.
        """
        import psycopg

        self._go_near()
        self._leave_lost()
        if self._link is self._hub:
            return None
        try:
            script = f"EXECUTE {statement}({self._since()}, {more})"
            [told] = self._link.run(script, prepared, again=False, meanwhile=meanwhile)
        except (psycopg.errors.UndefinedFunction, psycopg.errors.InvalidSchemaName):
            self._ask_at(self._hub, HUB)
            return None
        until, *others, found = told.rows[0][0].split("|")
        written = Written()
        for one in found.split(";") if found else ():
            node, block, *writer = map(int, one.split(","))
            if writer:
                written.shared.setdefault(-node, set()).update(writer)
            else:
                written.blocks.setdefault(node, set()).add(block)
        return self._piece(until, written), others

    def _since(self) -> str:
        return f"'{self.position}', {self._database}, '{{{','.join(self._own)}}}'"

    def _go_near(self) -> None:
        """None is opened for this: it costs 5 ms and more, in vain where the copy is cloned anew after each test."""
        near = self._near
        if near is not None and near.pid:
            self._near = None
            self.own(near.rows(self._declare)[0][0])
            self._ask_at(near, NEAR)

    def _leave_lost(self) -> None:
        """What we declared went with its connection: a new one would refuse the statement, and the server log that."""
        if self._link is not self._hub and not self._link.there():
            self._ask_at(self._hub, HUB)

    def _ask_at(self, link: Link, blocks: str) -> None:
        self._link = link
        self._prepared = {self._name: self._text.format(blocks=blocks)}

    def _piece(self, until: str | None, written: Written) -> Written:
        """What was written from the last position to this one; to none where nothing was logged."""
        if written.shared:
            written.since = self.position
        if until:
            written.bytes = _bytes(until) - _bytes(self.position)
            written.until = until
        return written

    def taken(self, written: Written, undoer: str = "") -> None:
        """It is known what the piece says: who is broken off before, as by a time-out of the test's, reads it again.

        `undoer` is the transaction of ours that has undone it.
        """
        if written.until:
            self.position = written.until
            self._own = [undoer] if undoer else []

    def own(self, transaction: str) -> None:
        """This transaction is ours: what it wrote is no news."""
        self._own.append(transaction)


def _bytes(position: str) -> int:
    """A position in the log as a number: "1/A0" -> 2**32 + 160."""
    high, _, low = position.partition("/")
    return (int(high, 16) << 32) + int(low, 16)


def committed(link: Link, database: int, since: str, until: str) -> bool:
    """Whether any transaction that wrote to `database` between two positions has committed, or still may.

    The log must be flushed up to `until`, which a reader's piece has told: what is flushed by the way may end within
    a record. Nothing may have been logged: the function refuses to read nothing, and returns no rows for a null.
    """
    until = f"nullif({literal(until)}::pg_lsn, {literal(since)})"
    question = COMMITTED.format(blocks=HUB, since=literal(since), until=until, databases=database)
    return bool(link.rows(f"select exists ({question})")[0][0])
