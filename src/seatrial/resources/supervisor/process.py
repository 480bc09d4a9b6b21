"""The supervisor: a small process that owns one server, and ends with it when nobody holds it any more.

A hold ("lease") is an open connection to its unix socket: the kernel closes it, whatever happens to the holder.
The server dies with the supervisor, too. It leads a group of its own: what it had started is ended after it. So nothing
is left behind, whoever is killed.

Requests and answers are lines of JSON:
    {"op": "lease", "want": KEY, "idle": SECONDS}   hold the server, if it is the one that is wanted
    {"op": "ready"}                                 the holder has had an answer from it
    {"op": "status"} {"op": "pin"} {"op": "unpin"}  a pinned server stays up without holders
    {"op": "down"}                                  end it now; the end of the connection is the reply
Every holder is told once when the server ends: {"event": "exit", "status": N, "asked": BOOL, "log": TEXT}.

It is started anew for each server, and whoever starts it waits: until the server is forked only the lightest modules of
the standard library, and no site-packages. What takes longer to import is imported while the server starts: `json`,
which takes as long as the interpreter itself, and `socket`; `signal` is `_signal` and names for its numbers.
"""

from __future__ import annotations

import _signal as signal  # type: ignore[import-not-found]  # typeshed has no stub of it
import fcntl
import marshal
import os
import select
import sys
import time

from seatrial.core import guise, processes

TYPE_CHECKING = False
if TYPE_CHECKING:
    import socket
    from typing import Any

_LOG_TAIL = 8192
_TURN = 0.01
"""Seconds between two looks at a group that is asked to end: nobody tells us of those who are not our children."""


class _Peer:
    """One connection: what it has sent so far, and whether it holds the server."""

    def __init__(self, sock: socket.socket, *, lease: bool = False) -> None:
        sock.setblocking(False)  # noqa: FBT003 - the standard library takes it by position
        self.sock = sock
        self.pending = b""
        self.lease = lease

    def send(self, message: dict[str, Any]) -> None:
        import json

        # If it is gone, or does not read, it learns of the end by the end of the connection.
        try:
            self.sock.sendall(json.dumps(message).encode() + b"\n")
        except OSError:
            return

    def lines(self) -> list[bytes] | None:
        """The requests that have come in whole; None at the end of the connection."""
        try:
            chunk = self.sock.recv(65536)
        except BlockingIOError:
            return []
        except OSError:
            return None
        if not chunk:
            return None
        *whole, self.pending = (self.pending + chunk).split(b"\n")
        return whole


class Supervisor:
    """One server, its holders, and the folder that both share."""

    def __init__(self, first: int) -> None:
        with open("launch", "rb") as file:  # noqa: PTH123 - pathlib is not light
            self.launch: dict[str, Any] = marshal.load(file)  # noqa: S302 - `client.spawn` wrote it, in a private folder
        self._first = first
        self.peers: dict[int, _Peer] = {}
        self.idle: float = self.launch["idle"]
        self.pinned = False
        self.ready = False
        self.asked = False
        self.deadline = 0.0
        self.pid = 0
        self.status: int | None = None

    def run(self) -> None:
        """Serve until nobody holds the server, somebody ends it, or it dies."""
        self.wake, wake = os.pipe()
        for end in (self.wake, wake):
            os.set_blocking(end, False)
        signal.set_wakeup_fd(wake, warn_on_full_buffer=False)
        signal.signal(signal.SIGCHLD, lambda *_: None)
        signal.signal(signal.SIGTERM, self._terminated)
        listener = None
        try:
            self.pid = self._spawn()
            self._record()
            listener = self._listen()  # while the server starts: whoever looks for us meanwhile waits for our starter
            while self._wanted():
                self._turn(listener)
        finally:
            # New holders find no socket, wait until our lock is free, and start the server anew.
            _remove("s")
            if listener is not None:
                listener.close()
            self._stop()
            self._end_group()
            # Some servers are best ended by SIGKILL, and leave their sockets in our folder, too.
            for path in (*self.launch.get("outside", ()), *os.listdir(".")):  # noqa: PTH208 - pathlib is not light
                processes.remove_deserted(path)
            _remove("state.json")
            self._tell()

    def _listen(self) -> socket.socket:
        import json  # noqa: F401 - now, while the server starts, and not when somebody first asks
        import socket

        first = socket.socket(fileno=self._first)
        self.peers[self._first] = _Peer(first, lease=True)
        listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        _remove("s")
        listener.bind("s")
        listener.listen(128)
        listener.setblocking(False)  # noqa: FBT003 - the standard library takes it by position
        return listener

    def _terminated(self, *_: object) -> None:
        self.asked = True

    def _wanted(self) -> bool:
        self._reap()
        if self.status is not None or self.asked:
            return False
        if self.pinned or any(peer.lease for peer in self.peers.values()):
            self.deadline = 0.0
        elif not self.deadline:
            self.deadline = time.monotonic() + self.idle
        elif time.monotonic() >= self.deadline:
            self.asked = True
            return False
        return True

    def _turn(self, listener: socket.socket) -> None:
        timeout = max(self.deadline - time.monotonic(), 0) if self.deadline else None
        # poll, not select: the number of holders has no bound
        poll = select.poll()
        for number in (listener.fileno(), self.wake, *self.peers):
            poll.register(number, select.POLLIN)
        for number, _ in poll.poll(None if timeout is None else timeout * 1000 + 1):
            if number == self.wake:
                os.read(self.wake, 4096)
            elif number == listener.fileno():
                self._accept(listener)
            else:
                self._hear(number)

    def _accept(self, listener: socket.socket) -> None:
        try:
            sock = listener.accept()[0]
        except OSError:
            return
        self.peers[sock.fileno()] = _Peer(sock)

    def _hear(self, number: int) -> None:
        import json

        peer = self.peers[number]
        lines = peer.lines()
        if lines is None:
            del self.peers[number]
            peer.sock.close()
            return
        for line in lines:
            try:
                self._obey(peer, json.loads(line))
            except (ValueError, KeyError, TypeError):
                peer.send({"ok": False, "why": "not understood"})

    def _obey(self, peer: _Peer, request: dict[str, Any]) -> None:
        op = request["op"]
        if op == "lease":
            other = request["want"] != self.launch["want"]
            if not other:
                peer.lease, self.idle = True, float(request["idle"])
            peer.send({**self._status(), "ok": not other})
        elif op == "down":
            self.asked = True
        else:
            if op in ("pin", "unpin"):
                self.pinned = op == "pin"
            self.ready = self.ready or op == "ready"
            peer.send({**self._status(), "ok": op in ("ready", "status", "pin", "unpin")})

    def _status(self) -> dict[str, Any]:
        return {
            "ready": self.ready,
            "pid": self.pid,
            "holders": sum(peer.lease for peer in self.peers.values()),
            "pinned": self.pinned,
            "want": self.launch["want"],
        }

    def _spawn(self) -> int:
        launch = self.launch
        die_with_us = processes.dying_with(os.getpid(), launch["die_signal"])
        log = os.open(launch["log"], os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
        pid = os.fork()
        if pid:
            os.close(log)
            return pid
        try:
            os.setsid()
            os.dup2(log, 1)
            os.dup2(log, 2)
            signal.set_wakeup_fd(-1)
            for number in (signal.SIGINT, signal.SIGHUP, signal.SIGTERM, signal.SIGCHLD, signal.SIGPIPE):
                signal.signal(number, signal.SIG_DFL)
            os.chdir(launch["cwd"])
            guise.enter(launch["guise"])
            die_with_us()
            os.execve(launch["argv"][0], launch["argv"], launch["env"])  # noqa: S606 - we exist to run programs
        except BaseException as error:  # noqa: BLE001 - nothing may get out of the forked child but its end
            reason = getattr(error, "strerror", None) or repr(error)
            os.write(2, f"cannot run {launch['argv'][0]}: {reason}\n".encode())
        finally:
            os._exit(127)

    def _record(self) -> None:
        """What the next start needs to find an orphan of ours, should all of this be killed."""
        # At once, and so by hand: json is not light, and all three are plain.
        started, nonce = processes.started(self.pid), self.launch["nonce"]
        with open("state.json.new", "w", encoding="utf-8") as file:  # noqa: PTH123 - pathlib is not light
            file.write(f'{{"pid": {self.pid}, "started": "{started}", "nonce": "{nonce}"}}')
        os.replace("state.json.new", "state.json")  # noqa: PTH105 - pathlib is not light

    def _reap(self) -> None:
        if self.pid and self.status is None:
            pid, status = os.waitpid(self.pid, os.WNOHANG)
            if pid:
                self.status = os.waitstatus_to_exitcode(status)

    def _stop(self) -> None:
        for seconds, number in self._patience():
            self._reap()
            if not self.pid or self.status is not None:
                return
            processes.send(self.pid, number)
            deadline = time.monotonic() + seconds
            while self.status is None and time.monotonic() < deadline:
                select.select([self.wake], [], [], max(deadline - time.monotonic(), 0))
                try:  # noqa: SIM105 - contextlib is not light
                    os.read(self.wake, 4096)
                except BlockingIOError:
                    pass
                self._reap()

    def _end_group(self) -> None:
        """End what the server has started and left behind, as a command does that is a script."""
        for seconds, number in (3.0, signal.SIGTERM), (5.0, signal.SIGKILL):
            if not self.pid or not processes.send_group(self.pid, number):
                return
            deadline = time.monotonic() + seconds
            # No zombies: who adopts them may never reap them, as many a container's first process.
            while processes.members(self.pid) and time.monotonic() < deadline:
                time.sleep(_TURN)

    def _patience(self) -> tuple[tuple[float, int], ...]:
        """Seconds given to the server's own way of stopping, then to ruder signals.

        One that never was ready has nothing to lose, and may hang for good when it is told while it starts (MariaDB
        10.11): it is soon sent what the death of its supervisor would send it.
        """
        stop, die = self.launch["stop_signal"], self.launch["die_signal"]
        if self.ready or die == stop:
            return (10.0, stop), (3.0, signal.SIGQUIT), (5.0, signal.SIGKILL)
        return (1.0, stop), (3.0, die), (5.0, signal.SIGKILL)

    def _tell(self) -> None:
        ended = {"event": "exit", "status": self.status, "asked": self.asked, "log": _tail(self.launch["log"])}
        for peer in self.peers.values():
            peer.send(ended)


def _tail(path: str) -> str:
    try:
        with open(path, "rb") as file:  # noqa: PTH123 - pathlib is not light
            file.seek(max(file.seek(0, os.SEEK_END) - _LOG_TAIL, 0))
            return file.read().decode(errors="replace")
    except OSError:
        return ""


def _remove(path: str) -> None:
    try:
        os.unlink(path)  # noqa: PTH108 - pathlib is not light
    except FileNotFoundError:
        return


def main() -> None:
    """Run in the folder given first, with the spawner's hold as the file descriptor given second."""
    folder, number = sys.argv[1], int(sys.argv[2])
    if os.fork():
        os._exit(0)  # so that we are nobody's child: no test run need wait for us
    os.setsid()
    os.chdir(folder)
    os.umask(0o077)
    for ignored in (signal.SIGINT, signal.SIGHUP, signal.SIGPIPE):
        signal.signal(ignored, signal.SIG_IGN)
    lock = os.open("running", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    fcntl.flock(lock, fcntl.LOCK_EX)
    os.set_inheritable(number, False)  # noqa: FBT003 - the standard library takes it by position
    Supervisor(number).run()
