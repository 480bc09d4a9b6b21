"""The audit judges the undo, so it shares nothing with it."""

from __future__ import annotations

import ast
from pathlib import Path

from seatrial.resources.kinds.postgres import audit

KIND = "seatrial.resources.kinds.postgres"


def imported(source: str) -> set[str]:
    tree = ast.parse(source)
    direct = {name.name for node in ast.walk(tree) if isinstance(node, ast.Import) for name in node.names}
    return direct | {
        f"{node.module}.{name.name}"
        for node in ast.walk(tree)
        if isinstance(node, ast.ImportFrom)
        for name in node.names
    }


def test_the_audit_imports_nothing_of_what_it_judges() -> None:
    modules = list(Path(audit.__file__).parent.glob("*.py"))
    assert len(modules) > 5
    for module in modules:
        own = {name for name in imported(module.read_text()) if name.startswith("seatrial.resources")}
        assert all(name.startswith(f"{KIND}.audit") for name in own), module.name
