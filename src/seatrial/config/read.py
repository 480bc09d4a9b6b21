"""A configuration file as plain values, and the line on which each of them stands."""

from __future__ import annotations

import re
import tomllib
from collections.abc import Iterator, Mapping
from pathlib import Path

from seatrial.config import NODE, SHARED
from seatrial.errors import ConfigError

_HEADER = re.compile(r"^\s*\[\[?(?P<path>[^\]]+)\]\]?\s*(#.*)?$")
_KEY = re.compile(r"""^\s*(?P<path>(?:"[^"]*"|'[^']*'|[\w-]+)(?:\s*\.\s*(?:"[^"]*"|'[^']*'|[\w-]+))*)\s*=""")
_PART = re.compile(r""""([^"]*)"|'([^']*)'|([\w-]+)""")
_TOKEN = re.compile(r""""(?:[^"\\]|\\.)*"(?:[ \t]*:)?|[{}\[\]\n]""")
"""Of JSON: a key with its colon, any other string, what opens and closes, and the ends of lines."""
_PREFIXES: Mapping[str, tuple[str, ...]] = {SHARED: ("tool", "seatrial"), NODE: ("seatrial",)}
_POSITION = re.compile(r"\(at line (\d+), column \d+\)")


def prefix(source: Path) -> tuple[str, ...]:
    """The tables above ours in this file: none in a file of our own."""
    return _PREFIXES.get(source.name, ())


def read(source: Path) -> tuple[dict[str, object], str]:
    """Our keys in this file, not yet checked, and the file's text.

    Raises:
        ConfigError: the file can't be read, or is no TOML or JSON (with its line); or ours is no table, or stands
            where other files have it.
    """
    text = _text(source)
    table: object = _parse(source, text)
    for name in prefix(source):
        table = table.get(name, {}) if isinstance(table, dict) else {}
    if not isinstance(table, dict):
        example = '{"resources": {...}}' if source.name == NODE else '[tool.seatrial], with keys such as app = "a:app"'
        raise ConfigError(f"{source}: {'.'.join(prefix(source))} is no table", fix=f"write a table, {example}")
    tools = {} if prefix(source) else table.get("tool")
    if isinstance(tools, dict) and "seatrial" in tools:
        raise ConfigError(
            f"{source} has tables in [tool.seatrial]",
            cause="that is how they are called in pyproject.toml; this file is ours alone",
            fix="leave `tool.seatrial` out, as in [resources.db]",
        )
    return table, text


def configures(source: Path) -> bool:
    """Whether this file, which others use as well, really holds our table, and not only a comment about it."""
    *above, ours = prefix(source)
    table: object = _parse(source, _text(source))
    for name in above:
        table = table.get(name) if isinstance(table, dict) else None
    return isinstance(table, dict) and ours in table


def lines(source: Path, text: str) -> dict[tuple[str, ...], int]:
    """The line of each key and table in a text of TOML or JSON, as far as it can be told without parsing it again."""
    if source.name == NODE:
        return dict(_lines_of_json(text))
    found: dict[tuple[str, ...], int] = {}
    header: tuple[str, ...] = ()
    for number, line in enumerate(text.splitlines(), start=1):
        if match := _HEADER.match(line):
            header = _parts(match["path"])
            for length in range(1, len(header) + 1):
                found.setdefault(header[:length], number)
        elif match := _KEY.match(line):
            path = header + _parts(match["path"])
            for length in range(len(header) + 1, len(path) + 1):
                found.setdefault(path[:length], number)
    return found


def _parts(dotted: str) -> tuple[str, ...]:
    return tuple(next(part for part in found if part) for found in _PART.findall(dotted) if any(found))


def _lines_of_json(text: str) -> Iterator[tuple[tuple[str, ...], int]]:
    """Each key with its path: whatever follows a "{" or "," in an object, up to its colon."""
    path: list[str] = []
    key, number = "", 1
    for word in _TOKEN.findall(text):
        if word == "\n":
            number += 1
        elif word in "{[":
            path.append(key)
            key = ""
        elif word in "}]":
            path = path[:-1]
        elif word.endswith(":"):
            key = word.rstrip(": \t\r\n")[1:-1]
            yield (*path[1:], key), number


def _text(source: Path) -> str:
    try:
        return source.read_text("utf-8-sig")  # editors on Windows may put a mark before it
    except UnicodeDecodeError as error:
        raise ConfigError(
            f"{source} is not UTF-8", cause=f"byte {error.start} can't be decoded", fix="save the file as UTF-8"
        ) from error
    except OSError as error:
        raise ConfigError(f"{source} can't be read", cause=str(error.strerror), fix="check the path") from error


def _parse(source: Path, text: str) -> dict[str, object]:
    if source.name == NODE:
        return _parse_json(source, text)
    try:
        return tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        message = str(error)
        position = _POSITION.search(message)
        line = f":{position[1]}" if position else ""
        written = text.splitlines()[int(position[1]) - 1].strip() if position else ""
        raise ConfigError(
            f"{source}{line} is no valid TOML: {message}",
            # The line itself may hold the password of a URL: it is pointed at, and shown only up to its value.
            fix="mend that line"
            + (f", which starts with `{written.partition('=')[0].strip()[:60]}`" if written else ""),
        ) from error
    except ValueError as error:
        raise ConfigError(f"{source} can't be read: {error}", fix="write a shorter number") from error
    except RecursionError as error:
        raise ConfigError(f"{source} is nested too deeply", fix="a configuration has at most four levels") from error


def _parse_json(source: Path, text: str) -> dict[str, object]:
    import json

    try:
        found = json.loads(text)
    except json.JSONDecodeError as error:
        raise ConfigError(f"{source}:{error.lineno} is no valid JSON: {error.msg}", fix="mend that line") from error
    except (ValueError, RecursionError) as error:
        raise ConfigError(f"{source} can't be read: {error}", fix="write less of it") from error
    return found if isinstance(found, dict) else {}
