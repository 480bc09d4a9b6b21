"""Whether a project keeps objects in S3, and the variables by which it is told where."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from seatrial.cli.detect.candidate import Candidate, Note
from seatrial.cli.detect.database.settings import Variable
from seatrial.cli.detect.database.variables import read_variables
from seatrial.cli.detect.project import Project, Source

_LIBRARIES = ("boto3", "aioboto3", "aiobotocore", "botocore")
_MAKERS = ("client", "resource", "create_client")
_STORE = r"^(?:\w+_)?(?:AWS|S3|MINIO|R2|SPACES|STORAGE|OBJECTS?)_"
_PARTS: Mapping[str, re.Pattern[str]] = {
    "bucket": re.compile(r"^(?:\w+_)?BUCKET(?:_NAME)?$"),
    "endpoint": re.compile(rf"{_STORE}(?:\w+_)?(?:ENDPOINT|ENDPOINT_UR[LI]|ENDPOINT_URL_S3|HOST)$"),
    "password": re.compile(rf"{_STORE}(?:\w+_)?(?:SECRET|SECRET_KEY|SECRET_ACCESS_KEY|ROOT_PASSWORD)$"),
    "user": re.compile(rf"{_STORE}(?:\w+_)?(?:KEY_ID|ACCESS_KEY|ACCESS_KEY_ID|ROOT_USER)$"),
}
_VALUES: Mapping[str, str] = {
    "bucket": "{database}",
    "endpoint": "http://{host}:{port}",
    "password": "{password}",
    "user": "{user}",
}
_BY_ITSELF: Mapping[str, str] = {
    "AWS_ENDPOINT_URL_S3": "http://{host}:{port}",
    "AWS_ACCESS_KEY_ID": "{user}",
    "AWS_SECRET_ACCESS_KEY": "{password}",
}
"""What boto3 reads where the code says nothing else."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Buckets:
    """`kind` and `env`, each with its evidence."""

    kind: Candidate
    env: Mapping[str, str]
    env_evidence: Candidate
    notes: tuple[Note, ...] = ()


def buckets(project: Project) -> Buckets | None:
    """Where the product makes a client of S3; None where it makes none."""
    found = next(_clients(project), None)
    if found is None:
        return None
    place, library = found
    kind = Candidate(value="s3", file=place.file, line=place.line, why=f"a client of S3, by {library}", score=0)
    read = {one.name: (part, one) for one in read_variables(project) if (part := _part(one.name))}
    env = {**_BY_ITSELF, **{name: _value(part, one) for name, (part, one) in read.items()}}
    by_name = [one for part, one in read.values() if part == "bucket"]
    if not by_name:
        text = "each worker has a bucket of its own: have the app read its name from a variable, and give that in `env`"
        note = Note(place=kind.place, text=text)
        evidence = Candidate(value="env", file=place.file, line=place.line, why="boto3 reads them by itself", score=0)
        return Buckets(kind=kind, env=env, env_evidence=evidence, notes=(note,))
    first = by_name[0]
    why = f"read by {first.how}; the others of AWS boto3 reads by itself"
    return Buckets(
        kind=kind,
        env=env,
        env_evidence=Candidate(value="env", file=first.file, line=first.line, why=why, score=0),
        notes=tuple(_several(by_name)),
    )


def _clients(project: Project) -> Iterator[tuple[Candidate, str]]:
    for source in project.sources:
        library = "" if source.side else _library(source)
        for call, _ in source.calls() if library else ():
            if isinstance(call.func, ast.Attribute) and call.func.attr in _MAKERS and _service(call) == "s3":
                yield Candidate(value="s3", file=source.relative, line=call.lineno, why="", score=0), library


def _library(source: Source) -> str:
    roots = {name.partition(".")[0] for name in source.imports.values()}
    return next((library for library in _LIBRARIES if library in roots), "")


def _service(call: ast.Call) -> str:
    named = [keyword.value for keyword in call.keywords if keyword.arg == "service_name"]
    for value in (*call.args[:1], *named):
        if isinstance(value, ast.Constant) and isinstance(value.value, str):
            return value.value
    return ""


def _part(name: str) -> str:
    return next((part for part, pattern in _PARTS.items() if pattern.match(name)), "")


def _value(part: str, variable: Variable) -> str:
    if part == "endpoint" and variable.default and "://" not in variable.default:
        return "{host}:{port}"
    return _VALUES[part]


def _several(by_name: list[Variable]) -> Iterator[Note]:
    if len(by_name) > 1:
        names = ", ".join(one.name for one in by_name)
        yield Note(place=by_name[0].place, text=f"{names} all name the worker's one bucket; a second takes a resource")
