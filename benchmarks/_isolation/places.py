"""Where the servers keep their data during the benchmark: in shared memory, or on disk."""

from __future__ import annotations

import os
import shutil
import tempfile
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

from seatrial.core import folders
from seatrial.resources.supervisor import instance

MEMORY, DISK = "shared memory", "disk"
SHARED = Path("/dev/shm")
GONE = 15.0
"""Seconds that the servers may take to end by themselves when nobody holds them any more."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Place:
    """A cache of Seatrial's own, whose servers keep their data in memory or on disk."""

    name: str
    root: Path
    """For projects; in it is the cache."""

    def environ(self) -> dict[str, str]:
        """What processes need so that their servers are here; an idle server ends at once."""
        return {"SEATRIAL_CACHE": str(self.root / "cache"), "SEATRIAL_IDLE": "0.2"}

    @contextmanager
    def entered(self) -> Iterator[None]:
        """Servers that this process reserves meanwhile are here."""
        before = dict(os.environ)
        os.environ.update(self.environ())
        try:
            yield
        finally:
            os.environ.clear()
            os.environ.update(before)

    def data(self) -> Path:
        """The folder for what is Seatrial's while it runs; it may not be there yet."""
        with self.entered():
            return folders.running(folders.cache().path)[0]

    def free(self) -> int:
        """Bytes that are free where the data is."""
        folder = self.data()
        return shutil.disk_usage(folder if folder.exists() else folder.parent).free


def unfit(name: str) -> str:
    """Why there can be no place called `name` on this machine, or nothing."""
    if name == MEMORY and not SHARED.is_dir():
        return "this machine has no shared memory"
    if name == MEMORY and shutil.disk_usage(SHARED).free < folders.ROOM:
        return f"less than {folders.ROOM // 2**20} MB of shared memory are free"
    return ""


@contextmanager
def place(name: str) -> Iterator[Place]:
    """A place, removed at the end.

    Seatrial prefers shared memory. Where disk is wanted, its folder there is made a link to one on disk, so that
    all else is the same.
    """
    with ExitStack() as stack:
        root = Path(tempfile.mkdtemp(prefix="isolation-"))
        stack.callback(shutil.rmtree, root, ignore_errors=True)
        root.chmod(0o755)
        found = Place(name=name, root=root)
        with found.entered():
            cache = folders.cache().path
        running = folders.running(cache)[0]
        if running.parent == SHARED and name == DISK:
            (root / "data").mkdir(mode=0o700)
            running.symlink_to(root / "data")
            stack.callback(running.unlink)
        else:
            stack.callback(shutil.rmtree, running, ignore_errors=True)
        stack.callback(_wait_for_the_end, cache)
        yield found


def file_system(folder: Path) -> str:
    """What a folder is on: "ext4", "tmpfs"; "?" where the machine does not tell."""
    try:
        mounts = [line.split()[1:3] for line in Path("/proc/mounts").read_text().splitlines()]
    except OSError:
        return "?"
    above = [(path, kind) for path, kind in mounts if folder.resolve().is_relative_to(path)]
    return max(above, key=lambda mount: len(mount[0]), default=("", "?"))[1]


def _wait_for_the_end(cache: Path) -> None:
    until = time.monotonic() + GONE
    while any(one.alive for one in instance.known(cache)) and time.monotonic() < until:
        time.sleep(0.05)
