"""The dependency that yields a database session to the app's endpoints."""

from __future__ import annotations

import ast
from collections import Counter
from collections.abc import Iterator

from seatrial.cli.detect.candidate import Candidate, ranked
from seatrial.cli.detect.project import Project, Source

_SESSIONS = ("Session", "AsyncSession", "scoped_session", "async_scoped_session")
_MAKERS = ("sessionmaker", "async_sessionmaker", "scoped_session", "async_scoped_session")
_GIVEN = (*_SESSIONS, "sessionmaker", "async_sessionmaker")
"""What a dependency may give: a session, or what makes them."""
_INJECTORS = ("fastapi.Depends", "fastapi.params.Depends", "fastapi.Security", "litestar.di.Provide")
_ENGINES = ("create_async_engine", "SQLAlchemyAsyncConfig")
"""What opens an async engine: SQLAlchemy's function, or the plugin that Litestar has for it."""
_USUAL_NAMES = ("get_db", "get_session", "get_async_session", "get_db_session", "db_session", "get_async_db")

Function = ast.FunctionDef | ast.AsyncFunctionDef


def sessions(project: Project) -> tuple[Candidate, ...]:
    """Functions that FastAPI or Litestar injects and that hand out a session, the best first."""
    makers = {maker for source in project.sources for maker in _makers(source)}
    injected = [each for source in project.sources for each in _injected(source)]
    used, by = Counter(name for name, _ in injected), dict(injected)
    found: list[Candidate] = []
    for source in project.sources:
        for function in source.functions():
            full = f"{source.module}.{function.name}"
            known = full if used[full] else _re_exported(full, used)
            candidate = _judge(source, function, used[known], makers, by.get(known, ""))
            if candidate is not None:
                found.append(candidate)
    return ranked(found)


def _judge(source: Source, function: Function, uses: int, makers: set[str], injector: str) -> Candidate | None:
    if not uses or source.side:
        return None
    reasons = []
    annotation = _session_in(function.returns, source)
    made = next((name for name in _called(source, function) if name in makers or _is_session(name)), None)
    if annotation:
        article = "an" if annotation[0] in "Aa" else "a"
        reasons.append(f"it is annotated to give {article} {annotation}")
    if made:
        reasons.append(f"it opens {made.rpartition('.')[2]}()")
    if not reasons:
        return None
    yields = any(isinstance(node, (ast.Yield, ast.YieldFrom)) for node in ast.walk(function))
    asynchronous = annotation in ("AsyncSession", "async_sessionmaker") or isinstance(function, ast.AsyncFunctionDef)
    score = 10 * len(reasons) + min(uses, 9) + (10 if yields else 0) + (5 if function.name in _USUAL_NAMES else 0)
    score -= 20 if any(True for _ in _injected_in(source, function)) else 0  # it only passes on another's session
    times = "once" if uses == 1 else f"{uses} times"
    return Candidate(
        value=f"{source.module}:{function.name}",
        file=source.relative,
        line=function.lineno,
        why=f"{' and '.join(reasons)}; injected {times} by {injector}()",
        score=score,
        is_async=asynchronous,
    )


def _makers(source: Source) -> Iterator[str]:
    """Names of session factories: `SessionLocal = sessionmaker(...)`."""
    for name, value, _ in source.assignments():
        call = value.value if isinstance(value, ast.Subscript) else value
        if isinstance(call, ast.Call) and source.name_of(call.func).rpartition(".")[2] in _MAKERS:
            yield f"{source.module}.{name}"


def _called(source: Source, function: Function) -> Iterator[str]:
    for node in ast.walk(function):
        if isinstance(node, ast.Call):
            name = source.name_of(node.func)
            yield name
            yield name.removesuffix(".begin")  # `async with session_maker.begin() as session`


def _is_session(name: str) -> bool:
    module, _, last = name.rpartition(".")
    return last in _SESSIONS and module.partition(".")[0] in ("sqlalchemy", "sqlmodel")


def _session_in(annotation: ast.expr | None, source: Source) -> str | None:
    """The kind of session in `Iterator[Session]`, also where it is quoted."""
    if annotation is None:
        return None
    for node in ast.walk(annotation):
        if isinstance(node, (ast.Name, ast.Attribute)):
            last = source.name_of(node).rpartition(".")[2]
            if last in _GIVEN:
                return last
        if isinstance(node, ast.Constant) and isinstance(node.value, str):
            for name in reversed(_GIVEN):
                if name in node.value:
                    return name
    return None


def opens_async_engines(project: Project) -> bool:
    """Whether the product opens async engines of SQLAlchemy, and no other ones."""
    called = {name.rpartition(".")[2] for source in project.sources if not source.side for _, name in source.calls()}
    return bool(called & set(_ENGINES)) and "create_engine" not in called


def uses_sqlalchemy(project: Project) -> bool:
    """Whether the product imports it, or what is built on it."""
    roots = {
        name.partition(".")[0] for source in project.sources if not source.side for name in source.imports.values()
    }
    return bool(roots & {"sqlalchemy", "sqlmodel", "advanced_alchemy", "flask_sqlalchemy"})


def _injected(source: Source) -> Iterator[tuple[str, str]]:
    for node in ast.walk(source.tree):
        yield from _dependency(source, node)


def _injected_in(source: Source, function: Function) -> Iterator[tuple[str, str]]:
    for node in ast.walk(function.args):
        yield from _dependency(source, node)


def _dependency(source: Source, node: ast.AST) -> Iterator[tuple[str, str]]:
    """The full name of what is injected, and by what: "Depends"."""
    if isinstance(node, ast.Call) and (injector := source.name_of(node.func)) in _INJECTORS and node.args:
        name = source.name_of(node.args[0])
        if name:
            yield name, injector.rpartition(".")[2]


def _re_exported(full: str, used: Counter[str]) -> str:
    """`app.db.get_db` where `app.db.session.get_db` is what was defined: a package that passes a name on."""
    module, _, name = full.rpartition(".")
    while "." in module:
        module = module.rpartition(".")[0]
        if used[f"{module}.{name}"]:
            return f"{module}.{name}"
    return full
