"""Attributes of another library that are replaced, and put back in the opposite order."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial
from types import ModuleType
from typing import Any

from seatrial.adapters.protocol import WhenImported

_MISSING = object()


class Replaced:
    """What was replaced so far."""

    def __init__(self) -> None:
        self._before: list[tuple[Any, str, Any]] = []

    def set(self, owner: Any, **values: Any) -> None:
        """Replace attributes of a class or a module."""
        for name, value in values.items():
            self._before.append((owner, name, vars(owner).get(name, _MISSING)))
            setattr(owner, name, value)

    def put_back(self) -> None:
        """Leave every owner as it was found."""
        while self._before:
            owner, name, value = self._before.pop()
            if value is _MISSING:
                delattr(owner, name)
            else:
                setattr(owner, name, value)


class Adapter:
    """Changes made to modules as they are imported. Implements the patches' protocol.

    Args:
        name: for people, in the report header.
        changes: module -> what changes it, told what to write down what it replaces in.
        when_imported: makes the watches.
    """

    def __init__(
        self, name: str, changes: Mapping[str, Callable[[ModuleType, Replaced], None]], when_imported: WhenImported
    ) -> None:
        self.name = name
        self._replaced = Replaced()
        self._applied = False
        self._watches = [when_imported(module, partial(self._change, change)) for module, change in changes.items()]

    def apply(self) -> None:
        """Change the modules now, or as soon as they are imported."""
        if not self._applied:
            self._applied = True
            for watch in self._watches:
                watch.install()

    def undo(self) -> None:
        """Leave them as they were found."""
        self._applied = False
        for watch in self._watches:
            watch.remove()
        self._replaced.put_back()

    def _change(self, change: Callable[[ModuleType, Replaced], None], module: ModuleType) -> None:
        change(module, self._replaced)


class LazyDocker:
    """Stands for a client of Docker, which is asked for only when something really needs it.

    Args:
        make: makes the real client.
    """

    def __init__(self, make: Callable[[], Any]) -> None:
        self._make = make
        self._made: Any = None

    @property
    def used(self) -> bool:
        """Whether the real client was asked for."""
        return self._made is not None

    def close(self) -> None:
        """Close the real client, if there is one."""
        if self._made is not None:
            self._made.close()

    def __getattr__(self, name: str) -> Any:
        if self._made is None:
            self._made = self._make()
        return getattr(self._made, name)
