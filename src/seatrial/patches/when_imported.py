"""Runs code when a module has been imported, without importing it; at once if it has been already."""

from __future__ import annotations

import sys
from collections.abc import Callable, Sequence
from importlib.abc import Loader, MetaPathFinder
from importlib.machinery import ModuleSpec
from importlib.util import find_spec
from types import ModuleType


class WhenImported(MetaPathFinder):
    """Calls `then(module)` once: now, or right after the module's own code has run.

    It stands at the head of `sys.meta_path` until then. It finds nothing itself: it asks the others, and hands
    their loader on in a wrapper that lasts for this one import.
    """

    def __init__(self, name: str, then: Callable[[ModuleType], None]) -> None:
        self._name = name
        self._then = then
        self._asking = False

    def install(self) -> None:
        """Begin to watch."""
        module = sys.modules.get(self._name)
        if module is not None and not getattr(module.__spec__, "_initializing", False):
            self._then(module)
        elif self not in sys.meta_path:
            sys.meta_path.insert(0, self)

    def remove(self) -> None:
        """Watch no longer. What `then` has done stays done."""
        if self in sys.meta_path:
            sys.meta_path.remove(self)

    def find_spec(
        self, fullname: str, path: Sequence[str] | None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        """The others' answer, with a loader that tells us when it is done. None for any other module."""
        del path, target
        if fullname != self._name or self._asking:
            return None
        self._asking = True
        try:
            spec = find_spec(fullname)
        finally:
            self._asking = False
        if spec is not None and spec.loader is not None:
            spec.loader = _Telling(spec.loader, self)
        return spec

    def arrived(self, module: ModuleType) -> None:
        """Take note that the module is there."""
        self.remove()
        self._then(module)


class _Telling(Loader):
    """The loader that was found, and a word to the watcher afterwards."""

    def __init__(self, loader: Loader, watcher: WhenImported) -> None:
        self._loader = loader
        self._watcher = watcher

    def create_module(self, spec: ModuleSpec) -> ModuleType | None:
        return self._loader.create_module(spec)

    def exec_module(self, module: ModuleType) -> None:
        # From here on the module is as if we had never been: resources and source are asked of its own loader.
        module.__loader__ = self._loader
        if module.__spec__ is not None:
            module.__spec__.loader = self._loader
        self._loader.exec_module(module)
        self._watcher.arrived(module)
