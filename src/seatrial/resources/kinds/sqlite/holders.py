"""Which processes hold locks on a database file, where the machine tells."""

from __future__ import annotations

import os
import re
from pathlib import Path

_TABLE = Path("/proc/locks")
_HELD = re.compile(r"\d+: \w+ +\w+ +\w+ (?P<pid>\d+) (?P<inode>\S+)")
"""As in "3: POSIX  ADVISORY  WRITE 4242 00:1a:58 1073741825 1073741825"; one that waits has "->" before POSIX."""


def describe(path: Path) -> str:
    """The holders in words: "process 4242"; "a connection of this process" where no other is known."""
    others = sorted(_pids(path) - {os.getpid()})
    if not others:
        return "a connection of this process"
    return " and ".join(f"process {pid}" for pid in others)


def _pids(path: Path) -> set[int]:
    """Processes with a lock on the file or on its -shm, where the locks of WAL mode are."""
    inodes = set()
    for part in (path, path.with_name(f"{path.name}-shm")):
        try:
            status = part.stat()
        except OSError:
            continue
        inodes.add(f"{os.major(status.st_dev):02x}:{os.minor(status.st_dev):02x}:{status.st_ino}")
    try:
        lines = _TABLE.read_text().splitlines()
    except OSError:
        return set()
    return {int(match["pid"]) for match in map(_HELD.match, lines) if match and match["inode"] in inodes}
