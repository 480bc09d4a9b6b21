"""Messages of the extended protocol, up to a Flush or a Sync: renamed, and cut where the transaction is spoken of."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from seatrial.sessions.joining.statements import Control, control
from seatrial.sessions.wire import messages
from seatrial.sessions.wire.messages import first_string, make

MOST = 64
"""Messages that are sent in one go: a server that can't write its answers does not read either."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Part:
    """What is done in one go: messages to the server, or a statement about the transaction."""

    data: bytes = b""
    text: str = ""
    """The statements that are executed."""
    before: bytes = b""
    """A Parse of the unnamed statement, for the case that another client has taken its place."""
    answer: bytes = b""
    """What we answer ourselves, first."""
    control: Control | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class _Step:
    """What becomes of one message: it is sent on as `data`, or answered here, or does something here."""

    data: bytes = b""
    text: str = ""
    before: bytes = b""
    answer: bytes = b""
    control: Control | None = None


@dataclass(frozen=True, slots=True)
class _Prepared:
    text: str
    parse: bytes
    control: Control | None


_MADE_BY_SQL = _Prepared("", b"", None)


class Batch:
    """The prepared statements of one client, under names of its own on the shared connection."""

    def __init__(self, number: int) -> None:
        self._prefix = f"s{number}_".encode()
        self._statements: dict[bytes, _Prepared] = {}
        self._portals: dict[bytes, _Prepared] = {}
        self._waiting: list[tuple[bytes, bytes]] = []
        self.extended = False
        """Whether the last messages came from here."""

    def add(self, kind: bytes, message: bytes) -> None:
        """A message arrived."""
        self._waiting.append((kind, message[5:]))

    def take(self) -> Iterator[Part]:
        """All that has arrived, in order."""
        waiting, self._waiting = self._waiting, []
        self.extended = True
        steps: list[_Step] = []
        for kind, body in waiting:
            step = self._step(kind, body, parsed=any(earlier.data[:1] == b"P" for earlier in steps))
            if step.data:
                steps.append(step)
            if steps and (not step.data or len(steps) >= MOST):
                yield _joined(steps)
                steps = []
            if not step.data:
                yield Part(answer=step.answer, control=step.control)
        if steps:
            yield _joined(steps)
        self.extended = False

    def forget(self, name: str | None) -> bytes | None:
        """Messages that close a statement (None: all of them); None where it is not one of ours."""
        if name is not None and name.encode() not in self._statements:
            return None
        names = list(self._statements) if name is None else [name.encode()]
        gone = [(self._statement(each), self._statements.pop(each)) for each in names]
        return b"".join(make(b"C", b"S" + name + b"\0") for name, found in gone if found.control is None)

    def _statement(self, name: bytes) -> bytes:
        """Its name on the shared connection; that of one that SQL has made (PREPARE) is as it is."""
        return self._prefix + name if name and name in self._statements else name

    def _portal(self, name: bytes) -> bytes:
        """As above; SQL makes them by DECLARE."""
        return self._prefix + name if name and name in self._portals else name

    def _step(self, kind: bytes, body: bytes, *, parsed: bool) -> _Step:
        if kind == b"P":
            return self._parse(body)
        if kind == b"B":
            return self._bind(body, parsed=parsed)
        if kind == b"E":
            portal, rest = first_string(body)
            found = self._portals.get(portal)
            if found is not None and found.control is not None:
                return _Step(control=found.control)
            return _Step(data=make(b"E", self._portal(portal) + b"\0" + rest), text=found.text if found else "")
        return self._describe_or_close(kind, body, parsed=parsed)

    def _parse(self, body: bytes) -> _Step:
        name, rest = first_string(body)
        text = first_string(rest)[0].decode(errors="replace")
        found, sent = control(text), make(b"P", (self._prefix + name if name else b"") + b"\0" + rest)
        self._statements[name] = _Prepared(text, sent, found)
        return _Step(answer=messages.PARSE_COMPLETE) if found else _Step(data=sent)

    def _bind(self, body: bytes, *, parsed: bool) -> _Step:
        portal, rest = first_string(body)
        name, rest = first_string(rest)
        found = self._statements.get(name)
        self._portals[portal] = found or _MADE_BY_SQL
        if found is not None and found.control is not None:
            return _Step(answer=messages.BIND_COMPLETE)
        again = found.parse if found is not None and not name and not parsed else b""
        return _Step(data=make(b"B", self._portal(portal) + b"\0" + self._statement(name) + b"\0" + rest), before=again)

    def _describe_or_close(self, kind: bytes, body: bytes, *, parsed: bool) -> _Step:
        what, name = body[:1], body[1:-1]
        known = self._statements if what == b"S" else self._portals
        there = self._statement(name) if what == b"S" else self._portal(name)
        found = known.pop(name, None) if kind == b"C" else known.get(name)
        if found is not None and found.control is not None:
            if kind == b"C":
                return _Step(answer=messages.CLOSE_COMPLETE)
            return _Step(answer=(make(b"t", b"\0\0") if what == b"S" else b"") + messages.NO_DATA)
        unnamed = found is not None and what == b"S" and kind == b"D" and not name and not parsed
        again = found.parse if unnamed and found is not None else b""
        return _Step(data=make(kind, what + there + b"\0"), before=again)


def _joined(steps: Sequence[_Step]) -> Part:
    return Part(
        data=b"".join(step.data for step in steps),
        text="; ".join(step.text for step in steps if step.text) or "SELECT",
        before=next((step.before for step in steps if step.before), b""),
    )
