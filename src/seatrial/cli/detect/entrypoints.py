"""Which app a project itself starts: the targets of uvicorn, gunicorn and their like in its scripts and images."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass

from seatrial.cli.detect.project import Project

_SERVERS = re.compile(
    r"\b(uvicorn|gunicorn|hypercorn|granian|daphne|waitress-serve|flask|litestar|fastapi|FLASK_APP)\b"
)
_TARGET = re.compile(r"(?<![\w/.:@$-])(?P<module>[A-Za-z_][\w.]*):(?P<name>[A-Za-z_]\w*)(?P<call>\(\))?(?![\w/:])")
_FILE_TARGET = re.compile(r"\bfastapi[\"',\s]+(?:run|dev)[\"',\s]+(?P<file>[\w./-]+\.py)")
_NAMES = re.compile(
    r"(Dockerfile|Containerfile|Procfile|Makefile|justfile|(docker-)?compose[\w.-]*\.ya?ml|.*\.sh|.*\.toml)",
    re.IGNORECASE,
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Entrypoint:
    """`target` as it is written ("app.main:app", or a file), and where."""

    target: str
    file: str
    line: int


def entrypoints(project: Project) -> tuple[Entrypoint, ...]:
    """Every target, files near the root first."""
    found: list[Entrypoint] = []
    for file in project.files:
        name = file.rpartition("/")[2]
        if _NAMES.fullmatch(name) or name.startswith(("Dockerfile", "Procfile")):
            found.extend(_in_lines(file, project.text(file)))
    for source in project.sources:
        for call, name in source.calls():
            if name.endswith("uvicorn.run") and call.args:
                text = getattr(call.args[0], "value", None)
                if isinstance(text, str) and _TARGET.fullmatch(text):
                    factory = any(keyword.arg == "factory" for keyword in call.keywords)
                    target = f"{text}()" if factory and not text.endswith("()") else text
                    found.append(Entrypoint(target=target, file=source.relative, line=call.lineno))
    return tuple(sorted(found, key=lambda one: (one.file.count("/"), one.file, one.line)))


def _in_lines(file: str, text: str) -> Iterator[Entrypoint]:
    # A command may run over several lines: each is joined to those that it continues.
    joined, start = "", 0
    for number, line in enumerate(text.splitlines(), start=1):
        start = start or number
        joined += line.rstrip().removesuffix("\\") + " "
        if line.rstrip().endswith("\\"):
            continue
        yield from _in_command(file, start, joined)
        joined, start = "", 0


def _in_command(file: str, line: int, command: str) -> Iterator[Entrypoint]:
    if command.lstrip().startswith("#") or not _SERVERS.search(command):
        return
    for match in _FILE_TARGET.finditer(command):
        yield Entrypoint(target=match["file"], file=file, line=line)
    for match in _TARGET.finditer(command):
        call = "()" if match["call"] or "--factory" in command else ""
        yield Entrypoint(target=f"{match['module']}:{match['name']}{call}", file=file, line=line)
