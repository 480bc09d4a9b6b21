"""What a statement does to its transaction, told from its first words; and scripts cut into statements."""

from __future__ import annotations

import re
from dataclasses import dataclass
from types import MappingProxyType

BEGIN, COMMIT, ROLLBACK = "begin", "commit", "rollback"
DEALLOCATE, DISCARD, REFUSED = "deallocate", "discard", "refused"

_TOKEN = re.compile(
    r"""
      --[^\n]* | (?P<nest>/\*) | (?P<end>;)
    | (?<![A-Za-z0-9_])[eE]'(?:[^'\\]|\\.|'')*' | '(?:[^']|'')*' | "(?:[^"]|"")*"
    | (?<![A-Za-z0-9_$])(?P<dollar>\$(?:[A-Za-z_\x80-\U0010ffff][\w]*)?\$)
    """,
    re.VERBOSE | re.DOTALL,
)
_BLANK = re.compile(r"(?:\s+|--[^\n]*(?:\n|$)|/\*.*?\*/)*", re.DOTALL)
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
_CONTROLS = MappingProxyType({
    "begin": BEGIN, "start": BEGIN, "commit": COMMIT, "end": COMMIT, "rollback": ROLLBACK, "abort": ROLLBACK,
    "deallocate": DEALLOCATE, "discard": DISCARD, "prepare": REFUSED, "set": REFUSED, "listen": REFUSED,
})  # fmt: skip


@dataclass(frozen=True, slots=True)
class Control:
    """A statement that can't be sent on as it is, because it is about the transaction or the whole connection."""

    does: str
    """One of the names above."""
    text: str
    chain: bool = False
    """Whether a new transaction begins at once."""
    read_only: bool = False
    reason: str = ""
    """What it asks for, where it is refused."""

    @property
    def refusal(self) -> str:
        """What to tell of it, where it is refused."""
        return f"{self.reason} is not to be had in rollback mode: all is one transaction"


def control(text: str) -> Control | None:
    """What a single statement means for its transaction; None where it is sent on as it is."""
    bare = text[_BLANK.match(text).end() :]  # type: ignore[union-attr]  # it matches nothing at least
    word = re.match(r"[A-Za-z]+", bare)
    does = _CONTROLS.get(word[0].lower()) if word else None
    if does is None:
        return None
    reason = _refusal(bare)
    if reason:
        return Control(REFUSED, text, reason=reason)
    if does == REFUSED or (does == ROLLBACK and re.match(r"\w+(\s+(work|transaction))?\s+to\b", bare, re.IGNORECASE)):
        return None
    if does == DISCARD and not re.match(r"discard\s+all\b", bare, re.IGNORECASE):
        return None
    if does == BEGIN and word and word[0].lower() == "start" and not re.match(r"start\s+tr", bare, re.IGNORECASE):
        return None
    return Control(does, bare, chain=bool(_CHAIN.search(bare)), read_only=bool(_READ_ONLY.search(bare)))


def split(script: str) -> list[str]:
    """The statements of a script that a driver sends in one piece, without those that say nothing."""
    parts = [script] if ";" not in script or _ATOMIC.search(script) else _cut(script)
    return [part for part in parts if _BLANK.match(part).end() < len(part)]  # type: ignore[union-attr]  # as above


def _refusal(bare: str) -> str:
    low = bare[:200].lower()
    if _PREPARED.match(bare):
        return "a transaction in two phases outlives its connection"
    if low.startswith("listen"):
        return "LISTEN hears nothing before a real commit"
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
