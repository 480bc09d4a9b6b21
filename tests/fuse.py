"""Breaks off what runs at one of its moments, as pytest's time-outs and Ctrl-C do."""

from __future__ import annotations

import gc
import sys
import traceback
from types import FrameType
from typing import Self

from hypothesis import settings

UNRAISABLE = "ignore::pytest.PytestUnraisableExceptionWarning"
"""Where it breaks off in a destructor Python says so, and goes on."""


EACH = (settings.default.max_examples if settings.default else 100) // 33
"""Examples for each of many kinds and drivers."""


class BrokenOff(BaseException):
    """As pytest's plugins raise it in the midst of anything."""


class Fuse:
    """Counts what is called and what returns, in Python and in C, and breaks off at one of these moments.

    Args:
        at: the moment; none by default.
    """

    def __init__(self, at: int = sys.maxsize) -> None:
        self.moments = 0
        self.where: list[str] = []
        """Where it broke off: the innermost call first."""
        self._at = at

    def part(self, share: float) -> Fuse:
        """One that breaks off after this share, 0 to 1, of what this one has counted."""
        return Fuse(at=1 + int(share * self.moments))

    def __enter__(self) -> Self:
        sys.setprofile(self._moment)
        return self

    def __exit__(self, *_: object) -> None:
        sys.setprofile(None)
        if self.where:
            gc.collect()  # what it left half-made complains now

    def _moment(self, frame: FrameType, event: str, argument: object) -> None:
        self.moments += 1
        if self.moments == self._at:
            self.where = [f"{event} {argument}", *map(str, traceback.extract_stack(frame)[:-12:-1])]
            raise BrokenOff
