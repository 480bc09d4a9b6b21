"""When a program that we do not know is ready: five ways to find out, each asked every few milliseconds."""

from __future__ import annotations

import http.client
import re
import shlex
import socket
import subprocess
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from seatrial.errors import ConfigError

WAYS = ("tcp", "http", "log", "exec", "file")
_ASK = 2.0
"""Seconds that one question may take."""
_REFUSED = 400
"""The lowest status by which an HTTP server says that it is not well."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Running:
    """What is asked about: where it should answer, and what it wrote since its start."""

    port: int
    fields: Mapping[str, str]
    log: Path
    since: int
    """The size of the log when it started: what stands before is an earlier start's."""
    started: float
    """The modification time that a file must have at least."""
    cwd: Path


@dataclass(frozen=True, slots=True, kw_only=True)
class Readiness:
    """One way, and what it looks for: "http" and "/health"."""

    way: str
    what: str = ""

    def __str__(self) -> str:
        return f"{self.way}:{self.what}" if self.what else self.way

    def holds(self, running: Running) -> bool:
        """Whether the program is ready now. Never raises for one that is not."""
        match self.way:
            case "tcp":
                return _connects(running.port)
            case "http":
                return _serves(running.port, self.what)
            case "log":
                return _logged(running, self.what)
            case "exec":
                return _succeeds([word.format_map(running.fields) for word in shlex.split(self.what)], running.cwd)
            case _:
                return _written(running.cwd / self.what.format_map(running.fields), running.started)


def read(text: str) -> Readiness:
    """What the key `ready` says: "tcp", "http:/health", "log:listening", "exec:COMMAND", "file:PATH".

    Raises:
        ConfigError: it says none of these.
    """
    way, _, what = text.strip().partition(":")
    if way not in WAYS or (way != "tcp") != bool(what.strip()):
        raise ConfigError(
            f'`ready` is "{text}", which does not say how to see that the program is ready',
            fix='write "tcp", "http:/health", "log:listening on", "exec:my-client ping {port}" or "file:{data}/ready"',
        )
    if way == "log":
        try:
            re.compile(what)
        except re.error as error:
            raise ConfigError(
                f'`ready` is "{text}", and what follows log: is no regular expression',
                cause=str(error),
                fix="write a backslash before a character that is meant as it is",
            ) from None
    return Readiness(way=way, what=what.strip())


def _connects(port: int) -> bool:
    try:
        socket.create_connection(("127.0.0.1", port), _ASK).close()
    except OSError:
        return False
    return True


def _serves(port: int, path: str) -> bool:
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=_ASK)
    try:
        connection.request("GET", path if path.startswith("/") else f"/{path}")
        return connection.getresponse().status < _REFUSED
    except (OSError, http.client.HTTPException):
        return False
    finally:
        connection.close()


def _logged(running: Running, pattern: str) -> bool:
    try:
        with running.log.open("rb") as file:
            file.seek(running.since)
            text = file.read().decode(errors="replace")
    except OSError:
        return False
    return re.search(pattern, text, re.MULTILINE) is not None


def _succeeds(command: Sequence[str], cwd: Path) -> bool:
    try:
        done = subprocess.run(
            command, cwd=cwd, capture_output=True, stdin=subprocess.DEVNULL, timeout=_ASK, check=False
        )
    except (OSError, subprocess.TimeoutExpired):
        return False
    return done.returncode == 0


def _written(path: Path, started: float) -> bool:
    try:
        return path.stat().st_mtime >= started
    except OSError:
        return False
