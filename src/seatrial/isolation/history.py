"""What each test did to a resource when it last ran: kept from run to run, to choose its isolation by."""

from __future__ import annotations

import contextlib
import json
import os
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from seatrial.core.locks import FileLock

MOST = 50_000
"""Tests that are remembered; the newest stay."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Seen:
    """One test's last run."""

    isolation: str
    path: str
    """How it got back to the baseline."""
    milliseconds: float
    why: str = ""
    """Why that took a clone."""
    past_rollback: str = ""
    """Why rollback can't hold it; empty where that is not known."""
    clones: int = 0
    """Runs in a row in which it was given a clone by choice."""


class History:
    """One file. What was noted is written by `save`, over what other workers have written meanwhile.

    Args:
        path: the file; it and its folder need not exist.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._before: Mapping[str, Any] | None = None
        self._now: dict[str, Any] = {}

    def of(self, test: str) -> Seen | None:
        """What the test did last time; None where nothing is known, or what is known can't be read."""
        if self._before is None:
            self._before = self._read()
        with contextlib.suppress(KeyError, TypeError):
            return Seen(**self._before[test])
        return None

    def note(self, test: str, seen: Seen) -> None:
        """What the test did now."""
        self._now[test] = asdict(seen)

    def save(self) -> None:
        """Write it down, for the next run."""
        if not self._now:
            return
        self._path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        with FileLock(self._path.with_suffix(".lock"), purpose="writing down how tests were isolated"):
            known = {test: seen for test, seen in self._read().items() if test not in self._now} | self._now
            fresh = self._path.with_suffix(f".{os.getpid()}")
            fresh.write_text(json.dumps(dict(list(known.items())[-MOST:])), encoding="utf-8")
            fresh.replace(self._path)
        self._now.clear()

    def _read(self) -> Mapping[str, Any]:
        try:
            found = json.loads(self._path.read_text(encoding="utf-8"))
        except (OSError, ValueError):
            return {}
        return found if isinstance(found, dict) else {}
