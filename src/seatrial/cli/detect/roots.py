"""The folders from which a project's own modules are imported: src layouts, `pythonpath`, packages in a subfolder."""

from __future__ import annotations

import ast
import configparser
import json
import re
import tomllib
from collections.abc import Collection, Iterator, Mapping
from pathlib import Path

_TESTS = re.compile(r"(^|/)(conftest|test_[^/]*|[^/]*_test)\.py$")
"""Files that pytest imports by itself."""


def import_roots(root: Path, trees: Mapping[str, ast.Module]) -> tuple[str, ...]:
    """Relative folders, "" for the root itself, what the project declares before what its imports imply."""
    found = dict.fromkeys(_declared(root))
    if (root / "src").is_dir() and not (root / "src" / "__init__.py").exists():
        found["src"] = None
    found.update(dict.fromkeys(_implied(trees, tuple(found))))
    found[""] = None
    return tuple(found)


def pythonpath(root: Path) -> tuple[str, ...]:
    """What pytest's configuration adds to the import path."""
    file, section = _of_pytest(root)
    value = _keys(root / file, section).get("pythonpath", "")
    many = value if isinstance(value, list) else str(value).split()
    return tuple(Path(str(one)).as_posix() for one in many)


def with_pythonpath(root: Path, folder: str) -> str:
    """What to write, and where, so that pytest imports from this folder, too."""
    file, section = _of_pytest(root)
    folders = [*pythonpath(root), folder]
    if file.endswith(".toml"):
        return f"write pythonpath = {json.dumps(folders)} in [{section}] of {file}"
    return f"write pythonpath = {' '.join(folders)} in [{section}] of {file}"


def _of_pytest(root: Path) -> tuple[str, str]:
    """The file and the section that pytest reads: those of the first file that has one, or that is pytest's alone."""
    for file in ("pytest.toml", ".pytest.toml", "pytest.ini", ".pytest.ini"):
        if (root / file).exists():
            return file, "pytest"
    table = _keys(root / "pyproject.toml", "tool.pytest")
    shared = "tool.pytest" if table and "ini_options" not in table else "tool.pytest.ini_options"
    if not table:
        for file, section in (("tox.ini", "pytest"), ("setup.cfg", "tool:pytest")):
            if _keys(root / file, section):
                return file, section
    return "pyproject.toml", shared


def installable(root: Path) -> bool:
    """Whether the project is built and installed as a package, so that its modules are importable by that."""
    return "build-system" in _pyproject(root) or (root / "setup.py").exists()


def root_is_imported(root: Path, files: Collection[str]) -> bool:
    """Whether `pytest` imports modules from the root: because it is told to, or because a test or conftest.py is there.

    It adds to the import path the folder of each test file and each conftest.py or, where that is a package, the folder
    above the package.
    """
    if "." in pythonpath(root) or installable(root):
        return True
    packages = {file.removesuffix("/__init__.py") for file in files if file.endswith("/__init__.py")}
    folders = {file.rpartition("/")[0] for file in files if _TESTS.search(file)}
    return any(not folder or folder.partition("/")[0] in packages for folder in folders)


def _declared(root: Path) -> Iterator[str]:
    for folder in (*pythonpath(root), *_package_folders(_pyproject(root))):
        clean = folder.strip("/")
        if clean not in (".", "") and (root / clean).is_dir():
            yield clean


def _package_folders(pyproject: Mapping[str, object]) -> Iterator[str]:
    """Where the common build backends are told to find packages."""
    tool = pyproject.get("tool")
    if not isinstance(tool, dict):
        return
    setuptools = _table(tool, "setuptools")
    package_dir = _table(setuptools, "package-dir").get("")
    if isinstance(package_dir, str):
        yield package_dir
    where = _table(_table(setuptools, "packages"), "find").get("where")
    yield from (one for one in where if isinstance(one, str)) if isinstance(where, list) else ()
    packages = _table(tool, "poetry").get("packages")
    for one in packages if isinstance(packages, list) else ():
        if isinstance(one, dict) and isinstance(one.get("from"), str):
            yield one["from"]


def _implied(trees: Mapping[str, ast.Module], known: tuple[str, ...]) -> Iterator[str]:
    """Folders whose packages are imported by their bare name, though the root does not hold them."""
    imported = {name for tree in trees.values() for name in _imported(tree)}
    tops = {relative.partition("/")[0].removesuffix(".py") for relative in trees}
    for relative in trees:
        parts = relative.split("/")
        for depth in range(1, len(parts)):
            folder, package = "/".join(parts[:depth]), parts[depth].removesuffix(".py")
            inside_package = f"{folder}/__init__.py" in trees
            if package in imported and package not in tops and folder not in known and not inside_package:
                yield folder


def _imported(tree: ast.Module) -> Iterator[str]:
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (alias.name.partition(".")[0] for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and not node.level and node.module:
            yield node.module.partition(".")[0]


def _pyproject(root: Path) -> dict[str, object]:
    return _toml(root / "pyproject.toml")


def _keys(path: Path, section: str) -> Mapping[str, object]:
    """What a section of a file of TOML, or of an ini, says."""
    if path.suffix != ".toml":
        return _ini(path, section)
    table: Mapping[str, object] = _toml(path)
    for name in section.split("."):
        table = _table(table, name)
    return table


def _toml(path: Path) -> dict[str, object]:
    try:
        return tomllib.loads(path.read_text("utf-8-sig"))
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError):
        return {}


def _table(table: Mapping[str, object], key: str) -> Mapping[str, object]:
    below = table.get(key)
    return below if isinstance(below, dict) else {}


def _ini(path: Path, section: str) -> Mapping[str, str]:
    parser = configparser.ConfigParser(interpolation=None)
    try:
        parser.read(path, "utf-8-sig")
        return dict(parser[section]) if parser.has_section(section) else {}
    except (configparser.Error, UnicodeDecodeError):
        return {}
