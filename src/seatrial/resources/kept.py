"""What is kept from run to run: servers that do not run, with their data, and the files of a cache."""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from seatrial.core import folders, locks
from seatrial.resources.supervisor.instance import Instance, discard, known

_RECENT = 86400
"""Seconds for which a file may be in use after it was last touched, while there is a run at all."""
_NEVER = ("run", "lasting")
"""Folders in the rooms of a cache whose content has a life of its own: runs, development databases."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Kept:
    """One thing that can be deleted, and is made anew where it is needed."""

    path: Path
    what: str
    size: int
    """Bytes on the disk, or in memory."""
    age: float
    """Seconds since it was last used, by the file system's clock."""
    server: bool = False


def everything(store: Path) -> list[Kept]:
    """All that the cache `store` keeps, the last used first."""
    now = _now(store)
    found = [_server(instance, now) for instance in known(store)]
    for path in sorted(_files(store)):
        status = path.stat()
        found.append(
            Kept(
                path=path,
                what=str(path.relative_to(store)) if path.is_relative_to(store) else path.name,
                size=_size(path) if path.is_dir() else status.st_size,
                age=max(now - status.st_mtime, 0),
            )
        )
    return sorted(found, key=lambda one: one.age)


def surplus(kept: Sequence[Kept], age: float, size: float) -> list[Kept]:
    """What was not used for `age` seconds, and the least recently used of what makes more than `size` bytes."""
    total, going = 0, []
    for one in sorted(kept, key=lambda one: one.age):
        total += one.size
        if one.age > age or total > size:
            going.append(one)
    return going


def delete(one: Kept, store: Path) -> bool:
    """Delete it; False, and nothing done, where it is in use."""
    if one.server:
        return discard(Instance(folder=one.path))
    if one.age < _RECENT and _busy(store):
        return False
    if one.path.is_dir():
        shutil.rmtree(one.path, ignore_errors=True)
    else:
        one.path.unlink(missing_ok=True)
        one.path.with_suffix(".lock").unlink(missing_ok=True)
    return True


def _server(instance: Instance, now: float) -> Kept:
    about = instance.about()
    return Kept(
        path=instance.folder,
        what=f"server: {about.get('kind')} {about.get('version')} of {about.get('project')}",
        size=_size(instance.folder),
        age=max(now - (instance.folder / "about.json").stat().st_mtime, 0),
        server=True,
    )


def _files(store: Path) -> Iterator[Path]:
    for folder in (store / name for name in folders.ROOMS):
        yield from (path for path in folder.rglob("*") if _is_kept(path, folder))
    # Copies of a wheel's binaries, for a user who can't reach the wheel.
    for copy in Path(tempfile.gettempdir()).glob(f"seatrial-{os.geteuid()}-open-*"):
        if copy.lstat().st_uid == os.geteuid():
            yield copy


def _is_kept(path: Path, below: Path) -> bool:
    inside = path.relative_to(below).parts
    return path.is_file() and path.suffix != ".lock" and not set(inside).intersection(_NEVER)


def _busy(store: Path) -> bool:
    """Whether a run goes on, of whatever kind."""
    if any(instance.alive or locks.is_held(instance.folder / "reserved") for instance in known(store)):
        return True
    roots = [*folders.running(store), store / "sqlite" / "run"]
    return any(locks.is_held(lock) for root in roots for lock in root.glob("**/sqlite-*.lock"))


def _size(folder: Path) -> int:
    total = 0
    for path in folder.rglob("*"):
        try:
            total += path.lstat().st_blocks * 512
        except FileNotFoundError:  # a server that runs deletes files
            continue
    return total


def _now(store: Path) -> float:
    """The file system's clock, which no test can freeze."""
    (store / "now").touch()
    return (store / "now").stat().st_mtime
