"""What a statement does to its transaction, told from its first words; and scripts cut into statements."""

from __future__ import annotations

import re
from dataclasses import dataclass
from types import MappingProxyType

BEGIN, COMMIT, ROLLBACK = "begin", "commit", "rollback"
DEALLOCATE, DISCARD, CLOSE, REFUSED = "deallocate", "discard", "close", "refused"
NESTED = "nested"

_TOKEN = re.compile(
    r"""
      --[^\n]* | (?P<nest>/\*) | (?P<end>;)
    | (?<![A-Za-z0-9_])[eE]'(?:[^'\\]|\\.|'')*' | '(?:[^']|'')*' | "(?:[^"]|"")*"
    | (?<![A-Za-z0-9_$])(?P<dollar>\$(?:[A-Za-z_\x80-\U0010ffff][\w]*)?\$)
    """,
    re.VERBOSE | re.DOTALL,
)
BLANK = re.compile(r"(?:\s+|--[^\n]*(?:\n|$)|/\*.*?\*/)*", re.DOTALL)
"""What may stand before the first word of a statement."""
_ATOMIC = re.compile(r"\bbegin\s+atomic\b", re.IGNORECASE)
_LEVEL = re.compile(r"\bisolation\s+level\s+(serializable|repeatable\s+read)\b", re.IGNORECASE)
_READ_ONLY = re.compile(r"\bread\s+only\b", re.IGNORECASE)
_CHAIN = re.compile(r"\band\s+chain\b", re.IGNORECASE)
_PREPARED = re.compile(r"(commit|rollback)\s+prepared\b|prepare\s+transaction\b", re.IGNORECASE)
_CHARACTER = re.compile(
    r"set\s+(session\s+characteristics|transaction\b|(session\s+|local\s+)?\w*transaction_isolation)"
)
_ONLY_READS = re.compile(
    r"""
      set\s+session\s+characteristics\b .* \bread\s+only\b
    | set\s+(session\s+)?default_transaction_read_only \s*(=|\bto\b)\s* '?(on|true|yes|1)\b
    """,
    re.VERBOSE | re.DOTALL,
)
_TO_SAVEPOINT = re.compile(r"\w+(\s+(work|transaction))?\s+to\b", re.IGNORECASE)
_SAVEPOINT = re.compile(
    r"""
      (?: (?P<made>savepoint)
        | release (?:\s+savepoint)?
        | (?P<back>rollback) (?:\s+(?:work|transaction))? \s+to (?:\s+savepoint)?
      )
      \s* (?P<name> "(?:[^"]|"")+" | [^\W\d][\w$]* )
    """,
    re.IGNORECASE | re.VERBOSE,
)
_IN_BLOCKS = re.compile(r"(?P<lock>lock\b)|declare\b(?!.*\bwith\s+hold\b)", re.IGNORECASE | re.DOTALL)
_READS = re.compile(
    r"\s*((select|show|values)\b(?!.*\b(for|into)\b)|declare\b(?!.*\bfor\b.*\bfor\b)|(fetch|move|close)\b)",
    re.IGNORECASE | re.DOTALL,
)
_DECLARES = re.compile(r"\s*declare\b", re.IGNORECASE)
_ALL = re.compile(r"\w+\s+(prepare\s+)?all\b", re.IGNORECASE)
_TRANSACTION = re.compile(r"start\s+tr", re.IGNORECASE)
_CONTROLS = MappingProxyType({
    "begin": BEGIN, "start": BEGIN, "commit": COMMIT, "end": COMMIT, "rollback": ROLLBACK, "abort": ROLLBACK,
    "deallocate": DEALLOCATE, "discard": DISCARD, "close": CLOSE, "prepare": REFUSED, "set": REFUSED, "listen": REFUSED,
    "savepoint": NESTED, "release": NESTED,
})  # fmt: skip
_NAMES = MappingProxyType({
    "start": "START TRANSACTION", "release": "RELEASE SAVEPOINT", "savepoint": "SAVEPOINT", "discard": "DISCARD ALL",
    "close": "CLOSE CURSOR ALL",
})  # fmt: skip


@dataclass(frozen=True, slots=True)
class Control:
    """A statement that can't be sent on as it is, because it is about the transaction or the whole connection."""

    does: str
    """One of the names above."""
    text: str
    name: str = ""
    """What the server calls it when it is done: "START TRANSACTION", "RELEASE SAVEPOINT"."""
    chain: bool = False
    """Whether a new transaction begins at once."""
    read_only: bool = False
    reason: str = ""
    """What it asks for, where it is refused."""

    @property
    def refusal(self) -> str:
        """What to tell of it, where it is refused."""
        return f"{self.reason} is not to be had in rollback mode: all is one transaction"


@dataclass(frozen=True, slots=True)
class Savepoint:
    """A savepoint that a statement makes, releases or goes back to."""

    name: str
    """As SQL, in quotes where it was in quotes."""
    made: bool
    back: bool


def control(text: str) -> Control | None:
    """What a single statement means for its transaction; None where it is sent on as it is."""
    bare = text[BLANK.match(text).end() :]  # type: ignore[union-attr]  # it matches nothing at least
    found = re.match(r"[A-Za-z]+", bare)
    word = found[0].lower() if found else ""
    does = _CONTROLS.get(word)
    if does is None:
        return None
    reason = _refusal(bare)
    if reason:
        return Control(REFUSED, text, reason=reason)
    if does == REFUSED:
        return None
    if does == ROLLBACK and _TO_SAVEPOINT.match(bare):
        return Control(NESTED, text, "ROLLBACK TO SAVEPOINT")
    if (does in (DISCARD, CLOSE) and not _ALL.match(bare)) or (word == "start" and not _TRANSACTION.match(bare)):
        return None
    chain = does in (COMMIT, ROLLBACK) and bool(_CHAIN.search(bare))
    name = f"{_NAMES.get(word, does.upper())}{' ALL' if does == DEALLOCATE and _ALL.match(bare) else ''}"
    return Control(does, bare, name, chain=chain, read_only=bool(_READ_ONLY.search(bare)))


def savepoint(text: str) -> Savepoint | None:
    """The savepoint that a statement is about; None where it is about none."""
    found = _SAVEPOINT.match(text, BLANK.match(text).end())  # type: ignore[union-attr]  # as above
    if found is None:
        return None
    name = found["name"] if found["name"].startswith('"') else found["name"].lower()
    return Savepoint(name, made=bool(found["made"]), back=bool(found["back"]))


def only_in_blocks(text: str) -> str:
    """What the server calls a statement that it takes in a transaction block only; empty for all others.

    Those about the transaction itself are not among them.
    """
    found = _IN_BLOCKS.match(text, BLANK.match(text).end())  # type: ignore[union-attr]  # as above
    return "" if found is None else "LOCK TABLE" if found["lock"] else "DECLARE CURSOR"


def reads(text: str) -> bool:
    """Whether each statement of a text surely takes no lock and writes no row.

    Where a string has a semicolon, the answer is no. What functions do, that SELECT calls, is told by `Schema`.
    """
    parts = [part for part in text.split(";") if part.strip()]
    return bool(parts) and all(_READS.match(part) for part in parts)


def declares(text: str) -> bool:
    """Whether it declares a cursor."""
    return _DECLARES.match(text) is not None


def split(script: str) -> list[str]:
    """The statements of a script that a driver sends in one piece, without those that say nothing."""
    parts = [script] if ";" not in script or _ATOMIC.search(script) else _cut(script)
    return [part for part in parts if BLANK.match(part).end() < len(part)]  # type: ignore[union-attr]  # as above


def _refusal(bare: str) -> str:
    low = bare[:200].lower()
    if _PREPARED.match(bare):
        return "a transaction in two phases, which would outlive its connection,"
    if low.startswith("listen"):
        return "LISTEN, which hears nothing before a real commit,"
    if _ONLY_READS.match(low):
        return "a session in which all transactions are READ ONLY"
    level = _LEVEL.search(bare) or re.search(r"transaction_isolation\W.*(serializable|repeatable)", low)
    if level and (low.startswith(("begin", "start")) or _CHARACTER.match(low)):
        return f"the isolation level {'SERIALIZABLE' if 'serializable' in level[0].lower() else 'REPEATABLE READ'}"
    return ""


def _cut(script: str) -> list[str]:
    parts, start, place = [], 0, 0
    while token := _TOKEN.search(script, place):
        place = token.end()
        if token["end"]:
            parts.append(script[start : token.start()])
            start = place
        elif token["nest"]:
            place = _after_comment(script, place)
        elif token["dollar"]:
            closing = script.find(token["dollar"], place)
            place = len(script) if closing < 0 else closing + len(token["dollar"])
    return [*parts, script[start:]]


def _after_comment(script: str, place: int) -> int:
    """Comments nest in SQL."""
    depth = 1
    for found in re.compile(r"/\*|\*/").finditer(script, place):
        depth += 1 if found[0] == "/*" else -1
        if not depth:
            return found.end()
    return len(script)
