"""A child of any language that never outlives us: started through a keeper, ended with all that it has started."""

from __future__ import annotations

import contextlib
import json
import os
import re
import select
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Literal

from seatrial.core import keeper, processes

PATIENCE = 3.0
"""Seconds that a child gets between SIGTERM and SIGKILL."""

_OPERATOR = re.compile(r"&&|\|\|?|[<>;&]|\d?>&\d|>>")
_ASSIGNMENT = re.compile(r"[A-Za-z_]\w*=.*")


def for_a_shell(words: Sequence[str]) -> Literal["", "operator", "variable"]:
    """What in the words of a command line only a shell understands: no shell runs it.

    An operator stands anywhere ("make db && make load"), a variable at its begin ("DEBUG=1 make db").
    """
    if any(_OPERATOR.fullmatch(word) for word in words):
        return "operator"
    return "variable" if words and _ASSIGNMENT.fullmatch(words[0]) else ""


def search_path(root: Path) -> str:
    """Where the programs of a project are: beside the Python that runs us, on PATH, among its node modules.

    So "python" is the one that runs the tests, whether or not its environment was activated.
    """
    folders = [str(Path(sys.executable).parent), os.environ.get("PATH", os.defpath), f"{root}/node_modules/.bin"]
    return os.pathsep.join(folders)


class Child:
    """One running child. It is started by being made.

    Args:
        argv: its command line.
        env: its whole environment.
        folder: its working folder.
        log: a file that takes what it prints, on both of its outputs.

    Raises:
        OSError: it can't be run, with the reason.
    """

    def __init__(self, argv: Sequence[str], *, env: Mapping[str, str], folder: Path, log: Path) -> None:
        # The keeper leaves our session: Ctrl-C in a terminal reaches us, and we end the child in our own time.
        self._keeper = subprocess.Popen(
            keeper.command(argv, log=log, folder=folder, patience=PATIENCE),
            env=dict(env),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            start_new_session=True,
        )
        self._pending = b""
        self._status: int | None = None
        first = self._hear(None)
        self.pid: int = first.get("pid", 0)
        if not self.pid:
            self.end()
            raise OSError(first.get("failed", "its keeper ended without a word"))

    @property
    def status(self) -> int | None:
        """The exit status, negative for a signal; None while it runs. -9 where nobody was left to tell."""
        while self._status is None and self._readable():
            told = self._hear(0)
            self._status = told.get("exit", -9)
        return self._status

    def started(self, pid: int) -> bool:
        """Whether a process is it, or was started by it; what has left its parents behind has come to the keeper."""
        return processes.descends(pid, self._keeper.pid)

    def end(self) -> None:
        """SIGTERM to its process group and to what has left that, SIGKILL after `PATIENCE`. Waits for the end."""
        pipe, output = self._keeper.stdin, self._keeper.stdout
        if pipe is None or output is None or self._keeper.returncode is not None:
            return
        with contextlib.suppress(OSError):
            pipe.close()
        try:
            self._keeper.wait(PATIENCE * 3)
        except subprocess.TimeoutExpired:
            self._keeper.kill()  # its child dies with it
            self._keeper.wait()
        if self._status is None:
            self._status = -15
        output.close()

    def _readable(self) -> bool:
        output = self._keeper.stdout
        return output is not None and not output.closed and bool(select.select([output], [], [], 0)[0])

    def _hear(self, timeout: float | None) -> dict[str, Any]:
        """The next message of the keeper; empty where it has ended."""
        output = self._keeper.stdout
        assert output is not None
        while b"\n" not in self._pending:
            if not select.select([output], [], [], timeout)[0]:
                return {}
            chunk = os.read(output.fileno(), 65536)
            if not chunk:
                return {}
            self._pending += chunk
        line, _, self._pending = self._pending.partition(b"\n")
        message: dict[str, Any] = json.loads(line)
        return message
