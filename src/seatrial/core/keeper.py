"""The keeper: a small process between us and a child of any language, which ends all of it whatever happens to us.

It reads from a pipe that we hold open: at the end of the pipe, by our word or by our death, it ends the child's whole
process group, and what left that group but still descends from it. What it has to say are lines of JSON:
    {"pid": N}        the child runs
    {"failed": TEXT}  it could not be run
    {"exit": N}       it has ended by itself (negative: by a signal); what it had started is ended, too

It is started anew for each child: only light modules of the standard library, and no site-packages.
"""

from __future__ import annotations

import json
import os
import select
import signal
import sys
from collections.abc import Callable, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

from seatrial.core import processes, wait

_PROGRAM = "import sys; sys.path.append({root!r}); from seatrial.core.keeper import main; main()"
_LOOK = 1
"""Seconds between two looks at who our parent is: the pipe does not end while a fork of a dead parent holds it."""
_TURN = 0.02
"""Seconds between two looks at a group that is asked to end: nobody tells us of those who are not our children."""


def command(argv: Sequence[str], *, log: Path, folder: Path, patience: float) -> list[str]:
    """The command line of a keeper that runs `argv` in `folder`, with its output appended to `log`.

    Args:
        argv: the child's command line.
        log: takes what the child prints.
        folder: the child's working folder.
        patience: seconds between SIGTERM and SIGKILL.
    """
    root = str(Path(__file__).parents[2])
    told = [str(log), str(folder), str(patience)]
    return [sys.executable, "-I", "-S", "-c", _PROGRAM.format(root=root), *told, *argv]


def main() -> None:
    """Run as `command` says."""
    log, folder, patience, *argv = sys.argv[1:]
    Keeper(argv, log=log, folder=folder, patience=float(patience)).run()


class Keeper:
    """One child, from its start to the end of the last process that it has left."""

    def __init__(self, argv: Sequence[str], *, log: str, folder: str, patience: float) -> None:
        self._argv = argv
        self._log = log
        self._folder = folder
        self._patience = patience
        self._parent = os.getppid()
        self._pid = 0
        self._status: int | None = None
        self._asked = False

    def run(self) -> None:
        """Serve until the child ends, or we are asked to end it."""
        wake = self._listen()
        processes.adopt_orphans()
        failure = self._spawn()
        if failure:
            _tell({"failed": failure})
            return
        _tell({"pid": self._pid})
        poll = select.poll()
        for number in (0, wake):
            poll.register(number, select.POLLIN)
        while self._status is None and not self._asked and os.getppid() == self._parent:
            for number, _ in poll.poll(_LOOK * 1000):
                if number == wake:
                    os.read(wake, 4096)
                elif not os.read(0, 4096):
                    self._asked = True
            self._reap()
        if self._status is not None:
            _tell({"exit": self._status})
        self._end(signal.SIGTERM, self._patience)
        self._end(signal.SIGKILL, self._patience)
        if os.getppid() != self._parent:
            self._tidy()

    def _tidy(self) -> None:
        """Whoever would have removed the log, and its folder where nothing else is in it, is gone."""
        log = Path(self._log)
        with suppress(OSError):
            log.unlink()
            log.parent.rmdir()

    def _listen(self) -> int:
        wake, write = os.pipe()
        for end in (wake, write):
            os.set_blocking(end, False)
        signal.set_wakeup_fd(write, warn_on_full_buffer=False)
        signal.signal(signal.SIGCHLD, lambda *_: None)
        signal.signal(signal.SIGTERM, self._terminated)
        for ignored in (signal.SIGINT, signal.SIGHUP, signal.SIGPIPE):
            signal.signal(ignored, signal.SIG_IGN)
        return wake

    def _terminated(self, *_: object) -> None:
        self._asked = True

    def _spawn(self) -> str:
        """Start the child as the leader of a group of its own; returns why that could not be done."""
        die_with_us = processes.dying_with(os.getpid(), signal.SIGKILL)
        try:
            log = os.open(self._log, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
        except OSError as error:
            return f"{self._log}: {error.strerror}"
        nothing = os.open(os.devnull, os.O_RDONLY)
        told, tell = os.pipe()
        self._pid = os.fork()
        if not self._pid:
            self._become(log, nothing, tell, die_with_us)
        for number in (log, nothing, tell):
            os.close(number)
        with os.fdopen(told, "rb") as reasons:  # ends when the child has executed its program
            return reasons.read().decode(errors="replace")

    def _become(self, log: int, nothing: int, tell: int, die_with_us: Callable[[], None]) -> None:
        try:
            os.setsid()
            for number, standard in ((nothing, 0), (log, 1), (log, 2)):
                os.dup2(number, standard)
            signal.set_wakeup_fd(-1)
            for each in (signal.SIGINT, signal.SIGHUP, signal.SIGTERM, signal.SIGCHLD, signal.SIGPIPE):
                signal.signal(each, signal.SIG_DFL)
            os.chdir(self._folder)
            die_with_us()
            os.execvp(self._argv[0], list(self._argv))  # noqa: S606 - we exist to run programs
        except BaseException as error:  # noqa: BLE001 - nothing may get out of the forked child but its end
            os.write(tell, (getattr(error, "strerror", None) or repr(error)).encode())
        finally:
            os._exit(127)

    def _reap(self) -> None:
        """Take note of all who have ended: our child, and orphans that came to us."""
        while True:
            try:
                pid, status = os.waitpid(-1, os.WNOHANG)
            except ChildProcessError:
                return
            if not pid:
                return
            if pid == self._pid:
                self._status = os.waitstatus_to_exitcode(status)

    def _end(self, number: int, patience: float) -> None:
        """Send a signal to all that is left, and to what comes to us meanwhile; until nothing is, or time is up."""
        known: set[int] = set()
        deadline = wait.now() + patience
        while True:
            self._reap()
            left = self._left()
            for pid in left - known:
                processes.send(pid, number)
            known |= left
            if not left or wait.now() >= deadline:
                return
            wait.pause(_TURN)

    def _left(self) -> set[int]:
        """The pids of the group, and of our own children: who left the group comes to us when its parent has ended."""
        return processes.members(self._pid) | processes.children(os.getpid())


def _tell(message: dict[str, Any]) -> None:
    try:
        os.write(1, json.dumps(message).encode() + b"\n")
    except OSError:
        return  # who would have read it is gone
