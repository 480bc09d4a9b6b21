"""Fixtures of a project that do what Seatrial does: what each leaves open, what can be deleted, what can be adapted."""

from __future__ import annotations

import ast
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass

from seatrial.cli.detect.candidate import Candidate
from seatrial.cli.detect.project import Project, Source

Function = ast.FunctionDef | ast.AsyncFunctionDef


@dataclass(frozen=True, slots=True, kw_only=True)
class Pattern:
    """One way of isolating tests by hand, as it was found."""

    name: str
    file: str
    line: int
    fixture: str
    consequence: str
    instead: str

    @property
    def place(self) -> str:
        """Where it stands: "tests/conftest.py:12"."""
        return f"{self.file}:{self.line}"


@dataclass(frozen=True, slots=True, kw_only=True)
class _Rule:
    name: str
    consequence: str
    instead: str


_ROLLBACKS: Mapping[str, _Rule] = {
    "savepoint": _Rule(
        name='an outer transaction, join_transaction_mode="create_savepoint"',
        consequence="holds, on one connection: a second connection of the app does not see the test's rows",
        instead='delete it; isolation = "rollback" does the same, and the default "reset" lets the app really commit',
    ),
    "listener": _Rule(
        name="the recipe of SQLAlchemy 1.x, with a listener that reopens savepoints",
        consequence="after the app's rollback the fixtures' rows are lost, and after an expected error commits leak",
        instead="delete it; Seatrial undoes what was committed",
    ),
    "outer": _Rule(
        name="an outer transaction with SQLAlchemy's default join mode",
        consequence="after the app's rollback the fixtures' rows are lost, and what is committed later leaks",
        instead="delete it; Seatrial undoes what was committed",
    ),
    "nested": _Rule(
        name="session.begin_nested(), rolled back at the end",
        consequence="every commit of the app leaks into the next test",
        instead="delete it; Seatrial undoes what was committed",
    ),
    "plain": _Rule(
        name="Session(engine), rolled back at the end",
        consequence="every commit of the app leaks into the next test",
        instead="delete it; Seatrial undoes what was committed",
    ),
}

_OTHERS: Mapping[str, _Rule] = {
    "testcontainers": _Rule(
        name="testcontainers",
        consequence="needs Docker wherever the tests run",
        instead="delete it; the server comes from a wheel",
    ),
    "pytest_postgresql": _Rule(
        name="pytest-postgresql",
        consequence="needs PostgreSQL installed, and a server for each worker",
        instead="delete it; one server is shared by all workers",
    ),
    "sqlite": _Rule(
        name="SQLite in memory in the place of the real database",
        consequence="constraints, types and transactions are not those of production",
        instead="delete it; the tests get the real database",
    ),
    "ddl": _Rule(
        name="create_all and drop_all in a fixture",
        consequence="the tables are made anew for every test or run, and not by the migrations of production",
        instead="delete it; `schema` makes them once, as a template",
    ),
    "emptying": _Rule(
        name="tables emptied after each test",
        consequence="costs a TRUNCATE or DELETE of every table, loses seed data, and runs on no parallel worker",
        instead="delete it; only what a test wrote is undone",
    ),
    "override": _Rule(
        name="app.dependency_overrides set by hand, with the test's own session",
        consequence="test and app share one session, so a missing commit is never noticed",
        instead="delete it; `override` gives each request a session of its own",
    ),
    "client": _Rule(
        name="an HTTP client of the app",
        consequence="",
        instead="delete it if it does nothing else: `client` is always there (a fixture of yours by that name wins)",
    ),
}


_ADAPTED: Mapping[str, Callable[[str], bool]] = {
    "testcontainers": lambda name: (
        name.startswith("testcontainers.")
        and name.endswith((".PostgresContainer", ".RedisContainer", ".AsyncRedisContainer"))
    ),
    "pytest-postgresql": lambda name: name.partition(".")[0] == "pytest_postgresql",
    "pytest-databases": lambda name: name.startswith("pytest_databases.docker.postgres"),
}
"""Tools that `adapt` knows, and whether a name is of what it answers."""
_FIXTURES = ("postgresql", "postgresql_proc")
"""Those of pytest-postgresql's own, which are there without an import."""


def adapted(project: Project) -> tuple[Candidate, ...]:
    """Tools whose servers the suite starts, and that `adapt` answers by ours: the first mention of each."""
    installed = any("pytest-postgresql" in line for _, _, line in project.requirements())
    found: dict[str, Candidate] = {}
    for source in project.sources:
        for name, line in _mentions(source, fixtures=installed):
            for tool, holds in _ADAPTED.items():
                if tool not in found and holds(name):
                    why = "the tests use it; servers of ours answer until its fixtures are gone"
                    found[tool] = Candidate(value=tool, file=source.relative, line=line, why=why, score=0)
    return tuple(found[tool] for tool in _ADAPTED if tool in found)


def _mentions(source: Source, *, fixtures: bool) -> Iterator[tuple[str, int]]:
    """Full names that a file imports, loads as plugins or, with `fixtures`, asks for in its tests; and the line."""
    for node in ast.walk(source.tree):
        if isinstance(node, ast.ImportFrom) and not node.level:
            yield from ((f"{node.module}.{alias.name}", node.lineno) for alias in node.names)
        elif isinstance(node, ast.Import):
            yield from ((alias.name, node.lineno) for alias in node.names)
        elif isinstance(node, ast.Call) and (name := source.name_of(node.func)):
            yield name, node.lineno
        elif isinstance(node, ast.Constant) and isinstance(node.value, str):
            yield node.value, node.lineno
        elif fixtures and isinstance(node, ast.arg) and node.arg in _FIXTURES:
            yield f"pytest_postgresql.{node.arg}", node.lineno


def patterns(project: Project) -> tuple[Pattern, ...]:
    """What the project's conftest files and test modules do by hand, in the order of the files."""
    found: list[Pattern] = []
    for source in project.sources:
        if source.side or source.path.name == "conftest.py":
            found.extend(_in_source(source))
    return tuple(found)


def _in_source(source: Source) -> Iterator[Pattern]:
    for function in ast.walk(source.tree):
        if isinstance(function, (ast.FunctionDef, ast.AsyncFunctionDef)) and _is_fixture(source, function):
            facts = _Facts(source, function)
            rollback = facts.rollback()
            if rollback:
                yield _pattern(_ROLLBACKS[rollback], source, function)
            for name, holds in _LOOKS.items():
                if holds(facts):
                    yield _pattern(_OTHERS[name], source, function)


def _pattern(rule: _Rule, source: Source, function: Function) -> Pattern:
    return Pattern(
        name=rule.name,
        file=source.relative,
        line=function.lineno,
        fixture=function.name,
        consequence=rule.consequence,
        instead=rule.instead,
    )


def _is_fixture(source: Source, function: Function) -> bool:
    for decorator in function.decorator_list:
        called = decorator.func if isinstance(decorator, ast.Call) else decorator
        if source.name_of(called) in ("pytest.fixture", "pytest_asyncio.fixture", "pytest.yield_fixture"):
            return True
    return False


class _Facts:
    """What one fixture calls, names and says."""

    def __init__(self, source: Source, function: Function) -> None:
        nodes = list(ast.walk(function))
        calls = [node for node in nodes if isinstance(node, ast.Call)]
        self.called = {source.name_of(call.func) for call in calls} - {""}
        self.methods = {call.func.attr for call in calls if isinstance(call.func, ast.Attribute)}
        self.begun = {
            call.func.value.id
            for call in calls
            if isinstance(call.func, ast.Attribute)
            and call.func.attr == "begin"
            and isinstance(call.func.value, ast.Name)
        }
        self.names = {node.attr for node in nodes if isinstance(node, ast.Attribute)}
        self.strings = {node.value for node in nodes if isinstance(node, ast.Constant) and isinstance(node.value, str)}
        self.keywords = {keyword.arg for call in calls for keyword in call.keywords}
        decorators = {source.name_of(getattr(node, "func", node)) for node in nodes if isinstance(node, ast.expr)}
        self.listens = any(name.endswith(("event.listens_for", "event.listen")) for name in decorators)
        self.yields = any(isinstance(node, (ast.Yield, ast.YieldFrom)) for node in nodes)
        self.makes_session = any(
            name.rpartition(".")[2]
            in ("Session", "AsyncSession", "sessionmaker", "async_sessionmaker", "scoped_session")
            or "session" in name.rpartition(".")[2].lower()
            for name in self.called
        )

    def rollback(self) -> str | None:
        """Which of the known rollback patterns this is, if it is one."""
        if not (self.yields and self.makes_session):
            return None
        outer = bool(self.begun) and ("connect" in self.methods or "bind" in self.keywords)
        if "create_savepoint" in self.strings:
            return "savepoint"
        if self.listens and ("begin_nested" in self.methods or "after_transaction_end" in self.strings):
            return "listener"
        if "rollback" not in self.methods:
            return None
        if outer:
            return "outer"
        return "nested" if "begin_nested" in self.methods else "plain"


def _in_memory(facts: _Facts) -> bool:
    engines = {"create_engine", "create_async_engine"}
    sqlite = any(text.startswith("sqlite") and (":memory:" in text or text.endswith("://")) for text in facts.strings)
    return sqlite and any(name.rpartition(".")[2] in engines for name in facts.called)


def _empties(facts: _Facts) -> bool:
    said = any(text.lstrip().upper().startswith(("TRUNCATE", "DELETE FROM")) for text in facts.strings)
    return said or {"sorted_tables", "delete"} <= facts.names


_LOOKS: Mapping[str, Callable[[_Facts], bool]] = {
    "testcontainers": lambda facts: any(name.startswith("testcontainers.") for name in facts.called),
    "pytest_postgresql": lambda facts: any(name.startswith("pytest_postgresql.") for name in facts.called),
    "sqlite": _in_memory,
    "ddl": lambda facts: bool({"create_all", "drop_all"} & facts.names),
    "emptying": _empties,
    "override": lambda facts: "dependency_overrides" in facts.names,
    "client": lambda facts: bool({"TestClient", "AsyncClient"} & {name.rpartition(".")[2] for name in facts.called}),
}
