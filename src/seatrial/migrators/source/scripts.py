r"""SQL scripts made fit for a server: what only psql understands is taken out, or put into SQL.

`pg_dump` writes such things into every dump: COPY blocks with the rows after them, and \\restrict.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping

from seatrial.errors import ConfigError

_TOKEN = re.compile(
    r"--[^\n]*|/\*|\$(?P<tag>\w*)\$|(?<![\w$])[eE]'(?:[^'\\]|\\.|'')*'|'(?:[^']|'')*'|\"(?:[^\"]|\"\")*\"|;|^\\(?P<meta>[^\n]*)",
    re.DOTALL | re.MULTILINE,
)
_COPY = re.compile(r"\s*COPY\s+(?P<table>.+?)\s+FROM\s+STDIN\b(?P<options>[^;]*);$", re.IGNORECASE | re.DOTALL)
_END_OF_ROWS = re.compile(r"^\\\.[ \t]*\r?$\n?", re.MULTILINE)
_NOTHING_TO_DO = re.compile(r"(?:restrict|unrestrict|echo|qecho|timing)\b")
_ESCAPE = re.compile(r"\\(?:([0-7]{1,3})|x([0-9a-fA-F]{1,2})|(.))", re.DOTALL)
_CONTROL: Mapping[str, str] = {"b": "\b", "f": "\f", "n": "\n", "r": "\r", "t": "\t", "v": "\v"}


def plain(script: str, label: str) -> str:
    r"""The script as SQL alone: rows after `COPY ... FROM stdin` become INSERTs, \\restrict and \\echo go.

    Raises `ConfigError` for any other command of psql, and for COPY with options, whose rows are in another form.
    """
    if "\\" not in script:
        return script
    return "".join(_pieces(script, label))


def _pieces(script: str, label: str) -> Iterator[str]:
    start = position = 0  # of the statement, and of what was looked at
    while match := _TOKEN.search(script, position):
        position = match.end()
        text = match[0]
        if text == "/*":
            position = _end_of_comment(script, position)
        elif match["tag"] is not None:
            closing = script.find(f"${match['tag']}$", position)
            position = len(script) if closing < 0 else closing + len(text)
        elif match["meta"] is not None:
            yield script[start : match.start()]
            if not _NOTHING_TO_DO.match(match["meta"]):
                raise _unknown(f"\\{match['meta'].strip()}", script, match.start(), label)
            start = position
        elif text == ";":
            statement = script[start:position]
            copy = _COPY.fullmatch(_without_comments(statement))
            if copy:
                if copy["options"].strip():
                    raise _unknown(f"COPY ... FROM stdin{copy['options']}", script, match.start(), label)
                rows, position = _rows(script, position)
                statement = _insert(copy["table"], rows)
            yield statement
            start = position
    yield script[start:]


def _end_of_comment(script: str, position: int) -> int:
    """Behind the end of a comment that began before `position`: they may be nested."""
    depth = 1
    while depth:
        match = re.compile(r"/\*|\*/").search(script, position)
        if match is None:
            return len(script)
        depth += 1 if match[0] == "/*" else -1
        position = match.end()
    return position


def _without_comments(statement: str) -> str:
    return re.sub(r"--[^\n]*|/\*.*?\*/", "", statement, flags=re.DOTALL)


def _rows(script: str, position: int) -> tuple[list[str], int]:
    """The lines of data behind a COPY statement, and where the script goes on."""
    begin = script.find("\n", position) + 1 or len(script)
    end = _END_OF_ROWS.search(script, begin)
    data, after = (script[begin : end.start()], end.end()) if end else (script[begin:], len(script))
    return data.removesuffix("\n").split("\n") if data else [], after


def _insert(table: str, rows: list[str]) -> str:
    # COPY takes the values of the dump for identity columns, also of those that are GENERATED ALWAYS.
    head = f"INSERT INTO {table} OVERRIDING SYSTEM VALUE VALUES\n"
    chunks = (rows[start : start + 1000] for start in range(0, len(rows), 1000))
    values = (",\n".join(f"({', '.join(map(_literal, row.split(chr(9))))})" for row in chunk) for chunk in chunks)
    return "".join(f"\n{head}{value};\n" for value in values)


def _literal(field: str) -> str:
    if field == "\\N":
        return "NULL"
    return "'" + _ESCAPE.sub(_unescaped, field).replace("'", "''") + "'"


def _unescaped(match: re.Match[str]) -> str:
    octal, hexadecimal, other = match.groups()
    if octal:
        return chr(int(octal, 8))
    return chr(int(hexadecimal, 16)) if hexadecimal else _CONTROL.get(other, other)


def _unknown(command: str, script: str, position: int, label: str) -> ConfigError:
    line = script.count("\n", 0, position) + 1
    return ConfigError(
        f"{label}, line {line}: `{command}` is a command of psql, not of the server",
        cause="a .sql file is sent to the server as it is",
        fix=f"""have psql run it, with inputs = ["{label}"]: """
        f""""sh -c 'psql -v ON_ERROR_STOP=1 -f {label} $DATABASE_URL'\"""",
    )
