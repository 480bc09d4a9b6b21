"""What our role may do on a server, each privilege probed by itself: they degrade separately."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from seatrial.resources.kinds.postgres.connection import FIRST_WITH_QUIET
from seatrial.resources.kinds.postgres.finding.log import DECLARE, FIRST_WITH_BLOCKS, FIRST_WITH_FLUSH

if TYPE_CHECKING:
    from collections.abc import Sequence

    from seatrial.resources.kinds.postgres.connection import Link


@dataclass(frozen=True, slots=True, kw_only=True)
class Abilities:
    """What our role may do on this server; a reason where it may not, empty where it may."""

    log: str
    """Why the log can't be read."""
    replica: str
    """Why triggers and foreign keys can't be silenced during an undo."""
    prepared: bool
    """Whether the server allows prepared transactions at all."""
    slots: bool
    """Whether there can be logical replication slots, and we may drop them."""
    sees: bool
    """Whether our role is told what every connection does."""
    flushes: bool
    """Whether a function can flush the log, for a reader of it."""
    homes: bool
    """Whether the log tells in which database a transaction ran, and we may put back what it changed of the server."""
    near: bool
    """Whether the connection that undoes can read the log itself, by a function of its own that nobody notices."""
    log_name: str = "write-ahead log"

    def grants(self, role: str) -> Sequence[str]:
        """Statements by which a superuser could give the role what it lacks."""
        found = []
        if "GRANT" in self.log:
            found.append(f'GRANT pg_read_server_files TO "{role}";')
        if "GRANT" in self.replica:
            found.append(f'GRANT SET ON PARAMETER session_replication_role TO "{role}";')
        return found


def probe(admin: Link, reader: Link) -> Abilities:
    """Ask the server. `reader` is a connection to a database of ours, where pg_walinspect may be created."""
    superuser, prepared, tracked, level = admin.rows(
        "select current_setting('is_superuser') = 'on', current_setting('max_prepared_transactions')::int > 0, "
        "current_setting('track_activities') = 'on', current_setting('wal_level')"
    )[0]
    log = _log(reader)
    return Abilities(
        log=log,
        replica=_replica(admin),
        prepared=prepared,
        slots=superuser and level == "logical",
        sees=superuser and tracked,
        flushes=reader.version >= FIRST_WITH_FLUSH,
        homes=superuser and level != "minimal",
        near=superuser and not log and reader.version >= FIRST_WITH_QUIET and _near(reader),
    )


def _log(reader: Link) -> str:
    import psycopg

    if reader.version < FIRST_WITH_BLOCKS:
        return "PostgreSQL can tell what was written since version 16"
    try:
        if not reader.rows("select exists(select from pg_extension where extname = 'pg_walinspect')")[0][0]:
            reader.run("CREATE EXTENSION pg_walinspect")
    except (psycopg.errors.UniqueViolation, psycopg.errors.DuplicateObject):
        pass  # another worker asked at the same time, and was first
    except psycopg.errors.UndefinedFile:
        return "the server lacks the extension pg_walinspect (Debian: postgresql-contrib)"
    except psycopg.errors.InsufficientPrivilege:
        return (
            "our role may not create what reads the log: it takes SUPERUSER, or GRANT pg_read_server_files and, "
            f"by a superuser in the database {reader.database}, CREATE EXTENSION pg_walinspect"
        )
    try:
        start = reader.rows("SELECT pg_current_wal_insert_lsn()::text")[0][0]
        reader.run(
            "BEGIN; SELECT pg_logical_emit_message(true, 'seatrial', ''); COMMIT;"
            f"SELECT count(*) FROM pg_get_wal_block_info('{start}', pg_current_wal_flush_lsn(), false)"
        )
    except psycopg.errors.InsufficientPrivilege:
        return "our role may not read the log: it takes SUPERUSER, or GRANT pg_read_server_files"
    except psycopg.Error as error:
        return f"the log can't be read: {error}"
    return ""


def _near(reader: Link) -> bool:
    import psycopg

    try:
        reader.run(f"BEGIN; SET LOCAL event_triggers = off; {DECLARE}; ROLLBACK")
    except psycopg.Error:
        return False  # its library is not where we look for it: the hub reads
    return True


def _replica(admin: Link) -> str:
    import psycopg

    try:
        admin.run("SET session_replication_role = replica; SET session_replication_role = origin")
    except psycopg.errors.InsufficientPrivilege:
        return (
            "our role may not silence triggers: it takes SUPERUSER, or GRANT SET ON PARAMETER session_replication_role"
        )
    return ""
