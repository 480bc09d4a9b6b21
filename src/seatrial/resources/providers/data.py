"""Data folders of local servers: made once by the kind's own program, kept as a tar, unpacked for each new server."""

from __future__ import annotations

import contextlib
import os
import secrets
import shutil
import subprocess
import tarfile
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from seatrial.core import guise, processes
from seatrial.core.folders import digest
from seatrial.core.locks import FileLock
from seatrial.core.redact import redact
from seatrial.errors import ProviderError
from seatrial.resources.protocol import Program, ServerSpec
from seatrial.resources.supervisor.instance import Instance

_UNUSED_SECONDS = 30 * 86400
_ENVIRONMENT = ("PATH", "HOME", "TMPDIR", "LD_LIBRARY_PATH", "DYLD_LIBRARY_PATH")


def password(store: Path) -> str:
    """The password of our own role on all servers of one cache: random, made once, readable by its user only."""
    path = store / "secret"
    with contextlib.suppress(FileNotFoundError):
        return path.read_text(encoding="ascii")
    with FileLock(store / "secret.lock", purpose="making a password"):
        if not path.exists():
            fresh = store / f"secret.{os.getpid()}"
            fresh.touch(mode=0o600)
            fresh.write_text(secrets.token_hex(16), encoding="ascii")
            fresh.replace(path)
    return path.read_text(encoding="ascii")


def environment() -> dict[str, str]:
    """What servers see of our environment: nothing that could change what they do."""
    return {name: os.environ[name] for name in _ENVIRONMENT if name in os.environ} | {"TZ": "UTC"}


@dataclass(frozen=True, slots=True, kw_only=True)
class DataFolder:
    """The data folder of one server. Its methods are called under the instance's lock, while nothing runs there."""

    instance: Instance
    store: Path
    """The cache folder."""
    spec: ServerSpec
    program: Program
    binaries: Path
    guise: str

    def prepare(self) -> bool:
        """Have a data folder; returns whether it is one that was used before, with all that is in it.

        One that was used before is taken again if it is durable, or if the machine has not booted since: without
        fsync not even a clean end is a proof that anything has reached the disk.

        Raises:
            ProviderError: the program that makes a fresh one failed.
        """
        fingerprint = self._fingerprint()
        was = self.instance.read("data.json")
        sound = was.get("durable") or was.get("boot") == processes.boot()
        if self.instance.data.is_dir() and was.get("fingerprint") == fingerprint and sound:
            return True
        self.discard()
        fresh = self.instance.folder / "data.new"
        shutil.rmtree(fresh, ignore_errors=True)
        unpack(self._base(fingerprint), fresh)
        give(fresh, self.guise)
        fresh.rename(self.instance.data)
        now = {"fingerprint": fingerprint, "durable": self.spec.durable, "boot": processes.boot()}
        self.instance.write("data.json", now)
        return False

    def discard(self) -> None:
        """Forget it."""
        (self.instance.folder / "data.json").unlink(missing_ok=True)
        if self.instance.data.exists():
            shutil.rmtree(self.instance.data)

    def _fingerprint(self) -> str:
        shape = self.program.fingerprint(self.binaries, self.spec)
        return digest(f"{shape} {self.spec.durable} {digest(password(self.store))}", 16)

    def _base(self, fingerprint: str) -> Path:
        """The tar of a fresh data folder, made now if it is not there."""
        folder = self.store / "fresh"
        folder.mkdir(mode=0o700, exist_ok=True)
        tar = folder / f"{self.spec.kind}-{fingerprint}.tar"
        if not tar.is_file():
            with FileLock(tar.with_suffix(".lock"), timeout=120, purpose="making a fresh data folder"):
                if not tar.is_file():
                    self._make(tar)
        tar.touch()
        return tar

    def _make(self, tar: Path) -> None:
        _tidy(tar.parent)
        unfinished = tar.with_suffix(f".{os.getpid()}")
        with _private(self.instance.folder / "fresh", self.guise) as room:
            run = _Runner(room, self.guise, password(self.store))
            self.program.initialise(self.binaries, room / "data", self.spec, password(self.store), run)
            with tarfile.open(unfinished, "w:") as archive:
                for path in sorted((room / "data").iterdir()):
                    archive.add(path, path.name)
        unfinished.replace(tar)


def give(folder: Path, disguise: str) -> None:
    """Let the user behind a guise own a folder and what is in it, if that is not us."""
    uid, gid = guise.owner(disguise)
    if uid < 0:
        return
    for path in (folder, *folder.rglob("*")):
        os.chown(path, uid, gid, follow_symlinks=False)


def unpack(tar: Path, folder: Path) -> None:
    """Unpack a tar of ours: plain files and folders, for us alone. Twice as fast as `tarfile` with all its care."""
    folder.mkdir(mode=0o700)
    with tarfile.open(tar, "r:") as members, tar.open("rb") as file:
        for member in members:
            path = f"{folder}/{member.name}"
            if member.isdir():
                os.mkdir(path, 0o700)  # noqa: PTH102 - a thousand pathlib objects would cost as much as the files
                continue
            file.seek(member.offset_data)
            target = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
            with open(target, "wb", buffering=0) as whole:  # noqa: PTH123 - a file descriptor, not a path
                whole.write(file.read(member.size))


def _tidy(folder: Path) -> None:
    """Delete tars that no new server has used for a month, and what was never finished."""
    (folder / "now").touch()
    now = (folder / "now").stat().st_mtime  # the file system's clock, which no test can freeze
    for path in folder.glob("*-*"):
        with contextlib.suppress(FileNotFoundError):
            if now - path.stat().st_mtime > _UNUSED_SECONDS:
                path.unlink()


@contextlib.contextmanager
def _private(room: Path, disguise: str) -> Iterator[Path]:
    shutil.rmtree(room, ignore_errors=True)
    room.mkdir(mode=0o700)
    give(room, disguise)
    try:
        yield room
    finally:
        shutil.rmtree(room, ignore_errors=True)


class _Runner:
    """`protocol.Run`: under a guise, in a room whose files it may read."""

    def __init__(self, room: Path, disguise: str, secret: str) -> None:
        self._room = room
        self._secret = secret
        self._guise = disguise

    def __call__(self, argv: Sequence[str], *, env: Mapping[str, str] | None = None, cwd: Path | None = None) -> str:
        give(self._room, self._guise)
        done = subprocess.run(
            guise.command(self._guise, argv),
            env={**environment(), **(env or {})},
            cwd=cwd or self._room,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            errors="replace",
            check=False,
        )
        if done.returncode:
            raise ProviderError(
                f"{Path(argv[0]).name} failed with exit status {done.returncode}",
                cause=redact(done.stdout.strip(), self._secret) or "it printed nothing",
                fix=redact(f"run it by hand: {' '.join(argv)}", self._secret),
            )
        return done.stdout
