"""A change to another library: named, reversible."""

from __future__ import annotations

from typing import Protocol


class Patch(Protocol):
    """One change, which holds between `apply` and `undo`. Applying it imports nothing that it changes."""

    name: str
    """For people, in the report header: what is changed, in a few words."""

    def apply(self) -> None:
        """Change the library now, or as soon as it is imported.

        Called again before each test: that changes nothing, but where somebody else has undone the change.
        """
        ...

    def undo(self) -> None:
        """Leave the library as it was found. Without `apply` before it nothing happens."""
        ...
