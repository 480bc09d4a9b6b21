"""The variables behind classes of pydantic-settings: prefixes, aliases, inherited and nested ones."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from seatrial.cli.detect.project import Project, Source

_URL_VALUE = re.compile(r"^(?P<scheme>(postgres(ql)?|sqlite|mysql|mariadb)(\+\w+)?)://")
_ALIASES = ("alias", "validation_alias", "env")
_DEEPEST = 8
"""Levels of inheritance that are followed; a circle of names must end somewhere."""

Class = tuple[Source, ast.ClassDef]


@dataclass(frozen=True, slots=True, kw_only=True)
class Variable:
    """One variable that the project reads. `default` is what it takes where the variable is not set."""

    name: str
    file: str
    line: int
    default: str
    how: str
    field: str = ""
    """The attribute that holds it, of an object of settings."""

    @property
    def place(self) -> str:
        """Where it is read: "app/config.py:12"."""
        return f"{self.file}:{self.line}"

    @property
    def scheme(self) -> str:
        """The scheme of the default with its driver: "postgresql+asyncpg"; empty where it is no address."""
        match = _URL_VALUE.match(self.default)
        return match["scheme"] if match else ""


def from_settings(project: Project) -> Iterator[Variable]:
    """One variable for each field of each settings class of the product."""
    classes: dict[str, Class] = {
        f"{source.module}.{node.name}": (source, node)
        for source in project.sources
        if not source.side
        for node in source.tree.body
        if isinstance(node, ast.ClassDef)
    }
    for source, node in classes.values():
        line = _ancestry(source, node, classes)
        if line is not None:
            prefix, delimiter = _option(line, "env_prefix"), _option(line, "env_nested_delimiter")
            yield from _fields(source, node, prefix, delimiter, classes)


def _fields(
    source: Source, node: ast.ClassDef, prefix: str, delimiter: str, classes: Mapping[str, Class]
) -> Iterator[Variable]:
    for field in node.body:
        if not (isinstance(field, ast.AnnAssign) and isinstance(field.target, ast.Name)):
            continue
        name, default = _field(field, field.target.id, prefix)
        nested = classes.get(source.name_of(field.annotation)) if delimiter else None
        if nested is not None:
            yield from _fields(*nested, f"{name}{delimiter}", "", classes)
        else:
            how = f"{node.name}.{field.target.id}, pydantic-settings"
            held = field.target.id
            yield Variable(name=name, file=source.relative, line=field.lineno, default=default, how=how, field=held)


def _ancestry(source: Source, node: ast.ClassDef, classes: Mapping[str, Class], depth: int = 0) -> list[Class] | None:
    """The class and those that it inherits from, if they end in BaseSettings."""
    for base in node.bases:
        name = source.name_of(base)
        if name.rpartition(".")[2] == "BaseSettings" and name not in classes:
            return [(source, node)]
        above = classes.get(name)
        if above is not None and depth < _DEEPEST:
            line = _ancestry(*above, classes, depth + 1)
            if line is not None:
                return [(source, node), *line]
    return None


def _field(field: ast.AnnAssign, written: str, prefix: str) -> tuple[str, str]:
    """The variable of a field, and its default."""
    name, default = (prefix + written).upper(), string(field.value) or ""
    if isinstance(field.value, ast.Call):
        default = string(field.value.args[0]) or "" if field.value.args else ""
        for keyword in field.value.keywords:
            if keyword.arg in _ALIASES and (alias := string(keyword.value)):
                name = alias.upper()
            elif keyword.arg == "default":
                default = string(keyword.value) or default
    return name, default


def _option(line: list[Class], option: str) -> str:
    """An option of `model_config`, or of the older class Config, of the nearest class that has it."""
    for _, node in line:
        for inner in ast.walk(node):
            for key, value in _pairs(inner):
                if key == option and (text := string(value)):
                    return text
    return ""


def _pairs(node: ast.AST) -> Iterator[tuple[str | None, ast.expr]]:
    if isinstance(node, ast.keyword):
        yield node.arg, node.value
    elif isinstance(node, ast.Assign) and isinstance(node.targets[0], ast.Name):
        yield node.targets[0].id, node.value
    elif isinstance(node, ast.Dict):
        for key, value in zip(node.keys, node.values, strict=True):
            yield string(key), value


def string(node: ast.expr | None) -> str | None:
    """The text of a literal; of an f-string its beginning; None of anything else."""
    if isinstance(node, ast.Constant) and isinstance(node.value, str):
        return node.value
    if isinstance(node, ast.JoinedStr) and node.values:
        return string(node.values[0])  # f"postgresql+asyncpg://{user}...": its beginning names the driver
    return None
