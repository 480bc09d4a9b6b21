"""The app's engines of SQLAlchemy, as far as they are there: those that no dependency leads to, too."""

from __future__ import annotations

import threading
import weakref
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from seatrial.resources.first_state import OWN
from seatrial.resources.protocol import Address
from seatrial.sessions.connections.engines import is_on


class Engines:
    """Told of each engine that is made; tells who asks of those on one database. Keeps none alive."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._made: weakref.WeakKeyDictionary[Any, None] = weakref.WeakKeyDictionary()
        self._watchers: list[Callable[[Any], None]] = []

    def made(self, engine: Any) -> None:
        """Take down an engine, unless it is one of ours."""
        if OWN in engine.get_execution_options():
            return
        with self._lock:
            self._made[engine] = None
            watchers = list(self._watchers)
        for tell in watchers:
            tell(engine)

    def on(self, address: Address) -> list[Any]:
        """Those that connect to the database at `address`, in the order in which they were made."""
        with self._lock:
            made = list(self._made)
        return [engine for engine in made if is_on(engine, address)]

    @contextmanager
    def watched(self, tell: Callable[[Any], None]) -> Iterator[None]:
        """While it holds, `tell` hears of each engine that is made, on whatever database."""
        with self._lock:
            self._watchers.append(tell)
        try:
            yield
        finally:
            with self._lock:
                self._watchers.remove(tell)
