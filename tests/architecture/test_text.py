"""What stands in the files: exceptions with their reason, and no trace of the machine they were written on."""

from __future__ import annotations

import re
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

TEXT = {".cfg", ".ini", ".md", ".mako", ".py", ".sql", ".toml", ".ts", ".txt", ".yaml", ".yml", ""}
NOQA = re.compile(r"#\s*noqa\b:?\s*(?:[A-Z]+\d+[,\s]*)*(?P<reason>.*)")
IGNORE = re.compile(r"#\s*type:\s*ignore\b(?:\[[\w, -]*\])?(?P<reason>.*)")
A_PERSONS_FOLDER = re.compile(r"(?<![\w.~-])/(?:home|root|Users|work)/[\w.]+")
EXCEPTIONS = {"/home/user", "/home/me", "/Users/me"}
"""Nobody's folders: for examples of what a path may look like."""


@pytest.fixture(scope="module")
def files(root: Path) -> list[tuple[Path, str]]:
    return [(path.relative_to(root), path.read_text()) for path in _of_the_project(root)]


def test_every_exception_from_a_rule_bears_its_reason(files):
    missing = [
        f"{path}:{number} {line.strip()}"
        for path, text in files
        if path.suffix == ".py" and path != Path("tests/architecture/test_text.py")
        for number, line in enumerate(text.splitlines(), 1)
        for pattern in (NOQA, IGNORE)
        if (found := pattern.search(line)) and len(re.findall(r"\w+", found["reason"])) < 2
    ]
    assert missing == []


def test_no_file_names_a_folder_of_some_machine(files):
    named = [
        f"{path}:{number} {found}"
        for path, text in files
        for number, line in enumerate(text.splitlines(), 1)
        for found in A_PERSONS_FOLDER.findall(line)
        if not found.startswith(tuple(EXCEPTIONS))
    ]
    assert named == []


def test_the_lock_takes_everything_from_the_public_index(root):
    hosts = set(re.findall(r"\w+://([^/\"]+)", (root / "uv.lock").read_text()))
    assert hosts == {"pypi.org", "files.pythonhosted.org"}


def _of_the_project(root: Path) -> Iterator[Path]:
    """What git tracks or would; without git, everything that does not look made."""
    listed = subprocess.run(
        ["git", "ls-files", "-co", "--exclude-standard"], cwd=root, capture_output=True, text=True, check=False
    )
    if listed.returncode == 0:
        paths = [root / name for name in listed.stdout.splitlines()]
    else:
        folders = [
            folder for folder in root.iterdir() if folder.is_dir() and not folder.name.startswith((".venv", "."))
        ]
        paths = [path for folder in folders for path in folder.rglob("*") if "__pycache__" not in path.parts]
    yield from (path for path in paths if path.is_file() and path.suffix in TEXT and path.name != "uv.lock")
