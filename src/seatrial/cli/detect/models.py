"""The metadata of a project's tables: a declarative base, SQLModel, or Flask-SQLAlchemy's `db`."""

from __future__ import annotations

import ast
from collections import Counter
from collections.abc import Iterator

from seatrial.cli.detect.candidate import Candidate, ranked
from seatrial.cli.detect.project import Project, Source

_BASES = ("DeclarativeBase", "DeclarativeBaseNoMeta", "AsyncAttrs", "MappedAsDataclass")
_FACTORIES = ("declarative_base", "automap_base")


def models(project: Project) -> tuple[Candidate, ...]:
    """What `schema` can name so that its tables are created, the best first."""
    heirs = Counter(parent for source in project.sources for parent in _parents(source))
    found: list[Candidate] = []
    for source in project.sources:
        if not source.side:
            found.extend(_bases(source, heirs))
    return ranked([*found, *_sqlmodel(project)])


def is_flask(project: Project) -> Candidate | None:
    """Flask-SQLAlchemy's object, which reads its URL from the app's configuration."""
    for source in project.sources:
        for name, value, line in source.assignments():
            if isinstance(value, ast.Call) and source.name_of(value.func).startswith("flask_sqlalchemy."):
                value_path = f"{source.module}:{name}"
                return Candidate(value=value_path, file=source.relative, line=line, why="Flask-SQLAlchemy", score=0)
    return None


def _bases(source: Source, heirs: Counter[str]) -> Iterator[Candidate]:
    for node in source.tree.body:
        if isinstance(node, ast.ClassDef):
            parents = [source.name_of(base) for base in node.bases]
            direct = [name for name in parents if name.rpartition(".")[2] in _BASES]
            if any(name.rpartition(".")[2].startswith("DeclarativeBase") for name in direct):
                why = f"class {node.name}({direct[-1].rpartition('.')[2]})"
                yield _base(source, node.name, node.lineno, why, heirs)
    for name, value, line in source.assignments():
        if not isinstance(value, ast.Call):
            continue
        called = source.name_of(value.func)
        if called.rpartition(".")[2] in _FACTORIES:
            yield _base(source, name, line, f"{name} = {called.rpartition('.')[2]}()", heirs)
        elif called == "flask_sqlalchemy.SQLAlchemy":
            yield _base(source, name, line, f"{name} = SQLAlchemy(), Flask-SQLAlchemy's", heirs)
        elif called in ("sqlalchemy.MetaData", "sqlalchemy.schema.MetaData"):
            yield _base(source, name, line, f"{name} = MetaData()", heirs, score=-5)


def _base(source: Source, name: str, line: int, why: str, heirs: Counter[str], *, score: int = 0) -> Candidate:
    count = sum(
        number
        for parent, number in heirs.items()
        if parent.split(".")[-1] == name or parent.split(".")[-2:] == [name, "Model"]
    )
    return Candidate(
        value=f"{source.module}:{name}",
        file=source.relative,
        line=line,
        why=f"{why}; {count} {'class inherits' if count == 1 else 'classes inherit'} from it",
        score=score + 10 + count,
    )


def _sqlmodel(project: Project) -> Iterator[Candidate]:
    """SQLModel's metadata is the library's own: it is named through the module that holds the most tables."""
    for source in project.sources:
        if source.side:
            continue
        tables = [node for node in source.tree.body if isinstance(node, ast.ClassDef) and _is_table(node)]
        name = next((local for local, full in source.imports.items() if full == "sqlmodel.SQLModel"), None)
        if tables and name:
            yield Candidate(
                value=f"{source.module}:{name}",
                file=source.relative,
                line=tables[0].lineno,
                why=f"SQLModel, with {len(tables)} {'table' if len(tables) == 1 else 'tables'} in this module",
                score=10 + len(tables),
            )


def _is_table(node: ast.ClassDef) -> bool:
    return any(
        keyword.arg == "table" and isinstance(keyword.value, ast.Constant) and keyword.value.value is True
        for keyword in node.keywords
    )


def _parents(source: Source) -> Iterator[str]:
    for node in ast.walk(source.tree):
        if isinstance(node, ast.ClassDef):
            yield from filter(None, map(source.name_of, node.bases))
