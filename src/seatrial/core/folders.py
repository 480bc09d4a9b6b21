"""Where we keep things: a cache that lasts, and folders for running servers, in memory where there is room."""

from __future__ import annotations

import errno
import hashlib
import os
import shutil
import stat
import sys
import tempfile
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

from seatrial.core.locks import is_held
from seatrial.errors import ProviderError

SOCKET_PATH = 103
"""The longest path of a unix socket, in bytes: 104 on macOS, 108 on Linux, with a zero at the end."""

ROOM = 512 * 1024 * 1024
"""Bytes that must be free before a server's data goes to memory; containers often have 64 MB in all."""

_MEMORY = Path("/dev/shm")  # noqa: S108 - our folders in it are made private, and checked to be ours
_OWNER = "cache"
"""The file that tells which cache a folder of running servers belongs to."""
_SOCKET_NAME = len("/12345678/.s.PGSQL.65535")

TAG = "CACHEDIR.TAG"
"""The file that makes a folder a cache of ours; backups and searches know its name, and leave such a folder out."""
_TAG = b"""Signature: 8a477f597d28d172789f06886806bc55
# This folder is a cache of Seatrial, which deletes what it keeps in here. https://bford.info/cachedir/
"""
ROOMS = ("fresh", "history", "nats", "redis", "s3", "sqlite")
"""The folders of a cache for files that can be made anew. Nothing else in it is ever deleted as such."""
_OLD = frozenset({*ROOMS, "run", "now", "ports.lock", "secret", "secret.lock"})
"""All that was in the top of a cache when caches had no tag yet."""
_OLD_SQLITE = ("templates", "lasting", "kept")


@dataclass(frozen=True, slots=True, kw_only=True)
class Place:
    """A folder of ours, and why it is there and not in a better place (empty where it is in the best)."""

    path: Path
    reason: str = ""


def cache() -> Place:
    """The folder that lasts from run to run: $SEATRIAL_CACHE, or the user's cache folder, or a temporary one.

    Where that folder has files of others in it, or others may write there, it is the folder `seatrial` in it: what is
    in a cache may be deleted, by `seatrial clean` and otherwise.

    Raises:
        ProviderError: none of them can be written.
    """
    reasons: list[str] = []
    for path in _caches():
        for place in (path, path / "seatrial"):
            unfit = _prepare(place)
            reason = unfit or _claim(place)
            if not reason:
                return Place(path=place, reason="; ".join(reasons))
            reasons.append(f"{place}: {reason}")
            if unfit:  # nor can a folder in it
                break
    raise ProviderError(
        "there is no folder to keep servers and templates in",
        cause="; ".join(reasons),
        fix="set SEATRIAL_CACHE to a folder that can be written",
    )


def running(store: Path) -> list[Path]:
    """The folders that may hold the folders of servers of the cache `store`, the best first; none need exist.

    Servers of different caches never meet.
    """
    tag = f"seatrial-{_uid()}-{digest(str(store), 6)}"
    memory = [_MEMORY / tag] if sys.platform == "linux" else []
    disk = [store / "run", Path(tempfile.gettempdir()) / tag]
    # Root's servers run as another user, who may not enter root's home.
    return [*memory, *(reversed(disk) if _uid() == 0 else disk)]


def in_memory(path: Path) -> bool:
    """Whether a folder of `running` is gone when the machine boots."""
    return path.is_relative_to(_MEMORY)


def room(name: str) -> Path:
    """The folder of the cache that is called `name`, one of `ROOMS`; it need not exist."""
    assert name in ROOMS, f"nobody would ever clean {name}"
    return cache().path / name


def instance(store: Path, key: str, *, on_disk: bool = False) -> Place:
    """The folder of the server `key` (8 characters): where it is already, or the best place for a new one. Makes it.

    Args:
        store: the cache.
        key: the server's.
        on_disk: whether a new one outlasts the machine's next boot, though it is faster in memory.

    Raises:
        ProviderError: it can be made nowhere.
    """
    reasons: list[str] = []
    roots = running(store)
    for root in roots:
        if (root / key).is_dir() and not _prepare(root):
            return Place(path=root / key)
    for root in roots:
        if on_disk and in_memory(root):
            continue
        if not root.exists():
            _tidy(root.parent)
        reason = _unfit(root) or _prepare(root)
        if not reason:
            (root / _OWNER).write_text(str(store), encoding="utf-8")
            path = root / key
            path.mkdir(mode=0o700, exist_ok=True)
            return Place(path=path, reason="; ".join(reasons))
        reasons.append(f"{root}: {reason}")
    raise ProviderError(
        "there is no folder to run a server in",
        cause="; ".join(reasons),
        fix="set SEATRIAL_CACHE to a short path of a folder that can be written",
    )


def remove_unused(files: Iterable[Path], seconds: float) -> None:
    """Delete files that were not touched for so long when the newest of them was, each with its lock.

    That is by the file system's own clock: a test may have frozen ours. Other processes may delete them meanwhile.
    """
    touched: dict[Path, float] = {}
    for path in files:
        with suppress(FileNotFoundError):
            touched[path] = path.stat().st_mtime
    newest = max(touched.values(), default=0)
    for path, modified in touched.items():
        if newest - modified > seconds:
            path.unlink(missing_ok=True)
            path.with_suffix(".lock").unlink(missing_ok=True)


@contextmanager
def enough_room(folder: Path | None = None) -> Iterator[None]:
    """Tell of a full disk how to get room.

    Args:
        folder: where a server is written, if that is what is done.

    Raises:
        ProviderError: in the place of the OSError of a disk that is full.
    """
    try:
        yield
    except OSError as error:
        if error.errno not in (errno.ENOSPC, errno.EDQUOT):
            raise
        where = error.filename or folder
        raise ProviderError(
            f"there is no room left for a server: {error.strerror}",
            cause=f"it takes some 100 MB in {f'{where} and in ' if where else ''}{cache().path}",
            fix="free some, by `seatrial clean` or otherwise, or set SEATRIAL_CACHE to a folder with more room",
        ) from error


def digest(text: str, length: int = 8) -> str:
    """A short name for `text`, fit for a file."""
    return hashlib.sha256(text.encode()).hexdigest()[:length]


def _tidy(top: Path) -> None:
    """Delete what our caches left outside themselves when they were deleted, unless something still runs there."""
    for root in top.glob(f"seatrial-{_uid()}-*"):
        with suppress(FileNotFoundError):  # another process tidies at the same time
            if not root.is_symlink() and root.stat().st_uid == _uid() and _is_deserted(root):
                shutil.rmtree(root, ignore_errors=True)


def _is_deserted(root: Path) -> bool:
    cache = Path((root / _OWNER).read_text(encoding="utf-8"))
    held = (*root.glob("*.lock"), *root.glob("*/running"))
    return not cache.is_dir() and not any(map(is_held, held))


def _caches() -> list[Path]:
    fallback = Path(tempfile.gettempdir()) / f"seatrial-{_uid()}"
    named = os.environ.get("SEATRIAL_CACHE", "")
    if named:
        return [Path(named).expanduser().absolute(), fallback]
    try:
        home = Path.home()
    except RuntimeError:  # neither HOME nor an entry in the password file
        return [fallback]
    if sys.platform == "darwin":
        return [home / "Library" / "Caches" / "seatrial", fallback]
    base = os.environ.get("XDG_CACHE_HOME", "")
    return [(Path(base) if Path(base).is_absolute() else home / ".cache") / "seatrial", fallback]


def _prepare(path: Path) -> str:
    """Make a folder that only we can enter; why it can't be, or nothing."""
    try:
        path.mkdir(mode=0o700, parents=True, exist_ok=True)
        if path.stat().st_uid != _uid():
            return "it belongs to another user"
        if path.is_symlink() and path.lstat().st_uid != _uid():
            return "it is another user's link"
    except OSError as error:
        return error.strerror or str(error)
    return "" if os.access(path, os.W_OK | os.X_OK) else "it can't be written"


def _claim(path: Path) -> str:
    """Have the folder tagged as a cache of ours, if it is one or empty; why it can't be, or nothing."""
    if path.stat().st_mode & (stat.S_IWGRP | stat.S_IWOTH):
        return "others may write in it"
    try:
        tag = (path / TAG).read_bytes() if (path / TAG).exists() else None
        if tag is None:
            names = {one.name for one in path.iterdir()}
            if names and TAG not in names and not _is_old(path, names):
                return "there are files of others in it"
            _write_tag(path / TAG)
    except OSError as error:
        return error.strerror or str(error)
    # Empty for a moment, while another process writes it.
    return "" if tag in (None, _TAG, b"") else "it is the cache of another program"


def _write_tag(tag: Path) -> None:
    with suppress(FileExistsError):  # another process was faster
        descriptor = os.open(tag, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        with os.fdopen(descriptor, "wb", buffering=0) as file, suppress(OSError):  # a full disk: the name is enough
            file.write(_TAG)


def _is_old(path: Path, names: set[str]) -> bool:
    """Whether a folder without a tag is a cache from before there were tags."""
    known = all(name in _OLD or name.startswith("secret.") for name in names)
    return known and ({"ports.lock", "secret"} <= names or all((path / "sqlite" / one).is_dir() for one in _OLD_SQLITE))


def _unfit(root: Path) -> str:
    if len(os.fsencode(root)) + _SOCKET_NAME > SOCKET_PATH:
        return "its path is too long for a unix socket"
    if root.parent == _MEMORY:
        try:
            free = shutil.disk_usage(root.parent).free
        except OSError:
            return "this machine has no shared memory"
        if free < ROOM:
            return f"only {free // 2**20} MB of memory are free there, and {ROOM // 2**20} are wanted"
    return ""


def _uid() -> int:
    return os.geteuid()
