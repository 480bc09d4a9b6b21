"""The end of a server's log, for people; and a log that does not grow for ever."""

from __future__ import annotations

import os
from pathlib import Path

from seatrial.core.redact import redact

_LINES = 60
_BYTES = 2**18
_ROTATE = 4 * 2**20


def tail(path: Path, since: int, *secrets: str) -> str:
    """The end of a log, from byte `since` on: at most 60 lines, without passwords and `secrets`."""
    try:
        with path.open("rb") as file:
            size = file.seek(0, os.SEEK_END)
            file.seek(max(since if since <= size else 0, size - _BYTES))
            text = file.read()
    except FileNotFoundError:
        return ""
    return redact("\n".join(text.decode(errors="replace").splitlines()[-_LINES:]), *secrets)


def rotate(log: Path) -> None:
    """Begin another one where it has grown large."""
    if log.exists() and log.stat().st_size > _ROTATE:
        log.replace(log.with_suffix(".1"))
