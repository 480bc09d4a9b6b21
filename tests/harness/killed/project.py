"""A project whose runs are killed, and what must be true of the machine afterwards."""

from __future__ import annotations

import contextlib
import os
import signal
import tempfile
from pathlib import Path

from tests.harness.killed import runs
from tests.harness.killed.yardstick import Yardstick

from seatrial.config.load import load
from seatrial.core import folders, processes, wait
from seatrial.errors import ProviderError
from seatrial.harness.compose import describe
from seatrial.resources.resolve import resolve
from seatrial.resources.supervisor.instance import known

VICTIMS = ("controller", "worker", "supervisor", "controller and supervisor")

LOOK = 0.02
"""Seconds between two looks at all processes of the machine, which take some milliseconds themselves."""


class Killed:
    """A project, its cache, and runs of it that stop in one phase."""

    def __init__(self, sort, folder, store, idle):
        self.sort, self.folder, self.store, self.idle, self.made = sort, folder, store, idle, 0
        self.schema()
        sort.load()

    def unavailable(self):
        """Why no such server can be had on this machine; empty where one can."""
        config = load(self.folder / "seatrial.toml", environ=os.environ, options={})
        try:
            for resource in config.resources:
                resolve(describe(config, resource)[1])
        except ProviderError as error:
            return error.cause
        return ""

    def schema(self):
        """Another one each time: the template has to be made anew."""
        self.made += 1
        self.sort.write(self.folder, self.made)

    def kill(self, phase, victim, number):
        """One run, in which `victim` is killed in that phase; back when all that was the run's has ended."""
        if phase == "template":
            self.schema()
        controller, worker, go = runs.begin(self.sort, self.folder, phase)
        began = processes.started(worker)
        what = f"{victim} by {signal.Signals(number).name} in the phase {phase}"
        try:
            assert wait.until(lambda: any(one.alive for one in known(self.store)), timeout=runs.PATIENCE)
            groups = {"controller": [controller], "worker": [worker], "supervisor": self.supervisors()}
            servers = {pid: processes.started(pid) for pid in {*self.left()} - {controller, worker}}
            servers = {pid: started for pid, started in servers.items() if started}  # PostgreSQL's workers come and go
            yardstick = Yardstick()
            for name in victim.split(" and "):
                for pid in groups[name]:
                    os.kill(pid, number)
            if "supervisor" in victim:  # the run may go on, and start another: these are gone
                self._ended(lambda: [pid for pid in servers if processes.started(pid) == servers[pid]], yardstick, what)
        finally:
            os.close(go)
        runs.wait_for(controller)
        # While it lives, the server is its own: the next worker would have another, and sweep only there.
        assert wait.until(lambda: processes.started(worker) != began, timeout=runs.PATIENCE), what
        self._ended(self.left, yardstick, what, self.idle)
        self._marked(what)
        if not ("supervisor" in victim and number == signal.SIGKILL):
            assert self.sockets() == [], what  # else the next start sweeps them: see `whole`

    def whole(self):
        """A run to its end: it works, and finds nothing of the others."""
        controller, _, go = runs.begin(self.sort, self.folder, "end")
        yardstick = Yardstick()
        os.close(go)
        assert runs.wait_for(controller) == 0
        self._ended(self.left, yardstick, "nobody", self.idle)
        self._marked("nobody")
        assert self.sockets() == []

    def sockets(self):
        """What supervisors and servers listened at."""
        return [path for root in folders.running(self.store) for path in root.glob("*/*") if path.is_socket()]

    def supervisors(self):
        """Their process ids."""
        return [pid for pid, told in self._seen().items() if "supervisor.process" in told]

    def left(self):
        """Processes of this cache's servers, runs and supervisors."""
        # A supervisor forks while it starts: one look can miss both, when one ends and the other begins behind its back.
        return self._seen() or self._seen()

    def _seen(self):
        roots = list(map(str, folders.running(self.store)))
        return {pid: told for pid, told in told_processes() if any(root in told for root in roots)}

    def _ended(self, left, yardstick, what, idle=0.0):
        """Whatever `left` names ends, and in time."""
        before = wait.now()
        assert wait.until(lambda: not left(), timeout=runs.PATIENCE, every=LOOK), (what, left())
        took = wait.now() - before
        assert took <= yardstick.allowed(idle), what

    def _marked(self, what):
        """Every folder tells whose it is, so that `seatrial clean` and the next start know it; nothing is half made."""
        known_to_us = {instance.folder for instance in known(self.store)}
        roots = [root for root in folders.running(self.store) if root.is_dir()]
        assert [path for root in roots for path in root.iterdir() if path.is_dir() and path not in known_to_us] == [], (
            what
        )
        assert all((root / "cache").read_text() == str(self.store) for root in roots), what
        unfinished = [path for one in known_to_us for name in ("*.new", "fresh") for path in one.glob(name)]
        assert unfinished == [], what
        temporary = Path(tempfile.gettempdir())
        assert [path for path in temporary.iterdir() if path not in roots] == [], what


def told_processes():
    """(pid, command line and working folder) of each process that lives."""
    for process in Path("/proc").glob("[0-9]*"):
        with contextlib.suppress(OSError):
            told = (process / "cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace")
            yield int(process.name), f"{told} {(process / 'cwd').readlink()}"
