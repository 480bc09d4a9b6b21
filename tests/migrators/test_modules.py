"""What a module imports is read from its source, without running it."""

from __future__ import annotations

import ast
import sys
import sysconfig
from pathlib import Path

import pytest

from seatrial.migrators.source.modules import Modules, imported

STDLIB = Path(sysconfig.get_path("stdlib"))


def by_syntax_tree(source: str) -> set[str]:
    found = set()
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and not node.level:
            found |= {f"{node.module}.{alias.name}" for alias in node.names if alias.name != "*"} | {node.module or ""}
    return found


@pytest.mark.parametrize("folder", ["asyncio", "concurrent", "email", "importlib", "logging", "unittest", "xml"])
def test_no_import_that_a_syntax_tree_shows_is_missed(folder: str) -> None:
    paths = [*(STDLIB / folder).rglob("*.py")]
    assert paths
    for path in paths:
        source = path.read_text(encoding="utf-8")
        assert by_syntax_tree(source) <= imported(source, ""), path


@pytest.mark.parametrize(
    ("source", "package", "names"),
    [
        ("import a, b.c as d", "", {"a", "b.c"}),
        ("from a import b as c, d", "", {"a", "a.b", "a.d"}),
        ("from a import (  # (why)\n  b,\n  c,\n)", "", {"a", "a.b", "a.c"}),
        ("from a import b, \\\n    c", "", {"a", "a.b", "a.c"}),
        ("from . import b", "p.q", {"p.q", "p.q.b"}),
        ("from .. import b", "p.q", {"p", "p.b"}),
        ("from ..x import y", "p.q", {"p.x", "p.x.y"}),
        ("from.x import y", "p", {"p.x", "p.x.y"}),
        ("from a import *", "", {"a"}),
        ("if True: import a; from b import c", "", {"a", "b", "b.c"}),
        ("important = 1\nfrom_here = 2", "", set()),
    ],
)
def test_every_way_to_write_an_import_is_read(source: str, package: str, names: set[str]) -> None:
    assert imported(source, package) == names


def test_a_closure_goes_through_packages_and_circles_and_stays_in_the_project(tmp_path: Path) -> None:
    files = {
        "app/__init__.py": "from app import hooks",
        "app/hooks.py": "",
        "app/a.py": "import app.b, json, sqlalchemy.orm",
        "app/b.py": "from app.a import x",
        "app/c.py": "",
    }
    for name, text in files.items():
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text(text)
    assert set(Modules(tmp_path).closure(["app.a"])) == {"app", "app.hooks", "app.a", "app.b"}


def test_modules_in_folders_of_the_import_path_are_the_project_s_and_installed_ones_are_not(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    root, beside = tmp_path / "services" / "api", tmp_path / "packages" / "models"
    for folder, text in ((root / "backend", "import models_beside, sqlalchemy, json"), (beside, "")):
        folder.mkdir(parents=True)
        monkeypatch.syspath_prepend(folder)
        (folder / ("seed.py" if folder != beside else "models_beside.py")).write_text(text)
    assert Modules(root).closure(["seed"]) == {
        "seed": root / "backend" / "seed.py",
        "models_beside": beside / "models_beside.py",
    }


def test_a_name_is_looked_for_once_however_many_modules_import_it(tmp_path: Path, monkeypatch) -> None:
    for name in ("a", "b", "c"):
        (tmp_path / f"{name}.py").write_text("import json, sqlalchemy.orm")
    asked: list[Path] = []
    is_file = Path.is_file
    monkeypatch.setattr(Path, "is_file", lambda path: asked.append(path) or is_file(path))
    assert len(Modules(tmp_path).closure(["a", "b", "c"])) == 3
    assert len(asked) == len(set(asked))


def test_python_s_own_folder_is_none_of_the_project_s_under_another_name_either(tmp_path: Path, monkeypatch) -> None:
    (tmp_path / "python").symlink_to(STDLIB)
    monkeypatch.setattr(sys, "path", [str(tmp_path / "python")])
    assert Modules(tmp_path / "project").find("json") is None
