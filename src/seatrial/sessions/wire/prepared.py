"""Statements that SQL itself prepares (PREPARE, EXECUTE, DEALLOCATE), under the names that the protocol gives them."""

from __future__ import annotations

import re

from seatrial.sessions.joining.statements import BLANK

_NAMED = re.compile(
    r"""
      (?P<verb> prepare (?!\s+transaction\b) | execute | deallocate (?:\s+prepare)? (?=\s))
      \s* (?P<name> "(?:[^"]|"")+" | [^\W\d][\w$]* )
    """,
    re.IGNORECASE | re.VERBOSE,
)


def name_of(text: str) -> str:
    """The prepared statement that one statement is about; empty where it is about none, or about all."""
    found = _found(text)
    return "" if found is None else _plain(found["name"])


def prepares(text: str) -> bool:
    """Whether it makes one."""
    found = _found(text)
    return found is not None and found["verb"].lower() == "prepare"


def renamed(text: str, prefix: str) -> str:
    """The same statement, about the prepared statement whose name begins with `prefix`."""
    found = _found(text)
    if found is None:
        return text
    name = (prefix + _plain(found["name"])).replace('"', '""')
    return f'{text[: found.start("name")]} "{name}"{text[found.end("name") :]}'


def _found(text: str) -> re.Match[str] | None:
    found = _NAMED.match(text, BLANK.match(text).end())  # type: ignore[union-attr]  # it matches nothing at least
    of_all = found is not None and found["verb"].lower() != "prepare" and found["name"].lower() == "all"
    return None if of_all else found


def _plain(name: str) -> str:
    return name[1:-1].replace('""', '"') if name.startswith('"') else name.lower()
