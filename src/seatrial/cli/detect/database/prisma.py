"""What Prisma's own files say: which database it is, where its address is read from, and what seeds it."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from seatrial.cli.detect.candidate import Candidate, Note
from seatrial.cli.detect.project import Project, line_at

_KINDS: Mapping[str, str] = {"postgresql": "postgres", "postgres": "postgres", "mysql": "mysql", "sqlite": "sqlite"}
_SOURCE = re.compile(r"^\s*datasource\s+\w+\s*\{[^}]*\}", re.MULTILINE)
_PROVIDER = re.compile(r'^\s*provider\s*=\s*"(?P<name>\w+)"', re.MULTILINE)
_READ = r"""(?:env\(\s*["'](?P<env>\w+)["']\s*\)|process\.env(?:\.|\[["'])(?P<process>\w+))"""
_URL = re.compile(rf"\burl\s*[=:]\s*{_READ}")
_SEED = re.compile(r"""\bseed\s*:\s*(?P<quote>["'`])(?P<command>.+?)(?P=quote)""")
_CONFIGS = tuple(f"prisma.config.{suffix}" for suffix in ("ts", "mts", "js", "mjs"))


@dataclass(frozen=True, slots=True, kw_only=True)
class Prisma:
    """What was found; `variable` is None where nothing names one."""

    kind: Candidate
    variable: Candidate | None


def prisma(project: Project) -> Prisma | None:
    """The data source of the first schema that has one of ours."""
    for file in sorted((one for one in project.files if one.endswith(".prisma")), key=lambda one: one.count("/")):
        text = project.text(file)
        source = _SOURCE.search(text)
        provider = _PROVIDER.search(source[0]) if source else None
        if source and provider and provider["name"] in _KINDS:
            line = line_at(text, source.start() + provider.start("name"))
            why = f'Prisma\'s provider is "{provider["name"]}"'
            kind = Candidate(value=_KINDS[provider["name"]], file=file, line=line, why=why, score=0)
            return Prisma(kind=kind, variable=_variable(project, file, _SOURCE))
    return None


def seed_note(project: Project) -> Iterator[Note]:
    """A seed script, which nobody but the user can want in his tests."""
    for file, line, command in _seeds(project):
        yield Note(
            place=f"{file}:{line}",
            text=f"Prisma's seed script: tests that need its rows want seed = {json.dumps(command)}, and `inputs` with "
            "the files that it reads; what it writes is their baseline then",
        )
        return


def _seeds(project: Project) -> Iterator[tuple[str, int, str]]:
    for file in project.named(*_CONFIGS):
        text = project.text(file)
        if found := _SEED.search(text):
            yield file, line_at(text, found.start()), found["command"]
    for file in project.named("package.json"):
        text = project.text(file)
        try:
            command = json.loads(text)["prisma"]["seed"]
        except (ValueError, KeyError, TypeError):
            continue
        if isinstance(command, str):
            yield file, line_at(text, max(text.find('"seed"', text.find('"prisma"')), 0)), command


def _variable(project: Project, schema: str, source: re.Pattern[str]) -> Candidate | None:
    for file in (schema, *project.named(*_CONFIGS)):
        text = project.text(file)
        within = source.search(text) if file == schema else re.search(".*", text, re.DOTALL)
        found = _URL.search(within[0]) if within else None
        if within and found:
            line, name = line_at(text, within.start() + found.start()), found["env"] or found["process"]
            return Candidate(value=name, file=file, line=line, why="read by Prisma", score=0)
    return None
