"""Import a project's models: only then does its metadata know all tables."""

from __future__ import annotations

import importlib
import re
import sys
from collections.abc import Callable
from collections.abc import Set as AbstractSet
from pathlib import Path
from typing import Any

from seatrial.core.redact import redact
from seatrial.migrators.source.modules import Modules, folder_of

_NEVER = frozenset(("alembic", "migrations", "versions", "tests", "test", "node_modules", "venv", "env"))
"""Folders whose modules are no part of the running app."""

_NEVER_AT_TOP = frozenset(("benchmarks", "bin", "build", "dist", "docs", "examples", "scripts", "tools"))
"""The same, but only beside the app's packages: an app may well have a package `tools`."""

_NO_MODEL = re.compile(r"test_.*|.*_test|conftest|setup|manage|__main__")
_DEFINES = re.compile(r"^class \w|\bTable\(", re.MULTILINE)


def import_models(reference: str, owner: Any, root: Path, note: Callable[[str], None]) -> None:
    """Import each of the project's modules that may define a table on `owner`, the object that `reference` names.

    These are the modules that import the one which holds `owner` (or, where that is a library's, as SQLModel is,
    the library), directly or through others of the project, and that define a class or a Table. Modules of
    tests, migrations and scripts are left alone. One that fails to import is noted, with the reason.
    """
    holder = reference.partition(":")[0]
    modules = Modules(root)
    path = modules.find(holder)
    if path is None:
        return
    folder = folder_of(holder, path)
    skipped = _NEVER_AT_TOP | ({"src"} if folder == root and holder.split(".")[0] != "src" else set())
    targets = {holder}
    if isinstance(owner, type) and modules.find(owner.__module__) is None:
        targets.add(owner.__module__.split(".")[0])
    for name in sorted(_candidates(modules, folder, skipped, targets)):
        if name not in sys.modules:
            _import(name, note)


def _candidates(modules: Modules, folder: Path, skipped: AbstractSet[str], targets: set[str]) -> set[str]:
    paths = {_name(path, folder): path for path in _files(folder, skipped)}
    importers: dict[str, set[str]] = {}
    for name, path in paths.items():
        for imported in modules.imports(name, path):
            importers.setdefault(imported, set()).add(name)
            # "sqlmodel.Field" and "app.database.Base" import the module, too.
            importers.setdefault(imported.rpartition(".")[0], set()).add(name)
    reached: set[str] = set()
    waiting = [*targets]
    while waiting:
        new = importers.get(waiting.pop(), set()) - reached
        reached |= new
        waiting += new
    return {name for name in reached if _DEFINES.search(paths[name].read_text(encoding="utf-8", errors="replace"))}


def _files(folder: Path, skipped: AbstractSet[str] = frozenset()) -> list[Path]:
    """The Python files of the app, without entering folders that hold none of it."""
    found = []
    for path in sorted(folder.iterdir()):
        if path.is_dir():
            if path.name.isidentifier() and path.name not in _NEVER | skipped:
                found += _files(path)
        elif path.suffix == ".py" and not _NO_MODEL.fullmatch(path.stem):
            found.append(path)
    return found


def _name(path: Path, folder: Path) -> str:
    return ".".join(path.relative_to(folder).with_suffix("").parts).removesuffix(".__init__")


def _import(name: str, note: Callable[[str], None]) -> None:
    try:
        importlib.import_module(name)
    except (Exception, SystemExit) as error:  # noqa: BLE001 - whatever a module of the project's may raise
        note(redact(f"{name} was not imported while collecting models: {type(error).__name__}: {error}"))
