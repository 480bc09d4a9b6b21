"""Whether a database equals its baseline, told by reading all of it, on a path that the undo does not know."""

from __future__ import annotations

import contextlib
import re
from typing import TYPE_CHECKING, Any

from seatrial.errors import IsolationError
from seatrial.resources.auditing.comparison import Difference, Rows, Snapshot, differences
from seatrial.resources.kinds.mysql.connection import connect

if TYPE_CHECKING:
    from seatrial.resources.protocol import Endpoint

_AT_WORK = re.compile(r" AUTO_INCREMENT=\d+")
_OBJECTS = """
SELECT 'view', table_name, view_definition FROM information_schema.views WHERE table_schema = DATABASE()
UNION ALL SELECT LOWER(routine_type), routine_name, CONCAT_WS(' ', data_type, routine_definition)
FROM information_schema.routines WHERE routine_schema = DATABASE()
UNION ALL SELECT 'trigger', trigger_name,
CONCAT_WS(' ', action_timing, event_manipulation, event_object_table, action_statement)
FROM information_schema.triggers WHERE trigger_schema = DATABASE()
UNION ALL SELECT 'event', event_name, CONCAT_WS(' ', interval_value, interval_field, event_definition)
FROM information_schema.events WHERE event_schema = DATABASE()
"""


class Audit:
    """The audit of one database. It reads rows, and what information_schema tells, in Python: no template, no log."""

    def __init__(self, endpoint: Endpoint, database: str) -> None:
        self._endpoint = endpoint
        self._database = database

    def baseline(self) -> Snapshot:
        """Read everything."""
        with contextlib.closing(connect(self._endpoint, self._database)) as connection, connection.cursor() as cursor:
            cursor.execute("SET SESSION TRANSACTION ISOLATION LEVEL REPEATABLE READ")
            with contextlib.suppress(Exception):  # a MariaDB knows no such setting
                cursor.execute("SET SESSION information_schema_stats_expiry = 0")
            cursor.execute("START TRANSACTION WITH CONSISTENT SNAPSHOT")
            cursor.execute(_OBJECTS)
            values = {(kind, name): _text(what) for kind, name, what in cursor.fetchall()}
            cursor.execute("SHOW CREATE DATABASE `" + self._database.replace("`", "``") + "`")
            values["database", "settings"] = cursor.fetchone()[1]
            cursor.execute(
                "SELECT table_name, table_type, auto_increment FROM information_schema.tables "
                "WHERE table_schema = DATABASE() ORDER BY table_name"
            )
            tables = {}
            for name, kind, counter in list(cursor.fetchall()):
                if kind == "VIEW":
                    continue
                quoted = "`" + name.replace("`", "``") + "`"
                cursor.execute(f"SHOW CREATE TABLE {quoted}")
                values["table", name] = _AT_WORK.sub("", cursor.fetchone()[1])
                if counter is not None:
                    values["counter", name] = str(counter)
                cursor.execute(f"SELECT * FROM {quoted}")
                tables[name] = Rows.of(cursor)
            return Snapshot(values=values, tables=tables)

    def differences(self, baseline: Snapshot) -> tuple[Difference, ...]:
        """Everything that is not as in `baseline`. Raises `IsolationError` where something can't be read."""
        import pymysql

        try:
            found = self.baseline()
        except pymysql.Error as error:
            raise IsolationError(
                f"The audit could not read the database: {error}",
                cause="somebody still holds a lock, or the database is gone",
                fix="close every connection at the end of the test",
            ) from error
        return differences(baseline, found)


def _text(value: Any) -> str:
    return value.decode(errors="backslashreplace") if isinstance(value, bytes) else str(value)
