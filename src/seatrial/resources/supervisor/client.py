"""The test run's side of a supervisor: start one, hold its server, ask after it, end it."""

from __future__ import annotations

import contextlib
import json
import os
import select
import signal
import socket
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from seatrial.core import folders, processes, wait
from seatrial.errors import ProviderError
from seatrial.resources.supervisor.instance import Instance, known

_PROGRAM = "import sys; sys.path.append({root!r}); from seatrial.resources.supervisor.process import main; main()"
_ENVIRONMENT = ("PATH", "LD_LIBRARY_PATH", "DYLD_LIBRARY_PATH")
_ANSWER = 15.0
"""Seconds that a supervisor, which does nothing but answer, may take to do so."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Ended:
    """How a server ended, as its supervisor told."""

    status: int | None
    asked: bool
    """Whether somebody wanted it to end."""
    log: str


class Hold:
    """One process's hold on a running server: an open connection to its supervisor.

    Args:
        sock: the connection.
        ready: whether somebody has had an answer from the server.
        starter: the process that forks the supervisor and ends, where we have started it.
    """

    def __init__(
        self, sock: socket.socket, *, ready: bool = False, starter: subprocess.Popen[bytes] | None = None
    ) -> None:
        self._sock = sock
        self._starter = starter
        self._pending = b""
        self._confirmed = False
        self.ready = ready
        self.ended: Ended | None = None

    def alive(self) -> bool:
        """Whether the server runs, without a round trip: nobody has told us of its end."""
        while self.ended is None and _readable(self._sock, 0):
            try:
                chunk = self._sock.recv(65536)
            except OSError:
                chunk = b""
            if not chunk:
                self.ended = Ended(status=None, asked=False, log="")
                break
            *lines, self._pending = (self._pending + chunk).split(b"\n")
            for message in map(json.loads, lines):
                self._confirmed = self._confirmed or "ok" in message
                if message.get("event") == "exit":
                    self.ended = Ended(status=message["status"], asked=message["asked"], log=message["log"])
        return self.ended is None

    def tell_ready(self) -> None:
        """The server answers: later holders need not ask it. Back when they can find it, too.

        A quick server answers before its supervisor has imported what it listens with.
        """
        self.ready = True
        self._reap()
        try:
            _send(self._sock, {"op": "ready"})
        except OSError:
            self.alive()
            return
        while self.alive() and not self._confirmed and _readable(self._sock, _ANSWER):
            continue

    def close(self) -> None:
        """Let go."""
        self._sock.close()
        self._reap()

    def _reap(self) -> None:
        starter, self._starter = self._starter, None
        if starter is not None:
            starter.wait()  # it has ended, or is about to: it does nothing but fork


@dataclass(frozen=True, slots=True, kw_only=True)
class Status:
    """One server of ours, running or not."""

    instance: Instance
    project: str
    kind: str
    provider: str
    version: str
    port: int
    place: str
    """Why its folder is not in memory, where it could be; empty where it is."""
    running: bool
    pid: int = 0
    holders: int = 0
    pinned: bool = False


def attach(instance: Instance, want: str, idle: float) -> Hold | Status | None:
    """Hold the server that runs in `instance`.

    Returns None if none runs, and its status if one runs that was started for other settings than `want`.
    """
    sock = _connect(instance)
    if sock is None:
        return None
    reply = _exchange(sock, {"op": "lease", "want": want, "idle": idle})
    if reply is None:
        sock.close()
        return None
    if not reply["ok"]:
        sock.close()
        return _status(instance, reply)
    return Hold(sock, ready=reply["ready"])


def spawn(instance: Instance, launch: Mapping[str, Any]) -> Hold:
    """Start a supervisor, which starts the server at once. Only under the instance's lock. Waits for neither.

    Args:
        instance: its folder.
        launch: argv, env, cwd, log, stop_signal, die_signal, outside, guise, want, idle, nonce (see
            `process.Supervisor`).
    """
    instance.order(launch)
    ours, theirs = socket.socketpair()
    program = _PROGRAM.format(root=str(Path(__file__).parents[3]))
    with theirs, (instance.folder / "supervisor.log").open("wb") as log:
        starter = subprocess.Popen(
            [sys.executable, "-I", "-S", "-c", program, str(instance.folder), str(theirs.fileno())],
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            pass_fds=[theirs.fileno()],
            env={name: os.environ[name] for name in _ENVIRONMENT if name in os.environ},
        )
    return Hold(ours, starter=starter)


def settle(instance: Instance, timeout: float = 20) -> None:
    """Wait for the end of a supervisor that is ending, and end a server that outlived its own. Only under the lock.

    Raises:
        ProviderError: it does not end.
    """
    orphan = 0
    if wait.until(lambda: not instance.alive, timeout=timeout):
        while (orphan := instance.orphan()) and _ended(instance, orphan):
            continue
        if not orphan:
            instance.sweep()
            return
    raise ProviderError(
        f"a server of an earlier run does not end (folder {instance.folder})",
        cause="it is still writing, or something traces it",
        fix=f"end it by hand: kill -9 {orphan}" if orphan else "run `seatrial down`, or wait",
    )


def _ended(instance: Instance, orphan: int) -> bool:
    for number in (signal.SIGQUIT, signal.SIGKILL):
        processes.send(orphan, number)
        if wait.until(lambda: instance.orphan() != orphan, timeout=5):
            return True
    return False


def instances(project: Path | None = None, *, store: Path | None = None) -> list[Status]:
    """All servers of one project, or of all, running or not; of the cache `store`, or of the user's."""
    found = [_status(instance, ask(instance, "status")) for instance in known(store or folders.cache().path)]
    return [status for status in found if project is None or status.project == str(project)]


def pin(instance: Instance, *, up: bool) -> bool:
    """Keep the server in `instance` up without holders, or no longer; False if none runs."""
    return ask(instance, "pin" if up else "unpin") is not None


def pinned(instance: Instance) -> bool:
    """Whether the server in `instance` runs and is kept up without holders."""
    reply = ask(instance, "status")
    return reply is not None and bool(reply["pinned"])


def ask(instance: Instance, op: str) -> dict[str, Any] | None:
    """One request to a supervisor ("status", "pin", "unpin"); None if none runs."""
    sock = _connect(instance)
    if sock is None:
        return None
    with sock:
        return _exchange(sock, {"op": op})


def down(instance: Instance, timeout: float = 20) -> bool:
    """End the server in `instance`, whoever holds it, and wait for its end; False if none ran.

    One that somebody is just starting is ended when it has started.

    Raises:
        ProviderError: it has not ended after `timeout` seconds.
    """
    ran = end(instance, timeout)
    with instance.lock("ending the server"):  # nobody starts one from here on
        if not ran:
            ran = end(instance, timeout)
        elif ask(instance, "status") is not None:
            return True  # ours has ended, and another run has started one meanwhile
        settle(instance, timeout)
    return ran


def end(instance: Instance, timeout: float = 20) -> bool:
    """Ask a supervisor to end, as soon as it listens, and wait until it tells; False if none does."""
    found: socket.socket | None = None

    def heard() -> bool:
        nonlocal found
        found = _connect(instance)
        return found is not None or not instance.alive

    wait.until(heard, timeout=timeout)
    if found is None:
        return False
    with found:
        with contextlib.suppress(OSError):  # it may be ending by itself
            _send(found, {"op": "down"})
        hold = Hold(found)
        wait.until(lambda: not hold.alive(), timeout=timeout)
    return True


def _connect(instance: Instance) -> socket.socket | None:
    sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    try:
        sock.connect(str(instance.socket))
    except OSError:
        sock.close()
        return None
    return sock


def _exchange(sock: socket.socket, request: Mapping[str, Any]) -> dict[str, Any] | None:
    """One request, one reply; None if the supervisor ends meanwhile."""
    try:
        _send(sock, request)
        text = b""
        while not text.endswith(b"\n"):
            if not _readable(sock, _ANSWER):
                return None
            chunk = sock.recv(65536)
            if not chunk:
                return None
            text += chunk
    except OSError:
        return None
    reply = json.loads(text.split(b"\n")[0])
    return None if "event" in reply else dict(reply)


def _send(sock: socket.socket, message: Mapping[str, Any]) -> None:
    sock.sendall(json.dumps(dict(message)).encode() + b"\n")


def _readable(sock: socket.socket, timeout: float) -> bool:
    poll = select.poll()
    poll.register(sock, select.POLLIN)
    return bool(poll.poll(timeout * 1000))


def _status(instance: Instance, reply: Mapping[str, Any] | None) -> Status:
    about = instance.about()
    live = reply or {}
    return Status(
        instance=instance,
        project=about.get("project", ""),
        kind=about.get("kind", ""),
        provider=about.get("provider", ""),
        version=about.get("version", ""),
        port=int(about.get("port", 0)),
        place=about.get("place", ""),
        running=reply is not None,
        pid=int(live.get("pid", 0)),
        holders=int(live.get("holders", 0)),
        pinned=bool(live.get("pinned", False)),
    )
