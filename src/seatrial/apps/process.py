"""An app as a child process, in any language: started, found healthy and known to be ours, ended with all of it."""

from __future__ import annotations

import os
import re
import secrets
import shlex
import shutil
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from seatrial.apps.serving.health import HOST, Health, health
from seatrial.core import ports, processes, wait
from seatrial.core.children import Child, search_path
from seatrial.core.redact import redact
from seatrial.errors import AppError

_EVERY = 0.01
_LINES = 60


@dataclass(frozen=True, slots=True, kw_only=True)
class Command:
    """How to run an app, and how to know that it is ready.

    In `argv` and in the values of `env`, {port}, {host} and {url} are filled in: where the app is to listen.
    """

    argv: Sequence[str] | str
    """The command line; a string is split as a shell would split it, but no shell runs it."""
    folder: Path
    """The working folder."""
    env: Mapping[str, str] = field(default_factory=dict)
    """Variables on top of our own environment. PORT is always there."""
    ready: str = "tcp"
    """"/health": a path that answers with a status under 400; "tcp": the port takes connections;
    "log:PATTERN": a line of the log matches (nothing is asked of the port then)."""
    port: int = 0
    """0 takes a free one."""
    seconds: float = 30.0
    """How long it may take to get ready."""
    secrets: tuple[str, ...] = field(default=(), repr=False)
    """What is shown as *** where it prints it."""


class Process:
    """A `Served` app in a process of its own. Its address is fixed from the start; it runs from `serve` to `close`.

    Args:
        name: as messages call it.
        command: what to run.

    Raises:
        ProviderError: no port is free.
    """

    def __init__(self, name: str, command: Command) -> None:
        self.name = name
        self._command = command
        self._health = health(command.ready)
        self._held = None if command.port else ports.choose(secrets.token_hex(8), ())
        self.port: int = command.port or (self._held.port if self._held else 0)
        self.base_url = f"http://{HOST}:{self.port}"
        self._nonce = secrets.token_hex(16)
        self._room: Path | None = None
        self._child: Child | None = None
        self._mark = 0
        """Where in the log its last start begins."""

    def serve(self) -> str:
        """Have it run; returns `base_url` when it is ready. Starts it anew where it has ended meanwhile.

        Raises:
            AppError: it can't be run, it died, it did not get ready in time, or somebody else has the port.
        """
        if self._child is not None and self._child.status is None:
            return self.base_url
        self._end()
        self._start()
        try:
            self._await_health()
        except BaseException:
            self._end()
            raise
        return self.base_url

    def check(self) -> None:
        """Raise `AppError` if it has ended since `serve`."""
        if self._child is not None and self._child.status is not None:
            raise self._died(self._child.status, "ended")

    @property
    def alive(self) -> bool:
        """Whether it runs."""
        return self._child is not None and self._child.status is None

    @property
    def pid(self) -> int:
        """The pid of the process that `argv` became; 0 before `serve`."""
        return self._child.pid if self._child is not None else 0

    def log_size(self) -> int:
        """The size of its log in bytes: remember it at a test's start."""
        log = self._log
        return log.stat().st_size if log is not None and log.exists() else 0

    def log_tail(self, since: int = 0) -> str:
        """What it has printed from byte `since` on; at most the last 60 lines."""
        log = self._log
        if log is None or not log.exists():
            return ""
        with log.open("rb") as file:
            file.seek(since)
            lines = file.read().decode(errors="replace").splitlines()
        return redact("\n".join(lines[-_LINES:]), *self._command.secrets)

    def close(self) -> None:
        """End it, its process group, and what has left that. Calling it again does nothing."""
        self._end()
        if self._held is not None:
            self._held.close()
        room, self._room = self._room, None
        if room is not None:
            shutil.rmtree(room, ignore_errors=True)

    @property
    def _log(self) -> Path | None:
        return self._room / "log" if self._room is not None else None

    def _start(self) -> None:
        other = processes.listener(self.port)
        if other:
            raise self._taken(other)
        if self._room is None:
            self._room = Path(tempfile.mkdtemp(prefix="seatrial-app-"))
        if self._held is not None:
            self._held.close()  # a server that does not set SO_REUSEADDR could not listen beside us
        argv = self._argv()
        here = {"PORT": str(self.port), "PATH": search_path(self._command.folder)}
        env = {**os.environ, **here, **{k: self._filled(v) for k, v in self._command.env.items()}}
        env[processes.NONCE] = self._nonce
        self._mark = self.log_size()
        try:
            self._child = Child(argv, env=env, folder=self._command.folder, log=self._room / "log")
        except OSError as error:
            raise AppError(
                f"{self.name} can't be run: {argv[0]}: {error}",
                cause=f"its command is {self._shown()}, in {self._command.folder}",
                fix="check that the program is installed, and on PATH",
            ) from None

    def _await_health(self) -> None:
        child, log = self._child, self._log
        assert child is not None
        assert log is not None
        mark = self._mark

        def settled() -> bool:
            if child.status is not None:
                # Where it can't listen because another does, that is the reason to tell.
                other = "" if self._ours() else processes.listener(self.port)
                raise self._taken(other) if other else self._died(child.status, "ended before it was ready")
            if not self._health.answers(self.port, log, mark):
                return False
            return not self._health.asks_port or self._is_ours()

        if not wait.until(settled, timeout=self._command.seconds, every=_EVERY):
            raise self._not_ready(self._health)

    def _is_ours(self) -> bool:
        """Whether it is our child that answers; raises where somebody else does."""
        if self._ours():
            return True
        other = processes.listener(self.port)
        if other:
            raise self._taken(other)
        return False

    def _ours(self) -> bool:
        """Whether it listens, or what it has started."""
        # A server that writes its title over its environment, as gunicorn does with setproctitle, is known only by its
        # parents; an orphan by its nonce, where the keeper can't adopt it.
        child, listeners = self._child, processes.listeners(self.port)
        return child is not None and any(processes.bears(pid, self._nonce) or child.started(pid) for pid in listeners)

    def _end(self) -> None:
        child, self._child = self._child, None
        if child is not None:
            child.end()

    def _argv(self) -> list[str]:
        argv = self._command.argv
        return [self._filled(word) for word in (shlex.split(argv) if isinstance(argv, str) else argv)]

    def _filled(self, text: str) -> str:
        fields = {"port": str(self.port), "host": HOST, "url": self.base_url}
        # No str.format: a command line may hold braces of its own, as JSON does.
        return re.sub(r"\{(port|host|url)\}", lambda found: fields[found[1]], text)

    def _shown(self) -> str:
        return redact(shlex.join(self._argv()), *self._command.secrets)

    def _taken(self, other: str) -> AppError:
        fixed = bool(self._command.port)
        return AppError(
            f"{self.name} can't have port {self.port}: {other} listens on it.",
            cause="an earlier start of it may still run" if fixed else "it was free when it was chosen",
            fix="end that process, or give the app another port" if fixed else "run the tests again",
        )

    def _died(self, status: int, what: str) -> AppError:
        how = f"by signal {-status}" if status < 0 else f"with exit status {status}"
        return AppError(
            f"{self.name} {what}, {how}.\n{self._last_words()}",
            cause=f"its command is {self._shown()}, in {self._command.folder}",
            fix="follow what it printed; run the command yourself, with PORT set, to see it fail",
        )

    def _not_ready(self, asked: Health) -> AppError:
        if self._ours() and asked.asks_port:
            cause = f"it listens on port {self.port}, but {asked.failure}"
            fix = f"have it listen on {HOST} or 0.0.0.0, and check `ready`; where it needs longer, raise `patience`"
        elif asked.asks_port:
            cause = f"it does not listen on port {self.port}"
            fix = (
                "have it listen on the port in PORT, or pass {port} in its command or its `env`; "
                "where it needs longer, raise `patience`"
            )
        else:
            cause, fix = asked.failure, "check the pattern of `ready` against what it prints"
        return AppError(
            f"{self.name} was not ready after {self._command.seconds:g} s.\n{self._last_words()}", cause=cause, fix=fix
        )

    def _last_words(self) -> str:
        text = self.log_tail(self._mark)
        return "\n".join(f"  | {line}" for line in text.splitlines()) or "  | (it printed nothing)"
