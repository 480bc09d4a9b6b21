"""How a program that we do not know runs: its own command line, with our port and folders in it."""

from __future__ import annotations

import shlex
import signal
from collections.abc import Mapping
from pathlib import Path
from typing import ClassVar

from seatrial.core.folders import digest
from seatrial.resources.kinds.command.readiness import Readiness, Running
from seatrial.resources.protocol import Address, Endpoint, Launch, Run, ServerSpec

FIELDS = ("host", "port", "data", "password")
"""What a command line may name, as in "{port}"."""
SEEDED = "seeded"
"""The file that tells which seed this process of the server has."""
_STARTED = "started"


class CommandProgram:
    """`protocol.Program` of anything.

    Args:
        executable: its path, or its name where it was not found.
        words: the rest of the command line.
        scheme: of its addresses: "http".
        ready: when it is.
    """

    refuses_root: ClassVar[bool] = False

    def __init__(self, executable: str, words: tuple[str, ...], scheme: str, ready: Readiness, project: Path) -> None:
        self.executables = (executable,)
        self._words = words
        self._scheme = scheme
        self._ready = ready
        self._project = project

    def version(self, binaries: Path) -> str:
        """Unknown: nobody can tell how it would say so."""
        del binaries
        return ""

    def lacks(self, binaries: Path, spec: ServerSpec) -> str | None:
        """Nothing that we know of."""
        del binaries, spec
        return None

    def fingerprint(self, binaries: Path, spec: ServerSpec) -> str:  # noqa: ARG002 - a command is all that shapes it
        """A key of the command line."""
        return digest(shlex.join([*self.executables, *self._words]), 16)

    def initialise(self, binaries: Path, data: Path, spec: ServerSpec, password: str, run: Run) -> None:  # noqa: ARG002 - there is nothing to run
        """An empty folder, with the password in it for the command line."""
        data.mkdir(mode=0o700)
        secret = data / ".password"
        secret.touch(mode=0o600)
        secret.write_text(password, encoding="ascii")

    def launch(self, binaries: Path, data: Path, folder: Path, spec: ServerSpec, port: int, durable: bool) -> Launch:  # noqa: ARG002 - the protocol's
        """The process to run, in the project's folder. Remembers where its log begins."""
        fields = _fields(folder, port)
        log = folder / "log"
        (folder / SEEDED).unlink(missing_ok=True)
        (folder / _STARTED).write_text(str(log.stat().st_size if log.exists() else 0), encoding="ascii")
        return Launch(
            argv=(self.executables[0], *(word.format_map(fields) for word in self._words)),
            cwd=self._project,
            log=log,
            stop_signal=signal.SIGTERM,
            die_signal=signal.SIGKILL,
        )

    def admin(self, port: int, password: str) -> Address:
        """Where it answers: a password is of use only to a command that takes it."""
        del password
        return Address(scheme=self._scheme, host="127.0.0.1", port=port)

    def answers(self, endpoint: Endpoint) -> bool:
        """Whether it is ready, in the way that the configuration says."""
        port = endpoint.admin.port
        if endpoint.socket_folder is None:  # a server that somebody else runs: neither log nor files are ours
            return Readiness(way="tcp").holds(_elsewhere(port))
        folder = endpoint.socket_folder
        started = folder / _STARTED
        running = Running(
            port=port,
            fields=_fields(folder, port),
            log=folder / "log",
            since=int(started.read_text(encoding="ascii") or 0),
            started=started.stat().st_mtime,
            cwd=self._project,
        )
        return self._ready.holds(running)

    def asked_version(self, endpoint: Endpoint) -> str:
        """Unknown."""
        del endpoint
        return ""


def is_function(reset: str) -> bool:
    """Whether a `reset` names a function of the project's ("tests.services:empty"), and not a command."""
    return ":" in reset.split(maxsplit=1)[0] and "/" not in reset


def _fields(folder: Path, port: int) -> Mapping[str, str]:
    return {"host": "127.0.0.1", "port": str(port), "data": str(folder / "data"), "password": given_password(folder)}


def given_password(folder: Path) -> str:
    """What {password} is for the program that runs in `folder`."""
    secret = folder / "data" / ".password"
    return secret.read_text(encoding="ascii") if secret.exists() else ""


def _elsewhere(port: int) -> Running:
    return Running(port=port, fields={}, log=Path(), since=0, started=0, cwd=Path())
