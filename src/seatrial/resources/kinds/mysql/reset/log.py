"""What the binary log tells of a database: which tables were written to, and whether anything else happened."""

from __future__ import annotations

import contextlib
import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from seatrial.resources.kinds.mysql.connection import Link, identifier, literal

_MAP = re.compile(r"table_id: (\d+) \((.*)\)(?: |$)", re.DOTALL)
_ID = re.compile(r"table_id: (\d+)")
_TEMPORARY = re.compile(r"(CREATE|DROP)\s+(/\*!\d+\s+)?TEMPORARY\b", re.IGNORECASE)
_FRAME = re.compile(r"(BEGIN|COMMIT|ROLLBACK|SAVEPOINT|XA)\b|$", re.IGNORECASE)
"""What opens and ends a transaction, or is a comment alone: what MariaDB tells of its own begins with a number sign."""
_COMMENTS = re.compile(r"(\s+|/\*(?!M?!).*?\*/|/\*M?!\d*|(#|--\s)[^\n]*(\n|$))+", re.DOTALL)
"""What may stand before a statement; of a comment that is executed only its beginning."""
_BRANCH = re.compile(r"XA (START|END|COMMIT|ROLLBACK) (X'[0-9a-f]*',X'[0-9a-f]*',\d+)", re.IGNORECASE)
"""A branch of a transaction that is committed in two phases, with its number. MariaDB tells its start as a Gtid."""
_NAMELESS = re.compile(r"ALTER\s+(DATABASE|SCHEMA)\b", re.IGNORECASE)
"""Told without `use`, and in its own text it need not name the database."""
_SILENT = frozenset(
    {
        *("Gtid", "Gtid_list", "Anonymous_Gtid", "Previous_gtids", "Format_desc", "Rotate", "Xid", "Stop"),
        *("Annotate_rows", "Rows_query", "Binlog_checkpoint", "Start_encryption", "Heartbeat", "XA_prepare"),
    }
)
"""Events that change nothing by themselves, or whose tables a Table_map has named."""
_NEW_ROWS = ("Write_rows", "Write_compressed")
_OF_BRANCHES = ("Gtid", "Query", "XA_prepare")
_OLD_ROWS = ("Update_rows", "Delete_rows", "Update_compressed", "Delete_compressed")

_SYNTAX = 1064


@dataclass(frozen=True, slots=True, kw_only=True)
class Position:
    """A place in the log."""

    file: str
    offset: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Told:
    """What happened to one database between two places."""

    tables: frozenset[str]
    changed: frozenset[str]
    """Those of them of which rows were changed or deleted: what foreign keys did about it is not told."""
    statements: tuple[str, ...] = ()
    """What was not rows of a table: DDL, TRUNCATE, or something that we can't read."""
    prepared: tuple[str, ...] = ()
    """Branches of two-phase transactions that have written to it, and wait to be committed by anybody."""
    end: Position
    events: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Abilities:
    """What our user may do on this server; a reason where it may not, empty where it may."""

    log: str
    """Why the log can't be read."""
    replica: str = ""
    """Anybody may set foreign keys aside, and remake triggers."""
    log_name: str = "binary log"

    def grants(self, role: str) -> Sequence[str]:
        """Statements by which an administrator could give the user what it lacks."""
        if "denied" not in self.log:
            return ()
        return (f"GRANT REPLICATION SLAVE, REPLICATION CLIENT ON *.* TO {identifier(role)};",)


class Log:
    """The binary log of one server, read through a connection of ours."""

    def __init__(self, link: Link) -> None:
        self._link = link
        self._status = ""

    def probe(self) -> Abilities:
        """Whether it can be read."""
        import pymysql

        try:
            rows = self._link.rows("SELECT @@GLOBAL.log_bin")
            if not rows[0][0]:
                return Abilities(log="the server keeps no binary log")
            file, _, only, ignored, *_ = self._status_now()
            if only or ignored:
                return Abilities(log="the server logs some databases only (binlog-do-db, binlog-ignore-db)")
            self._link.rows(f"SHOW BINLOG EVENTS IN {literal(file)} LIMIT 1")
        except pymysql.MySQLError as error:
            return Abilities(log=str(error.args[-1]))
        return Abilities(log="")

    def position(self) -> Position:
        """Where it ends now."""
        file, offset, *_ = self._status_now()
        return Position(file=file, offset=int(offset))

    def read(self, database: str, since: Position) -> Told:
        """What happened to the database since then. Where the log is gone, that is told as a statement."""
        import pymysql

        end = self.position()
        reading, count = _Reading(database), 0
        try:
            for file, offset in self._files(since, end):
                for _, _, event, _, _, info in self._link.rows(f"SHOW BINLOG EVENTS IN {literal(file)} FROM {offset}"):
                    count += 1
                    reading.note(event, info)
        except pymysql.MySQLError as error:
            reading.statements.append(f"the log can't be read: {error.args[-1]}")
        return Told(
            tables=frozenset(reading.tables),
            changed=frozenset(reading.changed),
            statements=tuple(reading.statements),
            prepared=tuple(reading.prepared),
            end=end,
            events=count,
        )

    def whole(self, database: str) -> Told:
        """What happened to the database since the log begins."""
        return self.read(database, Position(file=str(self._link.rows("SHOW BINARY LOGS")[0][0]), offset=4))

    def trim(self, before: Position, now: Position) -> None:
        """On a server of ours: old files go, so that the log has a bound. The last two stay."""
        import pymysql

        if before.file == now.file:
            return
        with contextlib.suppress(pymysql.MySQLError):  # another worker was faster
            self._link.run(f"PURGE BINARY LOGS TO {literal(before.file)}")

    def _status_now(self) -> Sequence[Any]:
        import pymysql

        for statement in (self._status,) if self._status else ("SHOW BINARY LOG STATUS", "SHOW MASTER STATUS"):
            try:
                row = self._link.rows(statement)[0]
            except pymysql.MySQLError as error:
                if error.args[0] != _SYNTAX:  # each server knows one of the two
                    raise
                unknown = error
                continue
            self._status = statement
            return row
        raise unknown

    def _files(self, since: Position, end: Position) -> list[tuple[str, int]]:
        if since.file == end.file:
            return [(since.file, since.offset)] if since.offset != end.offset else []  # behind it: the log began anew
        names = [row[0] for row in self._link.rows("SHOW BINARY LOGS")]
        later = names[names.index(since.file) + 1 :] if since.file in names else []
        return [(since.file, since.offset), *((name, 4) for name in later)]


class _Reading:
    """What is found while events are read, one after the other."""

    def __init__(self, database: str) -> None:
        self._database = database
        """Some servers tell it in small letters."""
        self._use = f"use {identifier(database)};"
        self._names: dict[str, str] = {}
        """By their number, the tables of our database that were named last."""
        self.tables: set[str] = set()
        self.changed: set[str] = set()
        self.statements: list[str] = []
        self.prepared: dict[str, None] = {}
        self._branch = ""
        """In which branch we are."""

    def note(self, event: str, info: str) -> None:
        """One event, as SHOW BINLOG EVENTS tells it."""
        branch = _BRANCH.match(info) if event in _OF_BRANCHES else None
        if branch is not None:
            if branch[1] != "END":
                self.prepared.pop(branch[2], None)
            self._branch = branch[2] if branch[1] == "START" else ""
        if event == "Table_map":
            self._named(info)
        elif event.startswith(_OLD_ROWS):
            found = _ID.match(info)
            if found is None:
                self.statements.append(f"{event} {info}")
            elif found[1] in self._names:
                self.changed.add(self._names[found[1]])
        elif event.startswith("Query"):
            self._said(info)
        elif event not in _SILENT and not event.startswith(_NEW_ROWS):
            self.statements.append(f"{event} {info}".strip())

    def _named(self, info: str) -> None:
        found = _MAP.match(info)
        if found is None:
            self.statements.append(info)
        elif found[2].lower().startswith(f"{self._database}.".lower()):
            self._names[found[1]] = found[2][len(self._database) + 1 :]
            self.tables.add(self._names[found[1]])
            self._prepare()
        else:
            self._names.pop(found[1], None)

    def _said(self, info: str) -> None:
        inside = info.lower().startswith(self._use.lower())
        text = re.sub(r"^use `(?:[^`]|``)*`;\s*", "", info)
        bare = text[found.end() :] if (found := _COMMENTS.match(text)) else text
        ours = inside or self._database.lower() in info.lower() or _NAMELESS.match(bare) is not None
        if ours and not _FRAME.match(bare) and not _TEMPORARY.match(bare):
            self.statements.append(text)
            self._prepare()

    def _prepare(self) -> None:
        if self._branch:
            self.prepared[self._branch] = None
