"""Messages of the extended protocol, up to a Flush or a Sync: renamed, and cut where the transaction is spoken of."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from seatrial.sessions.joining.statements import Control, control, split
from seatrial.sessions.wire import messages
from seatrial.sessions.wire.messages import first_string, make
from seatrial.sessions.wire.named import named

MOST = 64
"""Messages that are sent in one go: a server that can't write its answers does not read either."""
ABOUT_NAMES = ("26000", "42P05", "34000", "42P03")
"""There is no prepared statement of this name; there is one already; the same of cursors."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Part:
    """What is done in one go: messages to the server, or a statement about the transaction."""

    data: bytes = b""
    texts: Sequence[str] = ()
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
    """The prepared statements, portals and cursors of one client, under names of its own on the shared connection."""

    def __init__(self, number: int) -> None:
        self._prefix = f"s{number}_".encode()
        self._statements: dict[bytes, _Prepared] = {}
        self._portals: dict[bytes, _Prepared] = {}
        self._by_sql: set[str] = set()
        self._cursors: dict[bytes, bool] = {}
        """Those that SQL has declared, and whether they outlive their transaction."""
        self._waiting: list[tuple[bytes, bytes]] = []

    def add(self, kind: bytes, message: bytes) -> None:
        """A message arrived."""
        self._waiting.append((kind, message[5:]))

    def take(self) -> Iterator[Part]:
        """All that has arrived, in order."""
        waiting, self._waiting = self._waiting, []
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

    def own(self, text: str) -> str:
        """The same statement, with the name on the shared connection of what it is about.

        A cursor that this client has not declared (a function has opened it) is left as it is.
        """
        found = named(text)
        if found is None:
            return text
        name = messages.encoded(found.name)
        if found.makes and found.is_cursor:
            self._cursors[name] = found.holds
        elif found.makes:
            self._by_sql.add(found.name)
        elif found.is_cursor and name not in self._cursors:
            return text
        return found.renamed(self._prefix.decode())

    def in_its_words(self, error: bytes) -> bytes:
        """An error of the server's: about what has a name, it has the one that the client gave it."""
        if messages.fields(error).get("C") not in ABOUT_NAMES:
            return error
        return make(b"E", error[5:].replace(b'"' + self._prefix, b'"'))

    def never_sent(self, name: str) -> bool:
        """Whether the server does not know this prepared statement, since it is about the transaction."""
        found = self._statements.get(name.encode())
        return found is not None and found.control is not None

    def forget(self, name: str) -> None:
        """A statement was deallocated."""
        self._statements.pop(name.encode(), None)
        self._by_sql.discard(name)

    def forget_all(self) -> bytes:
        """Messages that close all that has a name."""
        return self.forget_cursors(held=True) + self.forget_statements()

    def forget_statements(self) -> bytes:
        """Messages that close all of them: one that is not there is closed without an error."""
        names = {name for name, found in self._statements.items() if found.control is None}
        names |= {name.encode() for name in self._by_sql}
        self._statements.clear()
        self._by_sql.clear()
        return b"".join(_close(b"S", self._statement(name)) for name in sorted(names))

    def forget_cursors(self, *, held: bool) -> bytes:
        """Messages that close its portals, and its cursors: those that outlive their transaction only if `held`."""
        names = {name: self._portal(name) for name in (*self._portals, *self._cursors) if name}
        gone = [name for name in names if held or not self._cursors.get(name)]
        for name in gone:
            self._portals.pop(name, None)
            self._cursors.pop(name, None)
        return b"".join(_close(b"P", names[name]) for name in gone)

    def _statement(self, name: bytes) -> bytes:
        """Its name on the shared connection."""
        return self._prefix + name if name else name

    def _portal(self, name: bytes) -> bytes:
        """As above; what a function has opened is as it is."""
        return self._prefix + name if name and (name in self._portals or name in self._cursors) else name

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
        encoded, rest = first_string(rest)
        text = messages.decoded(encoded)
        found, own = control(text), messages.encoded(self.own(text))
        if found and len(split(text)) > 1:  # the server refuses a script here
            found = None
        sent = make(b"P", self._statement(name) + b"\0" + own + b"\0" + rest)
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
        texts=[step.text for step in steps if step.text],
        before=next((step.before for step in steps if step.before), b""),
    )


def _close(what: bytes, name: bytes) -> bytes:
    """A message that closes a statement ("S") or a portal ("P")."""
    return make(b"C", what + name + b"\0")
