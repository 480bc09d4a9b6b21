"""A small prompt for any database whose driver speaks DB-API, for where its usual program is not installed."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from seatrial.errors import SeatrialError

_MOST = 1000
"""Rows that are shown; nobody reads more."""


class SqlPrompt:
    """`protocol.Prompt`: each statement is committed at once.

    Args:
        connect: opens a connection in autocommit.
        error: the class of the driver's errors.
    """

    def __init__(self, connect: Callable[[], Any], error: type[Exception]) -> None:
        self._connection = connect()
        self._error = error

    def whole(self, text: str) -> bool:
        """A statement ends with a semicolon."""
        return text.rstrip().endswith(";")

    def ask(self, text: str) -> str:
        """Run it; its rows as a table, or how many it changed."""
        try:
            cursor = self._connection.cursor()
            cursor.execute(text)
            if cursor.description is None:
                return f"{cursor.rowcount} rows" if cursor.rowcount >= 0 else "done"
            names = [column[0] for column in cursor.description]
            rows = cursor.fetchmany(_MOST + 1)
        except self._error as error:
            raise SeatrialError(str(error).strip(), fix="correct the statement") from error
        more = ["..."] if len(rows) > _MOST else []
        return "\n".join([*_table(names, rows[:_MOST]), *more])

    def close(self) -> None:
        """Close the connection."""
        self._connection.close()


def _table(names: Sequence[str], rows: Sequence[Sequence[Any]]) -> list[str]:
    cells = [list(names), *(["" if value is None else str(value) for value in row] for row in rows)]
    widths = [max(len(line[column]) for line in cells) for column in range(len(names))]
    lines = [" | ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True)).rstrip() for line in cells]
    return [lines[0], "-+-".join("-" * width for width in widths), *lines[1:], f"({len(rows)} rows)"]
