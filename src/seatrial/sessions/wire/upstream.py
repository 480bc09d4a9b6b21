"""The real connection that all the joined ones share: opened by a driver, then spoken to directly."""

from __future__ import annotations

import os
import socket
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from seatrial.resources.first_state import FirstState
from seatrial.sessions.wire.messages import SYNC, Stream, fields, query

REPORTED = (
    "server_version", "server_encoding", "client_encoding", "application_name", "default_transaction_read_only",
    "in_hot_standby", "is_superuser", "session_authorization", "DateStyle", "IntervalStyle", "TimeZone",
    "integer_datetimes", "standard_conforming_strings", "scram_iterations", "search_path",
)  # fmt: skip
"""Settings that a server tells its clients when they connect."""


class ServerError(Exception):
    """What the server said to a statement of ours."""

    def __init__(self, message: bytes) -> None:
        self.message = message
        told = fields(message)
        self.sqlstate = told.get("C", "")
        super().__init__(told.get("M", ""))


class ServerGone(Exception):
    """The server has closed the connection, or is dead."""


@dataclass(frozen=True, slots=True)
class Round:
    """How the server answered up to its next ReadyForQuery."""

    status: bytes
    error: bytes
    """The ErrorResponse, if there was one."""
    copied: bool
    """Whether the client has sent data of a COPY."""


class Upstream:
    """A connection of psycopg's, whose socket is used while psycopg rests: between two whole messages.

    It is what `Outer` takes for a driver's connection: `cursor`, `rollback`, `close`.
    """

    def __init__(self, connection: Any) -> None:
        self.driver_connection = connection
        self._first = FirstState(connection)
        plain = socket.socket(fileno=os.dup(connection.pgconn.socket))
        plain.settimeout(None)
        self._stream = Stream(plain)
        self._settings: Mapping[str, str] | None = {}
        """Those that clients have asked for and that hold now; None where that is not known."""
        self._adopted: set[str] = set()
        """The names of all that have ever held in this test."""
        self._discarded: list[bytes] = []
        self.unnamed: object = None
        """Whose the unnamed prepared statement is."""

    @property
    def user(self) -> str:
        """The role that all statements run as."""
        return str(self.driver_connection.info.user)

    @property
    def pid(self) -> int:
        """The server's process."""
        return int(self.driver_connection.info.backend_pid)

    def reported(self) -> dict[str, str]:
        """What a new client is told of the server."""
        values = {name: self.driver_connection.pgconn.parameter_status(name.encode()) for name in REPORTED}
        return {name: value.decode() for name, value in values.items() if value is not None}

    def exchange(
        self, data: bytes, forward: Callable[[bytes], None], feed: Callable[[Stream], None] | None = None
    ) -> Round:
        """Send messages that end in one ReadyForQuery, and hand on all that comes before it.

        Args:
            data: the messages.
            forward: takes each message of the answer. Where it raises `EOFError`, the answer is read to its end
                all the same: the next one to speak must not find the rest of it.
            feed: sends the data of a COPY, when the server asks for it.

        Raises:
            EOFError: `forward` has.
            ServerGone: the server has.
        """
        failed, copied, gone = b"", False, None
        try:
            self._stream.send(data)
            while True:
                kind, message = self._stream.message()
                if kind == b"Z":
                    break
                if kind == b"E":
                    failed = message
                try:
                    forward(message)
                except EOFError as error:
                    gone, forward = error, ignore
                if kind == b"G" and feed is not None:
                    copied = True
                    feed(self._stream)
        except EOFError as error:
            raise ServerGone("the server closed the connection") from error
        if gone is not None:
            raise gone
        return Round(message[5:6], failed, copied)

    def run(self, statement: str) -> None:
        """A statement of ours. Raises `ServerError`."""
        self.unnamed = None
        if statement.startswith("ROLLBACK"):
            self._settings = None  # whatever was set inside is as it was before
        found = self.exchange(query(statement), ignore)
        if found.error:
            raise ServerError(found.error)

    def adopt(self, settings: Mapping[str, str]) -> None:
        """Let the settings hold that a client has asked for when it connected."""
        if self._settings == settings:
            return
        before = self._settings if self._settings is not None else self._adopted
        wanted = [f"RESET {_quoted(name)}" for name in before if name not in settings]
        wanted += [
            f"SELECT pg_catalog.set_config({_literal(name)}, {_literal(value)}, false)"
            for name, value in settings.items()
        ]
        if wanted:
            self.run("; ".join(wanted))
        self._settings = dict(settings)
        self._adopted.update(settings)

    def forget_settings(self) -> None:
        """Somebody has reset all of them, or gone back to when others held."""
        self._settings = None

    def discard(self, closing: bytes) -> None:
        """Messages that close what a client has left: for the end of the test, when it is nobody's turn."""
        self._discarded.append(closing)

    def cancel(self) -> None:
        """Ask the server to end what runs now."""
        self.driver_connection.pgconn.get_cancel().cancel()

    def cursor(self) -> _Cursor:
        """As a driver's connection has it."""
        return _Cursor(self)

    def rollback(self) -> None:
        """End the outer transaction."""
        self.run("ROLLBACK")

    def close(self) -> None:
        """A test is over: the connection is kept, in its first state."""
        self._settings, self.unnamed = {}, None
        self._adopted.clear()
        discarded, self._discarded = self._discarded, []
        if any(discarded):
            self.exchange(b"".join(discarded) + SYNC, ignore)
        self._first.restore(self.driver_connection)

    def end(self) -> None:
        """Close it for good."""
        self._stream.close()
        self.driver_connection.close()


class _Cursor:
    """As much of a cursor as `Outer` uses."""

    def __init__(self, upstream: Upstream) -> None:
        self._upstream = upstream

    def execute(self, statement: str) -> None:
        self._upstream.run(statement)

    def close(self) -> None:
        """There is nothing to close."""


def ignore(message: bytes) -> None:
    """Hand on nothing."""
    del message


def _quoted(name: str) -> str:
    return ".".join('"' + part.replace('"', '""') + '"' for part in name.split("."))


def _literal(text: str) -> str:
    escaped = text.replace("\\", "\\\\").replace("'", "''")
    return f"E'{escaped}'"
