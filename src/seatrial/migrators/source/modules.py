"""Which modules of a project a module imports, read from the source: nothing is imported, and little parsed.

A regular expression is a hundred times faster than a syntax tree. It may find an import that is none (in a
docstring), never miss one that is written as a statement; what is not a file of the project is dropped.
Imports by a computed name (`importlib.import_module(name)`) are not seen.
"""

from __future__ import annotations

import re
import sys
import sysconfig
from collections.abc import Iterable, Iterator
from pathlib import Path

from seatrial.core.importing import is_installed

_COMMENT = re.compile(r"#[^\n]*")
_IMPORT = re.compile(
    r"(?:^|[:;])[ \t]*"
    r"(?:from\b[ \t]*(?P<source>\.*[ \t]*[\w.]*)[ \t]*\bimport\b[ \t]*(?P<names>\([^)]*\)|(?:\\\r?\n|[^\n;])*)"
    r"|import[ \t]+(?P<modules>(?:\\\r?\n|[^\n;])*))",
    re.MULTILINE,
)


class Modules:
    """The modules of one project: files below its root, below its folder `src`, and wherever else nothing is installed.

    The last are what `pythonpath` of pytest names, and neighbours in one repository that are installed as they stand.
    What was read once is remembered, for as long as this object is.
    """

    def __init__(self, root: Path) -> None:
        self._folders = [folder for folder in dict.fromkeys((root, root / "src", *_import_path())) if folder.is_dir()]
        self._found: dict[str, Path | None] = {}
        self._imports: dict[tuple[str, Path], frozenset[str]] = {}

    def find(self, name: str) -> Path | None:
        """The file of a module, or the `__init__.py` of a package; None if it is not the project's."""
        if name not in self._found:
            self._found[name] = self._looked_for(name)
        return self._found[name]

    def imports(self, name: str, path: Path) -> frozenset[str]:
        """All names that the module `name` may import, whoever's: "app.models" and "app.models.User" alike."""
        if (name, path) not in self._imports:
            package = name if path.name == "__init__.py" else name.rpartition(".")[0]
            source = path.read_text(encoding="utf-8", errors="replace")
            self._imports[name, path] = frozenset(imported(source, package))
        return self._imports[name, path]

    def closure(self, names: Iterable[str]) -> dict[str, Path]:
        """These modules, the packages around them, and all of the project's that they import, one through another."""
        found: dict[str, Path] = {}
        waiting = list(names)
        while waiting:
            name = waiting.pop()
            if name in found or not name:
                continue
            waiting.append(name.rpartition(".")[0])
            path = self.find(name)
            if path is not None:
                found[name] = path
                waiting.extend(self.imports(name, path))
        return found

    def _looked_for(self, name: str) -> Path | None:
        for folder in self._folders:
            path = folder.joinpath(*name.split("."))
            for candidate in (path / "__init__.py", path.with_name(f"{path.name}.py")):
                if candidate.is_file():
                    return candidate
        return None


def folder_of(name: str, path: Path) -> Path:
    """The folder from which the module `name` is imported, where `path` is its file."""
    return path.parents[name.count(".") + (path.name == "__init__.py")]


def _import_path() -> Iterator[Path]:
    """The folders of `sys.path` that hold neither Python nor what was installed, nor us."""
    # Resolved: Homebrew's Python has its own folder under another name here than there.
    others = [path.resolve() for path in (Path(sysconfig.get_path("stdlib")), Path(__file__).parents[3])]
    for entry in sys.path:
        path = Path(entry).absolute()
        if not is_installed(path) and not any(path.resolve().is_relative_to(each) for each in others):
            yield path


def imported(source: str, package: str) -> set[str]:
    """The names that `source` may import, with `package` around it for relative ones."""
    found: set[str] = set()
    for match in _IMPORT.finditer(_COMMENT.sub("", source)):
        if match["modules"] is not None:
            found |= _names(match["modules"])
        else:
            origin = _absolute(match["source"].replace(" ", "").replace("\t", ""), package)
            found |= {origin} | {f"{origin}.{name}".strip(".") for name in _names(match["names"]) if name != "*"}
    return found - {""}


def _names(text: str) -> set[str]:
    """The names of "a, b.c as d"."""
    parts = (part.split() for part in text.strip().strip("()").replace("\\", " ").split(","))
    return {part[0] for part in parts if part}


def _absolute(origin: str, package: str) -> str:
    bare = origin.lstrip(".")
    up = len(origin) - len(bare) - 1
    if up < 0:
        return bare
    parts = package.split(".")
    return ".".join([*parts[: len(parts) - up], *([bare] if bare else [])])
