"""No module holds state: two runs in one process, or two threads, never meet in one."""

from __future__ import annotations

import ast
from collections.abc import Iterator

DISPLAYS = (ast.List, ast.Dict, ast.Set, ast.ListComp, ast.DictComp, ast.SetComp)
MAKERS = {
    "list", "dict", "set", "bytearray", "defaultdict", "deque", "Counter", "OrderedDict", "ChainMap",
    "WeakSet", "WeakKeyDictionary", "WeakValueDictionary", "Lock", "RLock", "Event", "Condition", "local",
    "ContextVar", "count", "cycle", "Queue", "SimpleQueue",
}  # fmt: skip
CACHES = {"cache", "lru_cache"}
READ_ONLY = {"Mapping", "Sequence", "Set", "Collection"}
"""A display with one of these types can't be changed where mypy looks."""


def test_no_module_or_class_holds_mutable_state(modules):
    found = [
        f"{module.at(node)} {ast.unparse(node).splitlines()[0]}"
        for module in modules
        if ".patches." not in module.name
        for node in _outside_of_functions(module.tree)
        if _mutable(node)
    ]
    assert found == []


def test_nothing_writes_to_a_module(modules):
    found = [
        f"{module.at(node)} global {', '.join(node.names)}"
        for module in modules
        if ".patches." not in module.name
        for node in ast.walk(module.tree)
        if isinstance(node, ast.Global)
    ]
    assert found == []


def _outside_of_functions(tree: ast.AST) -> Iterator[ast.stmt]:
    """The statements of the module, of its classes, and of the conditions around them."""
    for node in ast.iter_child_nodes(tree):
        if isinstance(node, ast.stmt):
            yield node
        if not isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            yield from _outside_of_functions(node)


def _mutable(node: ast.stmt) -> bool:
    match node:
        case ast.Assign(targets=[ast.Name(id="__all__" | "__slots__")]):
            return False
        case ast.Assign(value=value):
            return _makes_state(value)
        case ast.AnnAssign(annotation=annotation, value=ast.expr() as value):
            read_only = any(
                getattr(name, "id", getattr(name, "attr", "")) in READ_ONLY for name in ast.walk(annotation)
            )
            return _makes_state(value) and not (read_only and isinstance(value, DISPLAYS))
        case ast.FunctionDef(decorator_list=decorators) | ast.AsyncFunctionDef(decorator_list=decorators):
            return any(_called(decorator) in CACHES for decorator in decorators)
    return False


def _makes_state(value: ast.expr) -> bool:
    return isinstance(value, DISPLAYS) or (isinstance(value, ast.Call) and _called(value) in MAKERS)


def _called(node: ast.expr) -> str:
    """The last name of `a.b.c` or `a.b.c(...)`."""
    if isinstance(node, ast.Call):
        node = node.func
    return getattr(node, "id", getattr(node, "attr", ""))
