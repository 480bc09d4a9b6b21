"""The files of a project, parsed and never imported, and the name under which each can be imported."""

from __future__ import annotations

import ast
import os
import re
import warnings
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from seatrial.cli.detect.roots import import_roots

_SKIPPED = frozenset(
    {
        "node_modules",
        "venv",
        "env",
        "virtualenv",
        "site-packages",
        "__pycache__",
        "build",
        "dist",
        "target",
        ".git",
        ".tox",
        ".nox",
        "vendor",
    }
)
_MOST_FILES = 4_000
_LARGEST = 1_000_000
_DEPENDENCY_FILES = ("pyproject.toml", "setup.cfg", "setup.py", "Pipfile")
_REQUIREMENTS = re.compile(r"requirements[\w.-]*\.(txt|in)")
_SIDE = frozenset(
    {"tests", "test", "examples", "example", "docs", "doc", "scripts", "benchmarks", "bench", "tools", "e2e", "samples"}
)


@dataclass(frozen=True, kw_only=True)
class Source:
    """One Python file of the project."""

    path: Path
    relative: str
    module: str
    tree: ast.Module

    @property
    def side(self) -> bool:
        """Whether it stands beside the product: a test, an example, a script."""
        parts = Path(self.relative).parts
        return any(part in _SIDE for part in parts[:-1]) or parts[-1].startswith(("test_", "conftest"))

    @cached_property
    def imports(self) -> Mapping[str, str]:
        """What each imported name stands for: {"FastAPI": "fastapi.FastAPI", "sa": "sqlalchemy"}."""
        found: dict[str, str] = {}
        for node in ast.walk(self.tree):
            if isinstance(node, ast.Import):
                for alias in node.names:
                    found[alias.asname or alias.name.partition(".")[0]] = (
                        alias.name if alias.asname else alias.name.partition(".")[0]
                    )
            elif isinstance(node, ast.ImportFrom):
                origin = self._origin(node)
                for alias in node.names:
                    found[alias.asname or alias.name] = f"{origin}.{alias.name}"
        return found

    def name_of(self, node: ast.AST | None) -> str:
        """The full dotted name of an expression: "fastapi.FastAPI"; empty where it is no name."""
        if isinstance(node, ast.Subscript):
            return self.name_of(node.value)
        if isinstance(node, ast.Attribute):
            before = self.name_of(node.value)
            return f"{before}.{node.attr}" if before else ""
        if isinstance(node, ast.Name):
            return self.imports.get(node.id, f"{self.module}.{node.id}")
        return ""

    def calls(self) -> Iterator[tuple[ast.Call, str]]:
        """Every call in the file, with the full name of what is called."""
        for node in ast.walk(self.tree):
            if isinstance(node, ast.Call):
                yield node, self.name_of(node.func)

    def functions(self) -> Iterator[ast.FunctionDef | ast.AsyncFunctionDef]:
        """The functions of the module itself: what an import path can name."""
        for node in self.tree.body:
            if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef)):
                yield node

    def assignments(self) -> Iterator[tuple[str, ast.expr, int]]:
        """`name = value` of the module itself, one level of `if` and `try` included: name, value, line."""
        for node in _opened(self.tree.body):
            if isinstance(node, ast.Assign):
                for target in node.targets:
                    if isinstance(target, ast.Name):
                        yield target.id, node.value, node.lineno
            elif isinstance(node, ast.AnnAssign) and isinstance(node.target, ast.Name) and node.value:
                yield node.target.id, node.value, node.lineno

    def _origin(self, node: ast.ImportFrom) -> str:
        if not node.level:
            return node.module or ""
        package = self.module.split(".")
        if self.path.name != "__init__.py":
            package = package[:-1]
        package = package[: len(package) - node.level + 1]
        return ".".join([*package, *([node.module] if node.module else [])])


@dataclass(frozen=True, kw_only=True)
class Project:
    """What lies under `root`: Python that could be parsed, and the other files by name."""

    root: Path
    sources: tuple[Source, ...]
    files: tuple[str, ...]
    """Every file, relative, with slashes; those of virtual environments and caches are left out."""
    unparsed: tuple[tuple[str, int], ...]
    """Python files that this Python can't parse, with the line; nothing in them was seen."""
    roots: tuple[str, ...]
    """Folders from which its modules are imported, relative; "" is the root itself."""

    def text(self, relative: str) -> str:
        """The content of a file; what is no UTF-8 is replaced, what can't be read is empty."""
        try:
            return (self.root / relative).read_text("utf-8", errors="replace")[:_LARGEST]
        except OSError:
            return ""

    def named(self, *names: str) -> Iterator[str]:
        """Files with one of these names, the nearest to the root first."""
        found = [file for file in self.files if file.rpartition("/")[2] in names]
        yield from sorted(found, key=lambda file: (file.count("/"), file))

    def requirements(self) -> Iterator[tuple[str, int, str]]:
        """The lines of the files that say what the project depends on: file, number, text."""
        for file in self.files:
            name = file.rpartition("/")[2]
            if name in _DEPENDENCY_FILES or _REQUIREMENTS.fullmatch(name):
                for number, line in enumerate(self.text(file).splitlines(), start=1):
                    yield file, number, line


def look(root: Path) -> Project:
    """Read the project under `root`. Files that do not parse are left out: they can't be imported either."""
    files = tuple(_walk(root))
    trees: dict[str, ast.Module] = {}
    unparsed: list[tuple[str, int]] = []
    for relative in files:
        if relative.endswith(".py"):
            parsed = _parsed(root / relative)
            if isinstance(parsed, ast.Module):
                trees[relative] = parsed
            else:
                unparsed.append((relative, parsed))
    roots = import_roots(root, trees)
    sources = tuple(
        Source(path=root / relative, relative=relative, module=_module(relative, roots), tree=tree)
        for relative, tree in trees.items()
    )
    return Project(root=root, sources=sources, files=files, unparsed=tuple(unparsed), roots=roots)


def _walk(root: Path) -> Iterator[str]:
    count = 0
    for folder, below, names in os.walk(root):
        below[:] = sorted(
            name
            for name in below
            if name not in _SKIPPED
            and not (name.startswith(".") and name not in (".github", ".devcontainer"))
            and not name.endswith(".egg-info")
            and not (Path(folder, name) / "pyvenv.cfg").exists()
        )
        for name in sorted(names):
            count += 1
            if count > _MOST_FILES:
                return
            yield Path(folder, name).relative_to(root).as_posix()


def _parsed(path: Path) -> ast.Module | int:
    """The file's tree, or the line at which it can't be parsed; 0 where no line is to blame."""
    try:
        content = path.read_bytes()
        if len(content) > _LARGEST:
            return 0
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # a wrong escape in somebody's string is not for us to tell
            return ast.parse(content)
    except SyntaxError as error:
        return error.lineno or 0
    except (OSError, ValueError, RecursionError):
        return 0


def _module(relative: str, roots: tuple[str, ...]) -> str:
    folder = max((root for root in roots if not root or relative.startswith(f"{root}/")), key=len, default="")
    inside = relative[len(folder) + 1 :] if folder else relative
    return inside.removesuffix(".py").removesuffix("/__init__").replace("/", ".")


def _opened(body: list[ast.stmt]) -> Iterator[ast.stmt]:
    for node in body:
        yield node
        if isinstance(node, ast.If):
            yield from node.body
            yield from node.orelse
        elif isinstance(node, ast.Try):
            yield from node.body


def line_at(text: str, position: int) -> int:
    """The number of the line, from 1, that holds the character at `position`."""
    return text.count("\n", 0, position) + 1
