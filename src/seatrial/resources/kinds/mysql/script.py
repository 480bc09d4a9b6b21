"""Scripts of many statements, as the command line client of MySQL reads them: with DELIMITER lines."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

_DELIMITER = re.compile(r"^[ \t]*DELIMITER[ \t]+(\S+)[ \t]*$", re.IGNORECASE | re.MULTILINE)


def parts(script: str) -> Iterator[str]:
    """Pieces that the server can take at once: it knows only the semicolon between statements."""
    found = _DELIMITER.split(script)
    for delimiter, text in zip([";", *found[1::2]], found[::2], strict=True):
        for piece in [text] if delimiter == ";" else text.split(delimiter):
            if piece.strip():
                yield piece


def run(connection: Any, script: str) -> None:
    """Run all of it, on a connection that may send many statements at once. Raises the driver's errors."""
    for part in parts(script):
        with connection.cursor() as cursor:
            cursor.execute(part)
            while cursor.nextset():
                pass
