"""In which database a transaction ran, and what it deleted: what tells one worker's roles from another's.

A transaction that touched a shared catalog ends in a commit record, and that names the database the
transaction ran in. No function shows this field, so the record is read as it is on disk.
"""

from __future__ import annotations

import re
import struct
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

from seatrial.resources.kinds.postgres.connection import literal

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Mapping

    from seatrial.resources.kinds.postgres.connection import Link

PAGE = 8192
SHORT_HEADER, LONG_HEADER = 24, 40
"""Bytes at the begin of a page that are no record's: the long one is at the begin of a segment's file."""
HEAD = 256
"""Bytes of a commit record that are read: the database stands within its first 70."""

_HAS_INFO, _HAS_DATABASE = 0x80, 0x01
_TOP, _ORIGIN, _LONG, _SHORT = 252, 253, 254, 255


COMMITS = f"""(pg_lsn, pg_lsn) as
select r.xid::text::bigint, r.description, o.file_offset,
  pg_read_binary_file('pg_wal/' || o.file_name, o.file_offset, {HEAD}, true),
  case when o.file_offset + {HEAD} > s.size
    then pg_read_binary_file('pg_wal/' || pg_walfile_name(r.start_lsn + {HEAD}), 0, {HEAD}, true) end
from pg_get_wal_records_info($1, $2) r, pg_walfile_name_offset(r.start_lsn) o,
  (select pg_size_bytes(current_setting('wal_segment_size')) as size) s
where r.resource_manager = 'Transaction' and r.record_type like 'COMMIT%' and r.record_length > 34
"""
"""Prepared: planning it takes longer than running it."""


DATABASES = """(pg_lsn, pg_lsn) as
select xid::text::bigint, substring(description from '/([0-9]+)$')::bigint, record_type like 'CREATE%'
from pg_get_wal_records_info($1, $2) where resource_manager = 'Database' and record_type ~ '^(CREATE|DROP)'
"""
"""Who made which, and who dropped which."""


REMOVED = """(pg_lsn, pg_lsn, oid[]) as
select distinct on (start_lsn) xid::text::bigint, relfilenode::bigint,
  format('(%s,%s)', relblocknumber, substring(description from '(?:^|old_| )off: ([0-9]+)'))
from pg_get_wal_block_info($1, $2, false)
where reldatabase = 0 and relfilenode = any($3) and resource_manager = 'Heap' and record_type ~ 'DELETE|UPDATE'
order by start_lsn, block_id desc
"""
"""Of an update that moves a row to another block, the second of its blocks is the one that the row was in."""


CREATED = """
select min(xid::text::bigint), bool_or(record_type like 'INSERT%'),
  format('(%s,%s)', (array_agg(relblocknumber order by block_id))[1],
    min(substring(description from '(?:^|new_)off: ([0-9]+)'))),
  format('(%s,%s)', (array_agg(relblocknumber order by block_id desc))[1],
    min(substring(description from 'old_off: ([0-9]+)')))
from pg_get_wal_block_info({since}, {until}, false)
where reldatabase = 0 and relfilenode = any({nodes}) and resource_manager = 'Heap'
  and record_type ~ '^(INSERT|UPDATE|HOT_UPDATE)'
group by start_lsn order by start_lsn
"""
"""Of an update the first of its blocks is the one that the row is in now."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Ends:
    """Of transactions that ended in a part of the log, and touched anything beyond plain rows."""

    homes: Mapping[int, int]
    """Transaction -> the database that it ran in."""
    created: Mapping[int, int]
    """Database -> the transaction that created it."""
    dropped: Mapping[int, int] = field(default_factory=dict)
    """Database -> the transaction that dropped it."""
    removed: Mapping[tuple[int, str], int] = field(default_factory=dict)
    """Filenode of a catalog and place of a row, "(block,line)" -> the transaction that deleted or changed it."""

    def made_by(self, transactions: Collection[int]) -> set[int]:
        """The databases that any of these transactions created."""
        return {database for database, transaction in self.created.items() if transaction in transactions}

    def dropped_by(self, transactions: Collection[int]) -> set[int]:
        """The databases that any of these transactions dropped, and none of them created."""
        return {one for one, by in self.dropped.items() if by in transactions} - self.made_by(transactions)

    def of(self, *databases: int) -> set[int]:
        """The transactions that ran in these databases, and in those that were created by any of them."""
        homes = set(databases)
        while True:
            ours = {transaction for transaction, home in self.homes.items() if home in homes}
            more = self.made_by(ours)
            if more <= homes:
                return ours
            homes |= more


def joined(parts: Iterable[Ends]) -> Ends:
    """What is known of several parts of the log, the earliest first."""
    homes: dict[int, int] = {}
    created: dict[int, int] = {}
    dropped: dict[int, int] = {}
    gone: dict[tuple[int, str], int] = {}
    for part in parts:
        homes |= part.homes
        created |= part.created
        dropped |= part.dropped
        gone = {**part.removed, **gone}  # who came first, as in `removed`
    return Ends(homes=homes, created=created, dropped=dropped, removed=gone)


def ends(reader: Link, since: str, until: str) -> Ends:
    """What the commit records between two positions say, and nothing of what was removed.

    Those say so that touched anything beyond plain rows: a catalog of the whole server, for one.
    """
    part = f"({literal(since)}, {literal(until)})"
    committed, databases = reader.run(
        f"EXECUTE commits{part}; EXECUTE databases{part}", {"commits": COMMITS, "databases": DATABASES}
    )
    homes: dict[int, int] = {}
    for transaction, description, offset, raw, following in committed.rows:
        home = None if raw is None else _database_of(_joined(bytes(raw), offset, following))
        if home is not None:
            prepared = re.match(r"(\d+): ", description or "")
            within = re.search(r"subxacts: ([\d ]+)", description or "")
            found = [int(prepared[1]) if prepared else transaction, *(map(int, within[1].split()) if within else ())]
            homes |= dict.fromkeys(found, home)
    created, dropped = ({base: by for by, base, new in databases.rows if new is made} for made in (True, False))
    return Ends(homes=homes, created=created, dropped=dropped)


def removed(reader: Link, since: str, until: str, told: Ends, catalogs: Collection[int]) -> Ends:
    """`told` with what was removed from the catalogs of the whole server that have these filenodes."""
    listed = ",".join(map(str, catalogs))
    part = f"({literal(since)}, {literal(until)}, '{{{listed}}}')"
    rows = reader.rows(f"EXECUTE removed{part}", {"removed": REMOVED})
    # Who came first: VACUUM may have given the place to another row by now. One that was rolled back has no home.
    by = {(node, place): transaction for transaction, node, place in reversed(rows) if transaction in told.homes}
    return replace(told, removed=by)


def creators(reader: Link, since: str, until: str, catalogs: Collection[int]) -> dict[str, int]:
    """Which transaction has made a row, by the place where it is now, also where others have changed it since.

    Of rows that were made in this part of the log.
    """
    nodes = literal(f"{{{','.join(map(str, catalogs))}}}") + "::oid[]"
    statement = CREATED.format(since=literal(since), until=literal(until), nodes=nodes)
    found: dict[str, int] = {}
    for transaction, made, place, old in reader.rows(statement):
        if made:
            found[place] = transaction
        elif old in found:
            found[place] = found[old]
        else:
            found.pop(place, None)
    return found


def _joined(raw: bytes, offset: int, following: bytes | None) -> bytes:
    """A record without the page header that may stand in the middle of it, and with its rest in the next segment."""
    if following is not None:
        return raw + bytes(following)[LONG_HEADER:]
    room = PAGE - offset % PAGE
    return raw if len(raw) <= room else raw[:room] + raw[room + SHORT_HEADER :]


def _database_of(record: bytes) -> int | None:
    """The database that a commit record names: xl_xact_dbinfo in PostgreSQL's xact.h."""
    try:
        info, at = record[16], 24
        while record[at] in (_TOP, _ORIGIN):
            at += 5 if record[at] == _TOP else 3
        at += {_SHORT: 2, _LONG: 5}[record[at]]
        at += 8  # the time of the commit
        if not info & _HAS_INFO:
            return None
        flags, database = struct.unpack_from("=II", record, at)
    except (IndexError, KeyError, struct.error):
        return None
    return int(database) if flags & _HAS_DATABASE else None
