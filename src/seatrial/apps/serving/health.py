"""Whether a process is ready: asked of a path, of its port, or of its log."""

from __future__ import annotations

import contextlib
import http.client
import re
import socket
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from seatrial.errors import ConfigError

HOST = "127.0.0.1"
_PATIENCE = 2.0
"""Seconds that one answer may take: an app that hangs at its first request is asked again."""
_BAD = 400


class Health(Protocol):
    """One way to ask."""

    @property
    def failure(self) -> str:
        """What was not so, in words that follow a comma."""
        ...

    @property
    def asks_port(self) -> bool:
        """Whether an answer comes from the port: then it must be known whose port it is."""
        ...

    def answers(self, port: int, log: Path, since: int) -> bool:
        """Ask once. Never raises because it is not ready."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Tcp:
    """The port takes connections."""

    failure = f"it takes no connection on {HOST}"
    asks_port = True

    def answers(self, port: int, log: Path, since: int) -> bool:  # noqa: ARG002 - the protocol's arguments
        """Connect."""
        try:
            with socket.create_connection((HOST, port), timeout=_PATIENCE):
                return True
        except OSError:
            return False


@dataclass(frozen=True, slots=True, kw_only=True)
class Route:
    """A path answers with a status under 400."""

    path: str
    asks_port = True

    @property
    def failure(self) -> str:
        """Without the status: the log has it."""
        return f"GET {self.path} does not answer with a status under {_BAD}"

    def answers(self, port: int, log: Path, since: int) -> bool:  # noqa: ARG002 - the protocol's arguments
        """GET it."""
        with contextlib.closing(http.client.HTTPConnection(HOST, port, timeout=_PATIENCE)) as connection:
            try:
                connection.request("GET", self.path)
                return connection.getresponse().status < _BAD
            except (OSError, http.client.HTTPException):
                return False


@dataclass(frozen=True, slots=True, kw_only=True)
class Log:
    """A line of the log matches."""

    pattern: re.Pattern[str]
    asks_port = False

    @property
    def failure(self) -> str:
        """With the pattern."""
        return f"no line of its log matches {self.pattern.pattern!r}"

    def answers(self, port: int, log: Path, since: int) -> bool:  # noqa: ARG002 - the protocol's arguments
        """Look at what was printed since this start."""
        if not log.exists():
            return False
        with log.open("rb") as file:
            file.seek(since)
            return any(self.pattern.search(line) for line in file.read().decode(errors="replace").splitlines())


def health(ready: str) -> Health:
    """What `ready` says: "/health", "tcp", or "log:PATTERN".

    Raises:
        ConfigError: it says none of these.
    """
    if ready == "tcp":
        return Tcp()
    if ready.startswith("/"):
        return Route(path=ready)
    word, colon, pattern = ready.partition(":")
    if word == "log" and colon:
        try:
            return Log(pattern=re.compile(pattern.strip()))
        except re.error as error:
            raise ConfigError(
                f"ready = {ready!r}: the pattern can't be read: {error}",
                fix="it is a regular expression: escape what it takes for its own signs",
            ) from None
    raise ConfigError(
        f"ready = {ready!r} says nothing that can be asked",
        cause='it may be a path ("/health"), "tcp", or "log:PATTERN"',
        fix='write ready = "/health" for an app that has such a route, ready = "tcp" for any other server',
    )
