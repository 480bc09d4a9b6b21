"""Which resources a collected test uses: by its fixtures, or because it holds or imports the app or its sessions."""

from __future__ import annotations

import ast
import dis
import inspect
import os
import sys
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from pathlib import Path
from types import CodeType, FunctionType, ModuleType

import pytest

from seatrial.core.importing import is_installed

_PLAIN = (str, bytes, int, float, complex, tuple, frozenset, type(None), ModuleType, type(annotations))
"""What any two modules may have in common: `from __future__ import annotations` leaves a value in each."""


class Usage:
    """Answers for each item which resources it needs.

    Args:
        by_fixture: what a test uses by asking for a fixture.
        everything: the resources of the configuration.
        modules: names of the modules that the configuration points at: the app's, the dependency's.
        besides: what an item uses for reasons that another plugin knows.
    """

    def __init__(
        self,
        by_fixture: Mapping[str, tuple[str, ...]],
        everything: Collection[str],
        modules: Iterable[str],
        besides: Callable[[pytest.Item], Iterable[str]],
    ) -> None:
        self._by_fixture = by_fixture
        self._everything = tuple(everything)
        self._modules = tuple(modules)
        self._besides = besides
        self._seen: dict[int, bool] = {}
        self._lent: dict[int, bool] = {}
        """By identity of what the app holds, too: whether it is a library's."""
        self._read: dict[CodeType, bool] = {}
        self._mentions = {*self._modules, *(module.rpartition(".")[0] for module in self._modules)}
        """Names without which a function imports none of the modules: few are looked at any closer."""
        self._needed: dict[str, tuple[str, ...]] = {}

    def needs(self, item: pytest.Item) -> tuple[str, ...]:
        """The resources that must run before this test: what was found the first time holds for the whole run."""
        if item.nodeid not in self._needed:
            self._needed[item.nodeid] = self._found(item)
        return self._needed[item.nodeid]

    def _found(self, item: pytest.Item) -> tuple[str, ...]:
        fixtures = getattr(item, "fixturenames", ())
        needed = {name for fixture in fixtures for name in self._by_fixture.get(fixture, ())}
        needed.update(self._besides(item))
        if len(needed) < len(self._everything) and (self._holds_app(item) or self._imports_app(item)):
            return self._everything
        return tuple(name for name in self._everything if name in needed)

    def _holds_app(self, item: pytest.Item) -> bool:
        module = item.getparent(pytest.Module)
        namespaces = [module.obj] if module is not None else []
        folder = f"{item.path.parent}{os.sep}"
        for plugin in item.config.pluginmanager.get_plugins():
            path = getattr(plugin, "__file__", None) or ""
            if path.endswith(f"{os.sep}conftest.py") and folder.startswith(path.removesuffix("conftest.py")):
                namespaces.append(plugin)
        return any(self._touches(namespace) for namespace in namespaces)

    def _touches(self, namespace: ModuleType) -> bool:
        """Whether a module has imported something of value from the app's own modules."""
        if id(namespace) not in self._seen:
            ours = [sys.modules[name] for name in self._modules if name in sys.modules]
            values = (value for module in ours for value in _globals(module) if _belongs(value, module))
            identities = {id(value) for value in (*ours, *values)}  # an `__eq__` may raise
            shared = [value for value in _globals(namespace) if id(value) in identities]
            used = not all(map(self._is_lent, shared)) or self._names_one(namespace, {id(value) for value in shared})
            self._seen[id(namespace)] = used
        return self._seen[id(namespace)]

    def _names_one(self, namespace: ModuleType, shared: set[int]) -> bool:
        """Whether it says at its top `import app.main`: what it has then is `app`, as it has by `import app.prices`.

        Or, where it has something in common with the app, by identity, that it has that from there: a library may
        have made the app itself.
        """
        own, packages = vars(namespace), {name.partition(".")[0] for name in self._modules if "." in name}
        if not shared and not any(name in packages and type(value) is ModuleType for name, value in own.items()):
            return False
        try:
            source = inspect.getsource(namespace)
            last = {name.rpartition(".")[2] for name in self._modules}  # of any import of one: few are parsed
            tree = ast.parse(source if any(name in source for name in last) else "")
        except (OSError, TypeError, SyntaxError):  # there is no source
            return False
        for node in _at_top(tree):
            if isinstance(node, ast.Import) and any(each.name in self._modules for each in node.names):
                return True
            if isinstance(node, ast.ImportFrom) and _source(node, namespace) in self._modules:
                names = (each.asname or each.name for each in node.names)
                if not shared.isdisjoint(id(own.get(name)) for name in names):
                    return True
        return False

    def _is_lent(self, value: object) -> bool:
        """Whether an object is a library's own, which both have from there: `typing.Optional`, SQLAlchemy's `func`."""
        if issubclass(type(value), (type, FunctionType, ModuleType)):
            return False  # `_belongs` has looked where it was made
        if id(value) not in self._lent:
            tops = {module.partition(".")[0] for module in self._modules}  # the app may be installed, too
            self._lent[id(value)] = any(value is each for each in _of_libraries(besides=tops))
        return self._lent[id(value)]

    def _imports_app(self, item: pytest.Item) -> bool:
        """Whether the test, or a fixture that it asks for, imports one of those modules once it runs."""
        asked = getattr(item, "_fixtureinfo", None)  # there is no public way to the fixtures of a test yet to begin
        definitions = asked.name2fixturedefs.values() if asked is not None else ()
        functions = [getattr(item, "obj", None), *(each.func for several in definitions for each in several)]
        codes = (getattr(inspect.unwrap(function), "__code__", None) for function in functions if callable(function))
        return any(self._imports(code) for code in codes if isinstance(code, CodeType))

    def _imports(self, code: CodeType) -> bool:
        if code not in self._read:
            mentioned = not self._mentions.isdisjoint(code.co_names)
            found = mentioned and any(name in self._modules for name in _imported(code))
            inner = (each for each in code.co_consts if isinstance(each, CodeType))
            self._read[code] = found or any(self._imports(each) for each in inner)
        return self._read[code]


def _imported(code: CodeType) -> Iterator[str]:
    """What a function itself imports: for `from a import b` both "a" and "a.b", which may be a module."""
    module = ""
    for step in dis.get_instructions(code):
        if step.opname == "IMPORT_NAME":
            module = step.argval
            yield module
        elif step.opname == "IMPORT_FROM":
            yield f"{module}.{step.argval}"


def _globals(module: ModuleType) -> Iterator[object]:
    """What a module has made or imported, without what Python itself has put there."""
    return (value for name, value in vars(module).items() if not name.startswith("__"))


def _at_top(node: ast.AST) -> Iterator[ast.AST]:
    """What runs when a module is imported: not what is in functions, nor what only a type checker reads."""
    for each in ast.iter_child_nodes(node):
        if isinstance(each, ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda):
            continue
        if isinstance(each, ast.If) and ast.unparse(each.test).rpartition(".")[2] == "TYPE_CHECKING":
            continue
        yield each
        yield from _at_top(each)


def _source(node: ast.ImportFrom, namespace: ModuleType) -> str:
    """The module that a statement imports from, in full."""
    package = (namespace.__package__ or "").split(".")
    above = package[: len(package) + 1 - node.level] if node.level else []
    return ".".join(filter(None, [*above, node.module]))


def _of_libraries(besides: Collection[str]) -> Iterator[object]:
    """The globals of Python's own modules and of installed ones, as far as they are imported."""
    for name, module in list(sys.modules.items()):
        top = name.partition(".")[0]
        if top in besides or not issubclass(type(module), ModuleType):
            continue
        namespace = ModuleType.__getattribute__(module, "__dict__")  # `vars` would import a lazy module
        if top in sys.stdlib_module_names or is_installed(Path(str(namespace.get("__file__")))):
            yield from list(namespace.values())


def _belongs(value: object, module: ModuleType) -> bool:
    """Whether a module's global is its own, as far as it tells itself: a class or a function of a library is not."""
    kind = type(value)  # `isinstance` would ask a lazy object what it is
    if issubclass(kind, _PLAIN):
        return False
    if issubclass(kind, type | FunctionType):
        return getattr(value, "__module__", module.__name__) == module.__name__
    return True
