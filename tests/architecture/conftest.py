"""The house as data: every module of ours, read once and parsed."""

from __future__ import annotations

import ast
from dataclasses import dataclass
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]


@dataclass(frozen=True, slots=True, kw_only=True)
class Module:
    """One file of `src`."""

    path: Path
    name: str
    text: str
    tree: ast.Module

    @property
    def lines(self) -> int:
        return len(self.text.splitlines())

    def at(self, node: ast.AST) -> str:
        """Where this is, as an editor opens it."""
        return f"{self.path.relative_to(ROOT)}:{getattr(node, 'lineno', 1)}"


def _read(path: Path) -> Module:
    text = path.read_text()
    parts = path.relative_to(ROOT / "src").with_suffix("").parts
    name = ".".join(part for part in parts if part != "__init__")
    return Module(path=path, name=name, text=text, tree=ast.parse(text, str(path)))


@pytest.fixture(scope="session")
def root() -> Path:
    return ROOT


@pytest.fixture(scope="session")
def modules() -> list[Module]:
    found = [_read(path) for path in sorted((ROOT / "src" / "seatrial").rglob("*.py"))]
    assert len(found) > 50, "the house is not where it was"
    return found
