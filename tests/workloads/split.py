"""Cut a file of SQL into statements, as psql does: quotes, dollar quotes, comments, bodies, COPY data."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass

TOKEN = re.compile(
    r"""
      (?P<comment>--[^\n]*)
    | (?P<nest>/\*)
    | (?P<string>(?<![A-Za-z0-9_])[eE]'(?:[^'\\]|\\.|'')*'|'(?:[^']|'')*'|"(?:[^"]|"")*")
    | (?P<dollar>(?<![A-Za-z0-9_])\$(?P<tag>[A-Za-z_][A-Za-z0-9_]*)?\$)
    | (?P<meta>\\[^\n]*)
    | (?P<word>[A-Za-z_][A-Za-z0-9_$]*)
    | (?P<end>;)
    | (?P<paren>[()])
    """,
    re.VERBOSE | re.DOTALL,
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Statement:
    """One statement, and the lines that COPY ... FROM STDIN takes."""

    text: str
    data: str | None = None

    @property
    def words(self) -> list[str]:
        """The first words, upper case, without comments."""
        bare = re.sub(r"--[^\n]*|/\*.*?\*/", " ", self.text, flags=re.DOTALL)
        return re.findall(r"[A-Z_]+", bare.upper())[:6]


def split(script: str) -> Iterator[Statement]:
    """The statements of a script. psql's own commands (`\\d`, `\\set`) are left out."""
    start = place = 0
    depth = body = 0
    kept: list[str] = []
    while token := TOKEN.search(script, place):
        place = token.end()
        if token["nest"]:
            place = _nested(script, place)
        elif token["dollar"]:
            closing = script.find(token["dollar"], place)
            place = len(script) if closing < 0 else closing + len(token["dollar"])
        elif token["meta"]:
            kept.append(script[start : token.start()])
            start = place
            if token["meta"].startswith(("\\g", "\\crosstab")) and not token["meta"].startswith("\\getenv"):
                yield from _made(kept)
                kept = []
        elif token["paren"]:
            depth += 1 if token["paren"] == "(" else -1
        elif token["word"]:
            body = _body(token["word"].upper(), body, script[start : token.start()])
        elif token["end"] and depth <= 0 and not body:
            kept.append(script[start : token.start()])
            start, depth = place, 0
            text = "".join(kept)
            kept = []
            if re.search(r"\bfrom\s+stdin\b", text, re.IGNORECASE) and re.match(
                r"\s*(--[^\n]*\n\s*)*copy\b", text, re.IGNORECASE
            ):
                data, place = _data(script, place)
                start = place
                yield Statement(text=text.strip(), data=data)
            else:
                yield from _made([text])
    yield from _made([*kept, script[start:]])


def _made(parts: list[str]) -> Iterator[Statement]:
    text = "".join(parts).strip()
    if re.sub(r"--[^\n]*|/\*.*?\*/", "", text, flags=re.DOTALL).strip():
        yield Statement(text=text)


def _nested(script: str, place: int) -> int:
    """Comments nest in SQL."""
    depth = 1
    for found in re.compile(r"/\*|\*/").finditer(script, place):
        depth += 1 if found[0] == "/*" else -1
        if not depth:
            return found.end()
    return len(script)


def _body(word: str, depth: int, before: str) -> int:
    """BEGIN ATOMIC ... END holds semicolons; CASE ... END inside it counts."""
    if word == "ATOMIC" and re.search(r"\bBEGIN\s*$", before, re.IGNORECASE):
        return 1
    if depth and word == "CASE":
        return depth + 1
    if depth and word == "END":
        return depth - 1
    return depth


def _data(script: str, place: int) -> tuple[str, int]:
    line = script.find("\n", place) + 1
    if end := re.compile(r"^\\\.\s*$", re.MULTILINE).search(script, line):
        return script[line : end.start()], end.end()
    return "", place
