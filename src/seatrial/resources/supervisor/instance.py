"""One server's folder: its port, its data, its log, and the socket of its supervisor, as far as they exist."""

from __future__ import annotations

import json
import marshal
import os
import shutil
import threading
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from seatrial.core import folders, locks, ports, processes
from seatrial.core.locks import FileLock, Share

_UNUSED_SECONDS = 14 * 86400
_KEPT = 16
"""Servers whose folders are kept while they do not run: some 50 MB each, in memory where they are there."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Instance:
    """The folder of one server. All of it can be deleted while the server does not run."""

    folder: Path

    @property
    def socket(self) -> Path:
        """Where its supervisor answers."""
        return self.folder / "s"

    @property
    def data(self) -> Path:
        """The server's data folder."""
        return self.folder / "data"

    @property
    def log(self) -> Path:
        """The server's log."""
        return self.folder / "log"

    @property
    def alive(self) -> bool:
        """Whether its supervisor lives: it holds a lock that the kernel lets go with it."""
        return locks.is_held(self.folder / "running")

    def lock(self, purpose: str, timeout: float = 60) -> FileLock:
        """Held by whoever starts the server, deletes the folder, or changes its port."""
        return FileLock(self.folder.with_suffix(".lock"), timeout=timeout, purpose=purpose)

    def about(self) -> dict[str, Any]:
        """What the server is: project, kind, provider, version, port; empty before the first `describe`."""
        return self.read("about.json")

    def describe(self, values: Mapping[str, Any]) -> None:
        """Write down what the server is."""
        self.write("about.json", values)

    def read(self, name: str) -> dict[str, Any]:
        """A file of JSON in the folder; empty where it is missing or broken."""
        try:
            value = json.loads((self.folder / name).read_text(encoding="utf-8"))
        except (OSError, ValueError):
            return {}
        return value if isinstance(value, dict) else {}

    def write(self, name: str, values: Mapping[str, Any]) -> None:
        """Replace a file of JSON, whole or not at all."""
        self._replace(name, json.dumps(dict(values), indent=1).encode())

    def order(self, launch: Mapping[str, Any]) -> None:
        """Tell the supervisor what to start: once for us, and once in a form that its interpreter reads at once."""
        self.write("launch.json", launch)
        self._replace("launch", marshal.dumps(json.loads(json.dumps(dict(launch)))))

    def _replace(self, name: str, content: bytes) -> None:
        fresh = self.folder / f"{name}.{os.getpid()}.{threading.get_native_id()}.new"
        fresh.touch(mode=0o600)
        fresh.write_bytes(content)
        fresh.replace(self.folder / name)

    def orphan(self) -> int:
        """The pid of a server of ours that outlived its supervisor, or of what it had started; 0 if there is none."""
        state = self.read("state.json")
        pid, nonce = int(state.get("pid", 0)), state.get("nonce", "")
        if processes.is_ours(pid, state.get("started", ""), nonce):
            return pid
        # The oldest first: it may start others in their place.
        return min((one for one in processes.members(pid) if processes.bears(one, nonce)), default=0) if pid > 0 else 0

    def sweep(self) -> None:
        """Remove what an earlier server of ours has left. Only under `lock`, and only if nothing runs there."""
        inside = map(str, self.folder.iterdir()) if self.folder.is_dir() else ()
        for path in (*self.read("launch.json").get("outside", ()), *inside):
            processes.remove_deserted(path)
        for left in ("state.json", "s"):
            (self.folder / left).unlink(missing_ok=True)

    def delete(self) -> None:
        """Remove the folder. Only under `lock`, and only if nothing runs there."""
        self.sweep()
        shutil.rmtree(self.folder, ignore_errors=True)
        self.folder.with_suffix(".lock").unlink(missing_ok=True)


def known(store: Path) -> list[Instance]:
    """The folders of all servers of one cache, running or not."""
    return [instance for root in folders.running(store) for instance in _inside(root)]


def _inside(root: Path) -> list[Instance]:
    try:
        return [Instance(folder=path) for path in sorted(root.iterdir()) if (path / "about.json").is_file()]
    except OSError:  # it is not there, or not ours
        return []


@dataclass(slots=True, kw_only=True)
class Reserved:
    """One process's right to a server's folder and port, whether or not the server runs."""

    instance: Instance
    share: Share
    """While somebody has it, the folder is not tidied away."""
    port: ports.Reservation | None
    """None where the server runs, and has the port itself."""

    def close(self) -> None:
        """Give it up."""
        self.share.close()
        if self.port is not None:
            self.port.close()
            self.port = None


def place(store: Path, key: str, fixed: int = 0, *, durable: bool = False) -> Reserved:
    """Reserve the folder of the server `key`, and its port, which is then in `about()["port"]`.

    The port lasts from run to run. It changes only if somebody else took it while our server was down: one who listens
    on it, or a run with another cache, which holds it for a server that may start at any moment.

    Args:
        store: the cache folder.
        key: 8 characters that name the server.
        fixed: take this port, whoever has it now.
        durable: on a disk; a server that was in memory before goes, unless somebody has it.
    """
    with FileLock(store / "ports.lock", purpose="choosing a port"):
        (store / "ports.lock").touch()
        where = folders.instance(store, key, on_disk=durable)
        if durable and folders.in_memory(where.path) and discard(Instance(folder=where.path)):
            where = folders.instance(store, key, on_disk=True)
        instance = Instance(folder=where.path)
        first = not _is_reserved(instance)
        share = Share(instance.folder / "reserved")
        port = fixed or int(instance.about().get("port", 0))
        if port and instance.alive:
            return Reserved(instance=instance, share=share, port=None)
        # Where none of ours has it, whoever holds it all the same is a stranger.
        held = ports.hold(port, alone=first and not fixed and ports.rested(port)) if port else None
        if held is None and not fixed:
            if not port:
                _tidy(store)
            others = {int(other.about().get("port", 0)) for other in known(store) if other != instance}
            held = ports.choose(str(instance.folder), others)
            port = held.port
        # The reason is told when the folder is made; a later look finds it where it is.
        instance.describe({"place": where.reason, **instance.about(), "port": port})
        return Reserved(instance=instance, share=share, port=held)


def _is_reserved(instance: Instance) -> bool:
    lock = FileLock(instance.folder / "reserved")
    if lock.try_acquire():
        lock.release()
        return False
    return True


def _tidy(store: Path) -> None:
    """Delete servers that do not run: those whose project is gone, those long unused, and all but the last used few."""
    # The file system's clock, which no test can freeze.
    now = (store / "ports.lock").stat().st_mtime
    used = {instance: (instance.folder / "about.json").stat().st_mtime for instance in known(store)}
    for rank, instance in enumerate(sorted(used, key=lambda instance: -used[instance])):
        project = instance.about().get("project", "")
        if project and Path(project).is_dir() and now - used[instance] < _UNUSED_SECONDS and rank < _KEPT:
            continue
        discard(instance)


def discard(instance: Instance) -> bool:
    """Delete a server's folder, with its port and its data; False if it runs, or is somebody's."""
    starting, reserved = instance.lock("tidying"), FileLock(instance.folder / "reserved")
    try:
        idle = starting.try_acquire() and reserved.try_acquire()
        if not idle or instance.alive or instance.orphan():
            return False
        instance.delete()
        return True
    finally:
        reserved.release()
        starting.release()
