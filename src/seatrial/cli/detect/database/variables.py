"""The variables of the environment from which a project reads its database's address."""

from __future__ import annotations

import ast
import re
from collections.abc import Collection, Iterator, Mapping

from seatrial.cli.detect.database.settings import Variable, from_settings, string
from seatrial.cli.detect.project import Project, Source

_URL_NAME = re.compile(
    r"(^|_)(DATABASE|DB|POSTGRES|POSTGRESQL|PG|MYSQL|MARIADB|SQLALCHEMY|SQL)(_\w+)?_(URL|URI|DSN)$|^(DSN|DB_CONNECTION(_STRING)?)$"
)
_READERS = ("os.getenv", "os.environ.get", "os.environ.setdefault", "decouple.config", "environs.Env.str")
_PARTS: Mapping[str, tuple[str, ...]] = {
    "host": ("HOST", "SERVER", "HOSTNAME"),
    "port": ("PORT",),
    "user": ("USER", "USERNAME"),
    "password": ("PASSWORD", "PASS"),
    "database": ("DB", "DATABASE", "NAME", "DB_NAME", "DBNAME"),
}
_SERVERS: Mapping[str, str] = {
    "postgres": "POSTGRES|POSTGRESQL|PG",
    "mysql": "MYSQL|MARIADB",
    "mariadb": "MYSQL|MARIADB",
}
"""What the names of variables call the server, by kind. What has none has no address in parts."""
_PART = r"^(?P<prefix>(?:\w+_)?(?:{servers}|DB|DATABASE|SQL)_*)(?P<part>[A-Z][A-Z_]*)$"


def read_variables(project: Project) -> tuple[Variable, ...]:
    """Every variable that the product (not its tests) reads, by `os.environ` or pydantic-settings."""
    found: dict[str, Variable] = {}
    for source in project.sources:
        for variable in read_in(source, source.tree) if not source.side else ():
            found.setdefault(variable.name, variable)
    for variable in from_settings(project):
        found.setdefault(variable.name, variable)
    return tuple(found.values())


def address_variables(variables: tuple[Variable, ...], opened: Collection[str] = ()) -> tuple[Variable, ...]:
    """Those that hold a whole address, the best first: what a database is `opened` with, by its name, its default."""
    found = [one for one in variables if _URL_NAME.search(one.name) or one.scheme or one.name in opened]
    found = [one for one in found if "TEST" not in one.name.split("_") and "REDIS" not in one.name]
    return tuple(sorted(found, key=lambda one: (one.name not in opened, one.name != "DATABASE_URL", not one.scheme)))


def part_variables(variables: tuple[Variable, ...], kind: str) -> dict[str, Variable]:
    """Those that hold a part of it, by the part: {"host": POSTGRES_SERVER, ...}; empty without host or database."""
    if kind not in _SERVERS:
        return {}
    pattern = re.compile(_PART.format(servers=_SERVERS[kind]))
    groups: dict[str, dict[str, Variable]] = {}
    for variable in variables:
        if match := pattern.match(variable.name):
            for part, names in _PARTS.items():
                if match["part"] in names:
                    groups.setdefault(match["prefix"], {}).setdefault(part, variable)
    complete = [group for group in groups.values() if "database" in group and ("host" in group or "port" in group)]
    return max(complete, key=len, default={})


def read_in(source: Source, tree: ast.AST) -> Iterator[Variable]:
    """Every variable that this part of a file reads from the environment."""
    for node in ast.walk(tree):
        name, default = None, None
        if not isinstance(node, ast.expr):
            continue
        if isinstance(node, ast.Subscript) and source.name_of(node.value) == "os.environ":
            name = string(node.slice)
        elif isinstance(node, ast.Call) and node.args and _reads(source, node):
            name = string(node.args[0])
            rest = [*node.args[1:], *(keyword.value for keyword in node.keywords if keyword.arg == "default")]
            default = string(rest[0]) if rest else None
        if name:
            yield Variable(name=name, file=source.relative, line=node.lineno, default=default or "", how="os.environ")


def _reads(source: Source, node: ast.Call) -> bool:
    name = source.name_of(node.func)
    *_, owner, last = ["", *name.lower().split(".")]
    # `env("NAME")`, `get_env("NAME")`; django-environ's and environs' `env.db("NAME")`, `env.url("NAME")`
    named = "getenv" in last or "env" in last.split("_") or owner == "env"
    return named or name in _READERS or name == "starlette.config.Config"
