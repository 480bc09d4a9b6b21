"""A private folder for the copies of one process, which goes with the process whatever ends it."""

from __future__ import annotations

import contextlib
import shutil
from pathlib import Path

from seatrial.core.locks import FileLock

_PREFIX = "sqlite-"


class RunFolder:
    """A folder that is ours while we hold the lock beside it. The kernel lets go of the lock when we die.

    Args:
        path: where it will be; the name must begin with `sqlite-`. Nothing is made before `create`.
    """

    def __init__(self, path: Path) -> None:
        assert path.name.startswith(_PREFIX), path
        self.path = path
        self._lock: FileLock | None = None

    def create(self) -> None:
        """Make the folder, and remove those whose owners are dead."""
        if self._lock is None:
            self.path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            _sweep(self.path.parent)
            # Locked before it is there: a sweep never finds it without its owner.
            self._lock = FileLock(_lock_of(self.path), purpose="making a folder for SQLite").__enter__()
            self.path.mkdir(mode=0o700)

    def release(self) -> None:
        """Remove the folder and all that is in it."""
        if self._lock is not None:
            _remove(self.path)
            self._lock.release()
            self._lock = None


def _sweep(parent: Path) -> None:
    for path in parent.glob(f"{_PREFIX}*.lock"):
        lock = FileLock(path)
        with contextlib.suppress(OSError):
            if lock.try_acquire():
                _remove(path.with_suffix(""))
        lock.release()


def _remove(folder: Path) -> None:
    """Call it with the lock held."""
    shutil.rmtree(folder, ignore_errors=True)
    _lock_of(folder).unlink(missing_ok=True)


def _lock_of(folder: Path) -> Path:
    return folder.with_name(f"{folder.name}.lock")
