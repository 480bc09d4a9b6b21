"""The way back to a baseline: what differs, and the commands that make it equal again."""

from __future__ import annotations

import contextlib
import secrets
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from seatrial.errors import IsolationError
from seatrial.resources.kinds.redis.baseline.counters import ASK, Changed, Counters, read
from seatrial.resources.kinds.redis.baseline.snapshot import (
    MARKER,
    Command,
    Snapshot,
    Surroundings,
    name_of,
    surroundings,
)
from seatrial.resources.kinds.redis.wire import ReplyError, Wire, pack

_DERIVED = frozenset({"replicaof", "slaveof"})
"""Settings that are set by other commands."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Packed:
    """Commands as they are sent, ready for each test."""

    data: bytes
    count: int


class Restorer:
    """Brings one server back to one baseline, again and again.

    Args:
        wire: our connection.
        baseline: what it shall hold.
        marked: the database in which our marker must stand again; None where none is needed.
        keeps_scripts: whether scripts may be part of the baseline that it does not name: then none is taken away.
    """

    def __init__(
        self, wire: Wire, baseline: Snapshot, marked: int | None = None, *, keeps_scripts: bool = False
    ) -> None:
        self.baseline = baseline
        self.keeps_scripts = keeps_scripts
        self._wire = wire
        commands = list(_keys(baseline, marked))
        self._keys = Packed(data=b"".join(map(pack, commands)), count=len(commands))

    def counters(self) -> Counters:
        """What the server has counted up to now: one round trip."""
        return read(self._wire.ask(*ASK))

    def restore(self, changed: Changed) -> tuple[Counters, tuple[str, ...]]:
        """Have the baseline; returns the counters from which on new changes count, and notes for the user.

        Raises:
            IsolationError: the server refuses what would bring it back.
        """
        try:
            if changed.paused:
                with contextlib.suppress(ReplyError):  # Redis can end a pause from 6.2 on
                    self._wire.ask("CLIENT", "UNPAUSE")
            if changed.role:
                self._wire.ask("REPLICAOF", "NO", "ONE")
            notes = self._surroundings(changed)
            if changed.code:
                self._code()
            replies = self._wire.send(self._keys.data + pack(ASK), self._keys.count + 1)
        except ReplyError as error:
            raise IsolationError(
                "the server refuses what would bring it back to its baseline",
                cause=str(error),
                fix="see what the test did to the server's settings or users; `seatrial down` ends the server",
            ) from error
        if replies[-2] is None or any(isinstance(reply, ReplyError) for reply in replies[-2]):
            raise IsolationError(
                "the keys of the baseline can't be restored",
                cause=str(next((reply for reply in replies[-2] or () if isinstance(reply, ReplyError)), "EXEC failed")),
                fix="`seatrial down` ends the server; the next run begins with a new one",
            )
        return read(replies[-1]), notes

    def _surroundings(self, changed: Changed) -> tuple[str, ...]:
        wanted = self.baseline.surroundings
        if not (changed.users or changed.settings) or not wanted.settings:
            return ()
        now = surroundings(self._wire)
        commands = list(_settings(wanted.settings, now.settings))
        if commands:
            self._wire.ask_all(commands)
            now = surroundings(self._wire)  # to set a password is to change a user
        users = list(_users(wanted, now))
        if users:
            self._wire.ask_all(users)
        commands += users
        return tuple(f"put back: {_label(command)}" for command in commands)

    def _code(self) -> None:
        commands: list[Command] = [] if self.keeps_scripts else [("SCRIPT", "FLUSH")]
        commands += [("SCRIPT", "LOAD", text) for text in self.baseline.scripts]
        if self.baseline.functions:
            commands += [("FUNCTION", "FLUSH"), ("FUNCTION", "RESTORE", self.baseline.functions)]
        if commands:
            self._wire.ask_all(commands)
        if not self.baseline.functions:
            with contextlib.suppress(ReplyError):  # Redis has functions from 7.0 on
                self._wire.ask("FUNCTION", "FLUSH")


def _keys(baseline: Snapshot, marked: int | None) -> Iterator[Command]:
    """In one transaction: nobody sees half of it."""
    yield ("MULTI",)
    yield ("FLUSHALL",)
    yield from baseline.commands()
    if marked is not None:
        yield ("SELECT", marked)
        yield ("SET", MARKER, secrets.token_hex(4))
        yield ("SELECT", 0)
    yield ("EXEC",)


def _settings(wanted: Mapping[str, str], now: Mapping[str, str]) -> Iterator[Command]:
    for name, value in wanted.items():
        if name not in _DERIVED and now.get(name) != value:
            yield ("CONFIG", "SET", name, value.encode(errors="surrogateescape"))


def _users(wanted: Surroundings, now: Surroundings) -> Iterator[Command]:
    ours = {name_of(rule): rule for rule in wanted.users}
    for name in {name_of(rule) for rule in now.users} - set(ours):
        yield ("ACL", "DELUSER", name)
    for name, rule in ours.items():
        if rule not in now.users:
            yield ("ACL", "SETUSER", name, "reset", *rule.split()[2:])


def _label(command: Command) -> str:
    """What was put back, without its value: it may be a password."""
    what, name = command[0], command[2]
    shown = name.decode(errors="replace") if isinstance(name, bytes) else str(name)
    return f"the setting {shown}" if what == "CONFIG" else f"the user {shown}"
