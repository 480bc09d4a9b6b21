"""A patch that replaces attributes of a library once a module of it is imported, and puts back what was there."""

from __future__ import annotations

from collections.abc import Callable
from types import ModuleType

from seatrial.patches.when_imported import WhenImported

_INHERITED = object()


class Changes:
    """What one patch has changed; undone in the opposite order."""

    def __init__(self) -> None:
        self._undo: list[Callable[[], None]] = []

    def replace(self, owner: object, name: str, value: object) -> None:
        """Set an attribute of a class or a module; one that the owner only inherits is removed again."""
        before = vars(owner).get(name, _INHERITED)
        setattr(owner, name, value)

        def undo() -> None:
            if before is _INHERITED:
                delattr(owner, name)
            else:
                setattr(owner, name, before)

        self._undo.append(undo)

    def also(self, undo: Callable[[], None]) -> None:
        """Call this as well, when all is undone."""
        self._undo.append(undo)

    def undo(self) -> None:
        """Leave everything as it was found."""
        while self._undo:
            self._undo.pop()()


class Replacing:
    """A `Patch` that does its work when `module` is imported.

    Args:
        name: for people.
        module: "django.db.utils".
        change: told the module, and where to make the changes.
    """

    def __init__(self, name: str, module: str, change: Callable[[ModuleType, Changes], None]) -> None:
        self.name = name
        self._changes = Changes()
        self._change = change
        self._applied = False
        self._watch = WhenImported(module, lambda found: self._change(found, self._changes))

    def apply(self) -> None:
        """Change the library now, or as soon as it is imported."""
        if not self._applied:
            self._applied = True
            self._watch.install()

    def undo(self) -> None:
        """Leave the library as it was found."""
        self._applied = False
        self._watch.remove()
        self._changes.undo()
