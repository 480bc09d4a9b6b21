"""A lock between processes: a file held with flock, which the kernel lets go when its holder dies."""

from __future__ import annotations

import fcntl
import os
from pathlib import Path
from types import TracebackType
from typing import Self

from seatrial.core import wait
from seatrial.errors import ProviderError


class FileLock:
    """Holds `path` while the block runs; the threads of one process exclude each other, too.

    Args:
        path: the file; made if missing. Its holder may delete it.
        timeout: seconds to wait for another holder.
        purpose: what the holder does, for the message: "starting the server".

    Raises:
        ProviderError: another process has held it for `timeout` seconds.
    """

    def __init__(self, path: Path, *, timeout: float = 60, purpose: str = "work") -> None:
        self._path = path
        self._timeout = timeout
        self._purpose = purpose
        self._file = -1

    def try_acquire(self) -> bool:
        """Take it if nobody holds it; never waits."""
        file = os.open(self._path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            # The holder before us may have deleted the file: then we hold a lock that nobody else will see.
            if os.fstat(file).st_nlink and os.path.samestat(os.fstat(file), self._path.stat()):
                self._file, file = file, -1
                return True
        except (BlockingIOError, FileNotFoundError):
            pass
        finally:
            if file >= 0:
                os.close(file)
        return False

    def release(self) -> None:
        """Let it go; nothing happens where it is not held."""
        file, self._file = self._file, -1
        if file >= 0:
            os.close(file)

    def __enter__(self) -> Self:
        if not wait.until(self.try_acquire, timeout=self._timeout):
            raise ProviderError(
                f"another process has been at {self._purpose} for more than {self._timeout:g} s",
                cause=f"it holds the lock {self._path}",
                fix="wait for it, or end it: `seatrial status` shows who runs",
            )
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.release()


class Share:
    """A hold on a file that many may have at once; while one has it, no `FileLock` on it can be had."""

    def __init__(self, path: Path) -> None:
        self._file = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        fcntl.flock(self._file, fcntl.LOCK_SH)

    def close(self) -> None:
        """Let it go; calling it again does nothing."""
        file, self._file = self._file, -1
        if file >= 0:
            os.close(file)


def is_held(path: Path) -> bool:
    """Whether some process holds the lock right now."""
    try:
        file = os.open(path, os.O_RDWR | os.O_CLOEXEC)
    except FileNotFoundError:
        return False
    try:
        fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    finally:
        os.close(file)
    return False
