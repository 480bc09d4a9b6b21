"""Small rooms: a module, a function and a folder can each be taken in at one sitting."""

from __future__ import annotations

import ast
import statistics
from collections import Counter


def test_a_module_has_at_most_400_lines(modules):
    assert [f"{module.name}: {module.lines}" for module in modules if module.lines > 400] == []


def test_half_of_the_modules_have_less_than_150_lines(modules):
    assert statistics.median(module.lines for module in modules if module.lines > 1) < 150


def test_a_function_has_at_most_60_lines(modules):
    long = [
        f"{module.at(node)} {node.name}: {length}"
        for module in modules
        for node in ast.walk(module.tree)
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)
        and (length := (node.end_lineno or node.lineno) - node.lineno + 1) > 60
    ]
    assert long == []


def test_a_folder_has_at_most_10_modules(modules):
    folders = Counter(str(module.path.parent) for module in modules if module.path.name != "__init__.py")
    assert {folder: count for folder, count in folders.items() if count > 10} == {}
