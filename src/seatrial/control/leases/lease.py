"""How long something that was handed out stays: as long as it is held, and not much longer."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class Patience:
    """In seconds: when a lease ends by itself."""

    grace: float = 2.0
    """After the connection that held it is gone."""
    unheld: float = 600.0
    """After the last request about it, where nobody ever held it."""


class Lease:
    """Whether somebody still wants it: an open connection says so, or a request not long ago."""

    def __init__(self, patience: Patience) -> None:
        self._counting = threading.Lock()
        self._patience = patience
        self._holds = 0
        self._busy = 0
        self._was_held = False
        self._since = time.monotonic()

    @contextmanager
    def held(self) -> Iterator[None]:
        """A connection holds it."""
        self._holds += 1
        self._was_held = True
        try:
            yield
        finally:
            self._holds -= 1
            self._since = time.monotonic()

    @contextmanager
    def used(self) -> Iterator[None]:
        """A request is about it."""
        with self._counting:  # a worker's thread answers some requests by itself
            self._busy += 1
        try:
            yield
        finally:
            with self._counting:
                self._busy -= 1
            self._since = time.monotonic()

    def abandon(self) -> None:
        """The one who asked for it is gone before he got it."""
        self._was_held = True

    def over(self) -> bool:
        """Whether it was given up without a word."""
        if self._holds or self._busy:
            return False
        patience = self._patience.grace if self._was_held else self._patience.unheld
        return time.monotonic() - self._since > patience
