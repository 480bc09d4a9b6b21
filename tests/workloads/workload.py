"""A workload: a layer that goes into the template, and tests that are run on a copy of it."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from .split import Statement, split

WRITES = frozenset(
    [
        "ABORT",
        "ANALYZE",
        "BEGIN",
        "CALL",
        "CHECKPOINT",
        "CLOSE",
        "CLUSTER",
        "COMMIT",
        "COPY",
        "DEALLOCATE",
        "DECLARE",
        "DELETE",
        "DISCARD",
        "DO",
        "END",
        "EXECUTE",
        "EXPLAIN",
        "FETCH",
        "INSERT",
        "LISTEN",
        "LOAD",
        "LOCK",
        "MERGE",
        "MOVE",
        "NOTIFY",
        "PREPARE",
        "REFRESH",
        "REINDEX",
        "RELEASE",
        "RESET",
        "ROLLBACK",
        "SAVEPOINT",
        "SELECT",
        "SET",
        "SHOW",
        "START",
        "TABLE",
        "TRUNCATE",
        "UNLISTEN",
        "UPDATE",
        "VACUUM",
        "VALUES",
        "WITH",
    ]
)
"""First words of statements that are no DDL."""
SEEDS = frozenset({"INSERT", "COPY"})
SERVER = re.compile(
    r"\s*((CREATE|ALTER|DROP)\s+(ROLE|USER|GROUP|DATABASE|TABLESPACE|SUBSCRIPTION)\b|ALTER\s+SYSTEM|DROP\s+OWNED|REASSIGN"
    r"|CHECKPOINT|SET\s+(SESSION\s+AUTHORIZATION|ROLE))",
    re.IGNORECASE,
)
"""Statements about the whole server: a layer can't hold them."""
MARK = re.compile(r"^-- test: (.+)$", re.MULTILINE)


@dataclass(frozen=True, slots=True, kw_only=True)
class Test:
    """Statements that one test runs, one by one; errors are part of the life of a test."""

    __test__ = False

    name: str
    statements: tuple[Statement, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Workload:
    """One file."""

    name: str
    layer: tuple[Statement, ...]
    tests: tuple[Test, ...]


def read(path: Path, *, seeded: bool = False) -> Workload:
    """Read a file. Where it has lines `-- test: NAME`, these divide it; else its DDL is the layer.

    With `seeded` the INSERTs and COPYs of such a file are in the layer as well as in the tests, so that its tables
    have rows that the tests change.
    """
    script = path.read_text(encoding="utf-8", errors="replace").replace("\x00", "")
    parts = MARK.split(script)
    if len(parts) > 1:
        return Workload(
            name=path.stem,
            layer=tuple(split(parts[0])),
            tests=tuple(
                Test(name=f"{path.stem}: {name.strip()}", statements=tuple(split(body)))
                for name, body in zip(parts[1::2], parts[2::2], strict=True)
            ),
        )
    statements = [one for one in split(script) if not SERVER.match(one.text)]
    layer = [one for one in statements if _layer(one, seeded=seeded)]
    return Workload(name=path.stem, layer=tuple(layer), tests=tuple(_runs(path.stem, statements)))


def folder(path: Path, *, seeded: bool = False) -> list[Workload]:
    """Every file of a folder, in order of their names."""
    return [read(file, seeded=seeded) for file in sorted(path.glob("*.sql"))]


def _layer(statement: Statement, *, seeded: bool) -> bool:
    first = statement.words[0] if statement.words else ""
    return (first not in WRITES and first != "DROP") or (seeded and first in SEEDS)


def _runs(name: str, statements: Sequence[Statement]) -> Iterator[Test]:
    """Each run of statements between two pieces of DDL is a test."""
    run: list[Statement] = []
    count = 0
    for one in [*statements, None]:
        if one is not None and one.words and one.words[0] in WRITES:
            run.append(one)
        elif run:
            count += 1
            yield Test(name=f"{name} #{count}", statements=tuple(run))
            run = []
