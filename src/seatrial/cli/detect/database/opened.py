"""Which variables stand in the calls that open databases and servers: the clearest evidence of what they are for."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from seatrial.cli.detect.database.settings import from_settings
from seatrial.cli.detect.database.variables import read_in
from seatrial.cli.detect.project import Project, Source

_DATABASES = re.compile(
    r"(?:sqlalchemy|sqlmodel)\.(?:\w+\.)*create_(?:async_)?engine|(?:psycopg2?|asyncpg)\.(?:\w+\.)*connect"
    r"|asyncpg\.(?:\w+\.)*create_pool|psycopg_pool\.(?:\w+\.)*\w*ConnectionPool"
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Opening:
    """One call that opens something, and the one variable that stands in each of its arguments."""

    source: Source
    line: int
    called: str
    """Its full name: "redis.asyncio.from_url"."""
    variables: Mapping[str, str]
    """By the keyword, or the position, of the argument: {"0": "REDIS_URL"}."""


def openings(project: Project, calls: re.Pattern[str]) -> Iterator[Opening]:
    """The product's calls whose full name is one of `calls`."""
    found = _names(project)
    for source in project.sources:
        for call, name in () if source.side else source.calls():
            if calls.fullmatch(name):
                given = [*((str(at), value) for at, value in enumerate(call.args))]
                given += [(keyword.arg, keyword.value) for keyword in call.keywords if keyword.arg]
                read = {key: names.pop() for key, value in given if len(names := _read(source, value, found)) == 1}
                yield Opening(source=source, line=call.lineno, called=name, variables=read)


def database_variables(project: Project) -> frozenset[str]:
    """Those that are the address in a call that opens a database."""
    keys = ("0", "url", "dsn", "conninfo")
    found = (opening.variables for opening in openings(project, _DATABASES))
    return frozenset(read[key] for read in found for key in keys if key in read)


def _names(project: Project) -> dict[str, str]:
    """The variable behind each name of a module, "app.config.URL", and behind each attribute, ".url"."""
    found: dict[str, str] = {}
    for source in project.sources:
        for name, value, _ in () if source.side else source.assignments():
            read = {one.name for one in read_in(source, value)}
            if len(read) == 1:
                found.setdefault(f"{source.module}.{name}", read.pop())
    for one in from_settings(project):
        found.setdefault(f".{one.field}", one.name)
    return found


def _read(source: Source, value: ast.expr, found: Mapping[str, str]) -> set[str]:
    """The variables that an argument is made of, as far as the whole of it comes from them."""
    if isinstance(value, ast.JoinedStr) and isinstance(value.values[0], ast.Constant):
        return set()  # an address that is put together from parts
    if isinstance(value, ast.Call) and source.name_of(value.func).endswith("URL.create"):
        return set()
    names = {one.name for one in read_in(source, value)}
    for node in ast.walk(value):
        if isinstance(node, (ast.Name, ast.Attribute)):
            names.add(found.get(source.name_of(node), ""))
        if isinstance(node, ast.Attribute):
            names.add(found.get(f".{node.attr}", ""))
    return names - {""}
