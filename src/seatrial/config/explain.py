"""From what is wrong in a configuration to a message that says where, what, and what to write instead."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from difflib import get_close_matches

from seatrial.config import NODE
from seatrial.core.redact import redact
from seatrial.errors import ConfigError

_HUGE = 10**30
_KEY = r"""\b[a-z_]+ = (?:"[^"]*"|\[[^\]]*\]|\{(?:"[^"]*"|[^"}])*\}|true\b|false\b|\d+)"""
_TABLE = r"\[(resources|services)\.(\w+)\]"
"""What an advice of ours has in TOML."""
_SHORT = 4
"""Letters: of shorter words half is enough to tell what was meant."""

Path = tuple[str, ...]
Where = Callable[[Path], str]


@dataclass(frozen=True, slots=True, kw_only=True)
class Problem:
    """One mistake. `where` is a file with a line, a variable or an option."""

    where: str
    key: str
    what: str
    fix: str


class Findings:
    """Collects the mistakes of one configuration, so that all are shown together."""

    def __init__(self, where: Where) -> None:
        self._where = where
        self._problems: dict[Problem, None] = {}

    def add(self, path: Path, what: str, fix: str) -> None:
        """One more mistake, at the key `path`."""
        # A value is quoted in `what`, and may hold a password.
        where = self._where(path)
        if where.rpartition(":")[0].endswith(f"/{NODE}"):
            fix = in_json(fix)
        found = Problem(where=where, key=".".join(path), what=redact(what), fix=fix)
        self._problems[found] = None

    @property
    def problems(self) -> tuple[Problem, ...]:
        """All mistakes so far, in the order of the file's lines; those from elsewhere come first."""
        return tuple(sorted(self._problems, key=lambda problem: _line(problem.where)))


def in_json(advice: str) -> str:
    """An advice with what it says in TOML as a `package.json` has it: `kind = "postgres"` is `"kind": "postgres"`."""
    import tomllib

    def key(found: re.Match[str]) -> str:
        return json.dumps(tomllib.loads(found[0]))[1:-1]

    def table(found: re.Match[str]) -> str:
        return f'"{found[1]}": {{"{found[2]}": {{...}}}}'

    return re.sub(_TABLE, table, re.sub(_KEY, key, advice))


def _line(where: str) -> int:
    line = where.rpartition(":")[2]
    return int(line) if line.isascii() and line.isdigit() else 0


def nearest(word: str, choices: Iterable[str]) -> str | None:
    """The choice that was probably meant."""
    known = {choice.lower(): choice for choice in choices}
    cutoff = 0.5 if len(word) < _SHORT else 0.6
    close = get_close_matches(word.lower().replace("-", "_"), known, n=1, cutoff=cutoff)
    return known[close[0]] if close else None


def instead(word: str, choices: Iterable[str], *, of: str) -> str:
    """What to write in the place of `word`: the nearest choice first, then all of them."""
    choices = tuple(choices)
    close = nearest(word, choices)
    listed = f"{of}: {', '.join(choices)}"
    return f"write `{close}` ({listed})" if close else f"take one of the {listed}"


def describe(value: object) -> str:
    """A value of TOML or JSON in words: "the number 3", "a table"."""
    match value:
        case None:
            told = "null"
        case bool():
            told = str(value).lower()
        case int() if abs(value) >= _HUGE:
            told = "a number of many digits"  # Python refuses to write out more than 4,300 of them
        case int() | float():
            told = f"the number {value}"
        case str():
            told = f'the string "{redact(shorten(value))}"'
        case list():
            told = f"a list of {len(value)} value{'' if len(value) == 1 else 's'}"
        case dict():
            told = "a table"
        case _:
            told = f"the date or time {value}"
    return told


def shorten(value: str, limit: int = 80) -> str:
    """A value as it may stand in a message: on one line, and not longer than that."""
    line = " ".join(value.split())
    return line if len(line) <= limit else line[: limit - 3] + "..."


def as_error(problems: tuple[Problem, ...], source: str) -> ConfigError:
    """One error for all of them: three parts where there is one, a list where there are more."""
    if len(problems) == 1:
        only = problems[0]
        return ConfigError(f"{only.where}: {only.what}", fix=only.fix)
    lines = [f"{len(problems)} mistakes in the configuration {source}"]
    for number, problem in enumerate(problems, start=1):
        lines.append(f"  {number}. {problem.where}: {problem.what}")
        lines.append(f"     fix: {problem.fix}")
    return ConfigError("\n".join(lines), fix="mend them; `seatrial doctor` checks the file without running a test")
