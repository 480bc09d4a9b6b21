"""Statements about what SQL has given a name: prepared statements and cursors, which are one connection's own."""

from __future__ import annotations

import re
from dataclasses import dataclass

from seatrial.sessions.joining.statements import BLANK

_NAME = r'"(?:[^"]|"")+" | [^\W\d][\w$]*'
_NAMED = re.compile(
    rf"""
      (?P<verb> prepare (?!\s+transaction\b) | execute | deallocate (?:\s+prepare)? (?=\s) | declare | close ) \b
      \s* (?P<name> {_NAME} )
    | (?P<moves> fetch | move ) \b [^;]*? (?P<from> {_NAME} ) (?> {BLANK.pattern} ) \Z
    """,
    re.IGNORECASE | re.VERBOSE | re.DOTALL,
)
_CURRENT = re.compile(rf"\bwhere\s+current\s+of\s+(?P<name> {_NAME} )", re.IGNORECASE | re.VERBOSE)
_HOLDS = re.compile(r"[\w\s]*?\bcursor\s+with\s+hold\b", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class Named:
    """A statement about one prepared statement, or one cursor."""

    name: str
    """As the server knows it: without quotes, in small letters where it had none."""
    verb: str
    """The first word, in small letters; "where" for UPDATE and DELETE WHERE CURRENT OF."""
    text: str
    place: tuple[int, int]
    """Where the name stands in the text."""

    @property
    def makes(self) -> bool:
        """Whether it makes one of this name."""
        return self.verb in ("prepare", "declare")

    @property
    def is_cursor(self) -> bool:
        """Whether it is about a cursor."""
        return self.verb in ("declare", "close", "fetch", "move", "where")

    @property
    def holds(self) -> bool:
        """Whether it makes a cursor that outlives its transaction."""
        return self.verb == "declare" and _HOLDS.match(self.text, self.place[1]) is not None

    def renamed(self, prefix: str) -> str:
        """The same statement, about the one whose name begins with `prefix`."""
        start, end = self.place
        name = (prefix + self.name).replace('"', '""')
        return f'{self.text[:start]} "{name}"{self.text[end:]}'


def named(text: str) -> Named | None:
    """What one statement is about; None where it is about nothing that has a name, or about all."""
    found = _NAMED.match(text, BLANK.match(text).end())  # type: ignore[union-attr]  # it matches nothing at least
    if found is None:
        at = _CURRENT.search(text)
        return None if at is None else Named(_plain(at["name"]), "where", text, at.span("name"))
    verb, which = (found["verb"] or found["moves"]).lower(), "name" if found["verb"] else "from"
    one = Named(_plain(found[which]), verb, text, found.span(which))
    return None if found[which].lower() == "all" and not one.makes else one


def _plain(name: str) -> str:
    return name[1:-1].replace('""', '"') if name.startswith('"') else name.lower()
