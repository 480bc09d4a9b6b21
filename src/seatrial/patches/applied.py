"""The patches of one run, applied and undone together."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Self

from seatrial.patches.protocol import Patch


class Applied:
    """Applies patches in order and undoes them in the opposite one."""

    def __init__(self, patches: Sequence[Patch]) -> None:
        self._patches = tuple(patches)
        self._active: list[Patch] = []

    @property
    def names(self) -> tuple[str, ...]:
        """What holds now, for the report header."""
        return tuple(patch.name for patch in self._active)

    def __enter__(self) -> Self:
        for patch in self._patches:
            patch.apply()
            self._active.append(patch)
        return self

    def __exit__(self, *error: object) -> None:
        while self._active:
            self._active.pop().undo()
