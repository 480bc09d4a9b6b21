"""The application object: assigned in a module, or returned by a factory."""

from __future__ import annotations

import ast
from collections.abc import Iterator, Mapping

from seatrial.cli.detect.candidate import Candidate, ranked
from seatrial.cli.detect.entrypoints import Entrypoint, entrypoints
from seatrial.cli.detect.project import Project, Source

FRAMEWORKS: Mapping[str, str] = {
    "fastapi.FastAPI": "FastAPI",
    "fastapi.applications.FastAPI": "FastAPI",
    "starlette.applications.Starlette": "Starlette",
    "litestar.Litestar": "Litestar",
    "litestar.app.Litestar": "Litestar",
    "flask.Flask": "Flask",
    "flask.app.Flask": "Flask",
    "quart.Quart": "Quart",
    "apiflask.APIFlask": "Flask",
    "django.core.asgi.get_asgi_application": "Django",
    "django.core.wsgi.get_wsgi_application": "Django",
}
_USUAL_FILES = ("main.py", "app.py", "asgi.py", "wsgi.py", "server.py", "api.py", "__init__.py", "application.py")
_USUAL_NAMES = ("app", "application", "create_app", "get_app", "api", "make_app")
_STARTED, _OBJECT, _FACTORY, _SIDE, _PART = 100, 50, 40, -60, -30
_MOUNTS = ("starlette.routing.Mount", "werkzeug.middleware.dispatcher.DispatcherMiddleware")

Function = ast.FunctionDef | ast.AsyncFunctionDef


def apps(project: Project) -> tuple[Candidate, ...]:
    """Every app that an import path can name, the best first."""
    return ranked(every_app(project))


def every_app(project: Project) -> list[Candidate]:
    """The same in the order of the files: several of one import path are all there."""
    started = entrypoints(project)
    factories = {
        f"{source.module}.{function.name}": framework
        for source in project.sources
        for function in source.functions()
        if (framework := _made_by(source, function))
    }
    parts = mounted(project)
    found: list[Candidate] = []
    for source in project.sources:
        found.extend(_objects(source, factories, started, parts))
        found.extend(_factories(source, factories, started))
    return found


def mounted(project: Project) -> set[str]:
    """The full names of the apps that are mounted on another one."""
    return {name for source in project.sources for name in _mounted(source)}


def _mounted(source: Source) -> Iterator[str]:
    """Apps that are parts of another one: `app.mount("/api", api)`, `Mount("/api", app=api)`."""
    for call, name in source.calls():
        if name in _MOUNTS or name.rpartition(".")[2] == "mount":
            for value in (*call.args[1:], *(keyword.value for keyword in call.keywords)):
                if isinstance(value, (ast.Name, ast.Attribute)):
                    part = source.name_of(value)
                    yield part
                    yield f"{source.module}.{part}"


def _objects(
    source: Source, factories: dict[str, str], started: tuple[Entrypoint, ...], parts: set[str]
) -> Iterator[Candidate]:
    for name, value, line in source.assignments():
        if not isinstance(value, ast.Call):
            continue
        called = source.name_of(value.func)
        framework = FRAMEWORKS.get(called)
        if framework:
            why = f"{name} = {called.rpartition('.')[2]}(...)"
        elif called in factories:
            framework, why = (
                factories[called],
                f"{name} = {called.rpartition('.')[2]}(), which returns {factories[called]}",
            )
        else:
            continue
        score = _OBJECT + (5 if framework != "Django" or source.relative.endswith("asgi.py") else 0)
        if f"{source.module}.{name}" in parts:
            score, why = score + _PART, f"{why}, mounted on another app"
        yield _candidate(
            source, started, f"{source.module}:{name}", line=line, why=why, score=score, framework=framework
        )


def _factories(source: Source, factories: dict[str, str], started: tuple[Entrypoint, ...]) -> Iterator[Candidate]:
    for function in source.functions():
        framework = factories.get(f"{source.module}.{function.name}")
        if framework is None or isinstance(function, ast.AsyncFunctionDef):
            continue
        required = len(function.args.args) + len(function.args.posonlyargs) - len(function.args.defaults)
        if required > 0 or any(default is None for default in function.args.kw_defaults):
            continue  # it can't be called without arguments: an import path can't name what to pass
        why = f"{function.name}() returns {framework}"
        yield _candidate(
            source,
            started,
            f"{source.module}:{function.name}()",
            line=function.lineno,
            why=why,
            score=_FACTORY,
            framework=framework,
        )


def _candidate(
    source: Source, started: tuple[Entrypoint, ...], value: str, *, line: int, why: str, score: int, framework: str
) -> Candidate:
    name = value.rpartition(":")[2].removesuffix("()")
    score += 5 if name in _USUAL_NAMES else 0
    score += 3 if source.path.name in _USUAL_FILES else 0
    score += _SIDE if source.side else 0
    for entrypoint in started:
        if _starts(entrypoint.target, value, source):
            score += _STARTED
            why += f"; started as {entrypoint.target} in {entrypoint.file}:{entrypoint.line}"
            break
    return Candidate(value=value, file=source.relative, line=line, why=why, score=score, library=framework)


def _starts(target: str, value: str, source: Source) -> bool:
    """Whether a server's target means this app; a target may be seen from another folder than ours."""
    if target.endswith(".py"):
        return f"/{source.relative}".endswith("/" + target.removeprefix("./")) and not value.endswith("()")
    return f".{value}".endswith(f".{target}") or f".{value}".endswith(f".{target}()")


def _made_by(source: Source, function: Function) -> str | None:
    """The framework whose app this function returns."""
    annotated = FRAMEWORKS.get(source.name_of(function.returns))
    made: dict[str, str] = {}
    for node in ast.walk(function):
        if isinstance(node, (ast.Assign, ast.AnnAssign)) and isinstance(node.value, ast.Call):
            framework = FRAMEWORKS.get(source.name_of(node.value.func))
            targets = node.targets if isinstance(node, ast.Assign) else [node.target]
            if framework:
                made.update({target.id: framework for target in targets if isinstance(target, ast.Name)})
    for node in ast.walk(function):
        if not isinstance(node, ast.Return):
            continue
        if isinstance(node.value, ast.Name) and node.value.id in made:
            return made[node.value.id]
        if isinstance(node.value, ast.Call) and (framework := FRAMEWORKS.get(source.name_of(node.value.func))):
            return framework
    return annotated
